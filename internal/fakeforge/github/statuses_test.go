package github_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

func TestGitHubRules(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{Token: forgetest.Token})
	head := p.StatusPath(p.Sample.Head)
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
		"unknown commit":     {p.StatusPath(unknown), `{"state":"success"}`, 422, "No commit found for SHA: " + unknown},
		"abbreviated commit": {p.StatusPath("abc1234"), `{"state":"success"}`, 422, "No commit found for SHA: abc1234"},
		"unknown repository": {"/repos/acme/other/statuses/" + unknown, `{"state":"success"}`, 404, "Not Found"},
		"no commit at all":   {"/repos/acme/payments/statuses/", `{"state":"success"}`, 404, "404 Not Found"},
		"not JSON":           {head, `state=success`, 400, "Problems parsing JSON"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, body := p.Call(t, http.MethodPost, test.path, test.body)
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
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{Token: forgetest.Token})
	post := func(context string) int {
		response, _ := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"pending","context":"`+context+`"}`)
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

func TestGitHubKeepsWhatWasPosted(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{Token: forgetest.Token})
	p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"pending","context":"scanhook"}`)
	p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head),
		`{"state":"failure","context":"scanhook","description":"2 new","target_url":"http://x.example/"}`)
	got, _ := p.Latest(p.Project, p.Sample.Head, "scanhook")
	want := fakeforge.Status{
		Project: p.Project, SHA: p.Sample.Head, Context: "scanhook", State: "failure",
		Description: "2 new", TargetURL: "http://x.example/", At: forgetest.Now, ID: got.ID, Creator: "scanhook-bot",
	}
	if diff := cmp.Diff(want, got); diff != "" || got.ID == 0 {
		t.Errorf("latest (-want +got):\n%s", diff)
	}
	if n := len(p.Statuses(p.Project, p.Sample.Head)); n != 2 {
		t.Errorf("%d statuses kept, want 2", n)
	}
	if _, ok := p.Latest(p.Project, p.Sample.Before, "scanhook"); ok {
		t.Error("the other commit has a status, want none")
	}
}

func TestGitHubAnnouncesStatuses(t *testing.T) {
	t.Parallel()
	told := make(chan map[string]any, 2)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		payload := map[string]any{}
		_ = json.Unmarshal(body, &payload)
		payload["event"] = r.Header.Get("X-GitHub-Event")
		told <- payload
	}))
	defer hook.Close()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{Token: forgetest.Token})
	p.AddHook(fakeforge.Hook{Project: p.Project, URL: hook.URL, Secret: "s", Events: []string{"push"}})
	p.AddHook(fakeforge.Hook{Project: p.Project, URL: hook.URL, Secret: "s", Events: []string{"status"}})
	p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"success","context":"scanhook"}`)
	got := <-told
	posted, _ := p.Latest(p.Project, p.Sample.Head, "scanhook")
	if got["event"] != "status" || got["sha"] != p.Sample.Head || got["id"] != float64(posted.ID) || got["name"] != p.Project {
		t.Errorf("told %v", got)
	}
}
