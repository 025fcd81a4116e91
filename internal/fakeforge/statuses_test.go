package fakeforge_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

func TestStrangersOverwriteStatuses(t *testing.T) {
	t.Parallel()
	for kind, path := range map[*forgetest.Kind]string{
		forgetest.GitHub: "/repos/acme/payments/commits/", forgetest.GitLab: "/projects/77/repository/commits/",
	} {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			p := forgetest.Start(t, kind, fakeforge.Config{Token: forgetest.Token})
			p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"success","context":"scanhook","ref":"main"}`)
			mine, _ := p.Latest(p.Project, p.Sample.Head, "scanhook")
			theirs := mine
			theirs.State, theirs.Creator = map[*forgetest.Kind]string{forgetest.GitHub: "failure", forgetest.GitLab: "failed"}[kind], "ci-bot"
			if err := p.Overwrite(theirs); err != nil {
				t.Fatal(err)
			}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.API+path+p.Sample.Head+"/statuses", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+forgetest.Token)
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
			if response, _ := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"success"}`); response.StatusCode != 403 {
				t.Errorf("a post of a forgetest.Token that may not: %d", response.StatusCode)
			}
			if len(p.Refused()) != 0 {
				t.Errorf("taken for a breach of the rules: %+v", p.Refused())
			}
		})
	}
}
