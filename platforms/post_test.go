package platforms_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// picky refuses statuses with answers that the tests give it, and keeps what it was sent.
type picky struct {
	platforms.Platform
	refuses func(core.Status) string
	sent    []string
}

func (p *picky) PostStatus(_ context.Context, status core.Status) (platforms.Posted, error) {
	p.sent = append(p.sent, fmt.Sprintf("%s|%s|%s", status.Context, status.Description, status.TargetURL))
	if said := p.refuses(status); said != "" {
		err := &platforms.Answered{Code: http.StatusUnprocessableEntity, Err: platforms.Refusal(said)}
		return platforms.Posted{}, fmt.Errorf("posting: %w", err)
	}
	return platforms.Posted{ID: 1}, nil
}

func TestPostLeavesOutWhatIsRefused(t *testing.T) {
	t.Parallel()
	const full, link, plain = "scanhook|2 new ? ü|https://x/1", "scanhook|2 new ? ü|", "scanhook|Scan found problems|"
	when := func(refused bool, said string) string { return map[bool]string{true: said}[refused] }
	unnamed := func(s core.Status) string { return when(s.Description == "2 new ? ü", "no") }
	blocked := func(s core.Status) string { return when(s.TargetURL != "", "target_url: is blocked") }
	inWords := func(s core.Status) string { return when(s.TargetURL != "", "Target url is blocked") }
	all := func(s core.Status) string {
		return blocked(s) + when(s.TargetURL == "" && s.Description != "", "description is odd")
	}
	for name, test := range map[string]struct {
		attempts int
		refuses  func(core.Status) string
		sent     []string
		left     string
		refused  bool
	}{
		"nothing":        {0, func(core.Status) string { return "" }, []string{full}, "", false},
		"a link":         {0, blocked, []string{full, link}, "link left out: target_url: is blocked", false},
		"GitLab's words": {0, inWords, []string{full, link}, "link left out: Target url is blocked", false},
		"any link and text": {0, all, []string{full, link, plain, "scanhook||"}, "link left out: target_url: is blocked; " +
			"description left out: description is odd; description left out: description is odd", false},
		"no field the first": {0, unnamed, []string{full}, "", true},
		"no field again":     {1, unnamed, []string{full, plain}, "description and link left out: no", false},
		"always":             {1, func(core.Status) string { return "no" }, []string{full, plain, "scanhook||"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			platform := &picky{refuses: test.refuses}
			posted, err := platforms.Post(t.Context(), platform, core.Status{
				Context: "scanhook", Description: "2 new \U0001F525 ü", TargetURL: "https://x/1", State: core.StatusFailure,
				Attempts: test.attempts,
			})
			if diff := cmp.Diff(test.sent, platform.sent); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			if (err != nil) != test.refused || posted.LeftOut != test.left {
				t.Errorf("got %q, %v; want %q", posted.LeftOut, err, test.left)
			}
		})
	}
}

func TestSaidIsThePlatformsSentence(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"message":"Bad credentials","documentation_url":"https://x"}`: `, "Bad credentials"`,
		`{"message":"Validation Failed","errors":[{"resource":"Status","field":"description","message":"is too long"},` +
			`{"field":"context","code":"missing"},{"field":"target_url","message":"target_url is blocked"}]}`: `, "Validation Failed: ` +
			`description is too long, context missing, target_url is blocked"`,
		`{"message":{"name":["has already been taken"],"ref":["is odd","is long"]}}`: `, "name has already been taken, ref is odd, is long"`,
		`{"error":"invalid_token","error_description":"Token was revoked."}`:         `, "invalid_token: Token was revoked."`,
		`{"message":"a\u001b[31m\nb of s3cret","errors":["more"]}`:                   `, "a b of [token]: more"`,
		`{"message":"` + strings.Repeat("ü", 300) + `"}`:                             `, "` + strings.Repeat("ü", 199) + `…"`,
		`<html>403</html>`: ``, `{}`: ``, `{"message":7}`: ``, ``: ``,
	} {
		client := platforms.NewClient(&http.Client{Transport: answering{body}})
		response, err := client.Get("http://platform.example/")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := platforms.Answer("github", response, "s3cret"); got != "github answered 403"+want {
			t.Errorf("%.60s: got %s, want %s", body, got, want)
		}
	}
}

// GitHub's secondary limits come without a time now and then: nothing is asked for a minute all the same.
func TestClientKeepsQuietAfterALimitWithoutATime(t *testing.T) {
	t.Parallel()
	client := platforms.NewClient(&http.Client{Transport: answering{`{"message":"You have exceeded a secondary rate limit."}`}})
	response, err := client.Get("http://platform.example/")
	if err != nil || response.StatusCode != http.StatusForbidden {
		t.Fatal(err)
	}
	response.Body.Close()
	if _, err := client.Get("http://platform.example/"); err == nil || !strings.Contains(err.Error(), "told to wait") { //nolint:bodyclose // none
		t.Errorf("got %v, want no second call", err)
	}
}

// answering answers every call with 403 and a body.
type answering struct{ body string }

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}
