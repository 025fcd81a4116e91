package standin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/standin"
)

func TestGitHubRules(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub, Token: token})
	head := p.statusPath(p.sample.Head)
	unknown := strings.Repeat("a", 40)
	tests := map[string]struct {
		path, body string
		status     int
		reason     string
	}{
		"accepted":             {head, `{"state":"success","target_url":"https://x.example/1"}`, 201, ""},
		"accepted in any case": {strings.Replace(head, "acme", "ACME", 1), `{"state":"error"}`, 201, ""},
		"140 characters":       {head, describe("success", 140), 201, ""},
		"141 characters": {head, describe("success", 141), 422,
			"description is too long (maximum is 140 characters)"},
		"unknown state":      {head, `{"state":"running"}`, 422, "state is not included in the list"},
		"relative address":   {head, `{"state":"success","target_url":"/scans/1"}`, 422, "must use http(s) scheme"},
		"other scheme":       {head, `{"state":"success","target_url":"ftp://x/1"}`, 422, "must use http(s) scheme"},
		"unknown commit":     {p.statusPath(unknown), `{"state":"success"}`, 422, "No commit found for SHA: " + unknown},
		"abbreviated commit": {p.statusPath("abc1234"), `{"state":"success"}`, 422, "No commit found for SHA: abc1234"},
		"unknown repository": {"/repos/acme/other/statuses/" + unknown, `{"state":"success"}`, 404, "Not Found"},
		"no commit at all":   {"/repos/acme/payments/statuses/", `{"state":"success"}`, 404, "404 Not Found"},
		"not JSON":           {head, `state=success`, 400, "Problems parsing JSON"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, body := p.call(t, http.MethodPost, test.path, test.body)
			if response.StatusCode != test.status {
				t.Fatalf("status = %d, want %d: %v", response.StatusCode, test.status, body)
			}
			if test.reason != "" && !strings.Contains(fmt.Sprint(body), test.reason) {
				t.Errorf("answer = %v, want %q in it", body, test.reason)
			}
			if response.Header.Get("X-RateLimit-Remaining") == "" {
				t.Error("the answer does not tell how many calls are left")
			}
		})
	}
}

func describe(state string, characters int) string {
	return fmt.Sprintf(`{"state":%q,"description":%q}`, state, strings.Repeat("é", characters))
}

func TestGitHubStatusLimit(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub, Token: token})
	post := func(context string) int {
		response, _ := p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"pending","context":"`+context+`"}`)
		return response.StatusCode
	}
	for range 1000 {
		if got := post("scanhook"); got != http.StatusCreated {
			t.Fatalf("status = %d, want 201", got)
		}
	}
	if got := post("ScanHook"); got != http.StatusUnprocessableEntity {
		t.Errorf("status of the 1001st = %d, want 422", got)
	}
	if got := post("other"); got != http.StatusCreated {
		t.Errorf("status for another context = %d, want 201", got)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		kind          standin.Kind
		header, value string
		want          int
	}{
		"github bearer":        {standin.GitHub, "Authorization", "Bearer " + token, 201},
		"github token":         {standin.GitHub, "Authorization", "token " + token, 201},
		"github wrong":         {standin.GitHub, "Authorization", "Bearer guessed", 401},
		"github none":          {standin.GitHub, "X-Nothing", "", 401},
		"github, GitLab's way": {standin.GitHub, "Private-Token", token, 401},
		"gitlab private token": {standin.GitLab, "Private-Token", token, 201},
		"gitlab bearer":        {standin.GitLab, "Authorization", "Bearer " + token, 201},
		"gitlab wrong":         {standin.GitLab, "Private-Token", "guessed", 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, standin.Config{Kind: test.kind, Token: token})
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
				p.api+p.statusPath(p.sample.Head), strings.NewReader(`{"state":"success"}`))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set(test.header, test.value)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != test.want {
				t.Errorf("status = %d, want %d", response.StatusCode, test.want)
			}
		})
	}
}

func TestGitHubKeepsWhatWasPosted(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub, Token: token})
	p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"pending","context":"scanhook"}`)
	p.call(t, http.MethodPost, p.statusPath(p.sample.Head),
		`{"state":"failure","context":"scanhook","description":"2 new","target_url":"http://x.example/"}`)
	got, _ := p.Latest(p.project, p.sample.Head, "scanhook")
	want := standin.Status{
		Project: p.project, SHA: p.sample.Head, Context: "scanhook", State: "failure",
		Description: "2 new", TargetURL: "http://x.example/", At: now, ID: got.ID, Creator: "scanhook-bot",
	}
	if diff := cmp.Diff(want, got); diff != "" || got.ID == 0 {
		t.Errorf("latest (-want +got):\n%s", diff)
	}
	if n := len(p.Statuses(p.project, p.sample.Head)); n != 2 {
		t.Errorf("%d statuses kept, want 2", n)
	}
	if _, ok := p.Latest(p.project, p.sample.Before, "scanhook"); ok {
		t.Error("the other commit has a status, want none")
	}
}
