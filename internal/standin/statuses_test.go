package standin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/scanhook/scanhook/internal/standin"
)

func TestStrangersOverwriteStatuses(t *testing.T) {
	t.Parallel()
	for kind, path := range map[standin.Kind]string{
		standin.GitHub: "/repos/acme/payments/commits/", standin.GitLab: "/projects/77/repository/commits/",
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := start(t, standin.Config{Kind: kind, Token: token})
			p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"success","context":"scanhook","ref":"main"}`)
			mine, _ := p.Latest(p.project, p.sample.Head, "scanhook")
			theirs := mine
			theirs.State, theirs.Creator = map[standin.Kind]string{standin.GitHub: "failure", standin.GitLab: "failed"}[kind], "ci-bot"
			if err := p.Overwrite(theirs); err != nil {
				t.Fatal(err)
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.api+path+p.sample.Head+"/statuses", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+token)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			var list []struct {
				ID              int64
				Creator, Author map[string]any
			}
			if err := json.NewDecoder(response.Body).Decode(&list); err != nil || len(list) != 2 {
				t.Fatalf("listed %+v, %v", list, err)
			}
			if list[0].ID <= mine.ID || list[0].Creator["login"] != "ci-bot" && list[0].Author["username"] != "ci-bot" {
				t.Errorf("the latest is %+v, want the stranger's, after %d", list[0], mine.ID)
			}
			p.RefuseStatuses(http.StatusForbidden)
			if response, _ := p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"success"}`); response.StatusCode != 403 {
				t.Errorf("a post of a token that may not: %d", response.StatusCode)
			}
			if len(p.Refused()) != 0 {
				t.Errorf("taken for a breach of the rules: %+v", p.Refused())
			}
		})
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
	p := start(t, standin.Config{Kind: standin.GitHub, Token: token})
	p.AddHook(standin.Hook{Project: p.project, URL: hook.URL, Secret: "s", Events: []string{"push"}})
	p.AddHook(standin.Hook{Project: p.project, URL: hook.URL, Secret: "s", Events: []string{"status"}})
	p.call(t, http.MethodPost, p.statusPath(p.sample.Head), `{"state":"success","context":"scanhook"}`)
	got := <-told
	posted, _ := p.Latest(p.project, p.sample.Head, "scanhook")
	if got["event"] != "status" || got["sha"] != p.sample.Head || got["id"] != float64(posted.ID) || got["name"] != p.project {
		t.Errorf("told %v", got)
	}
}
