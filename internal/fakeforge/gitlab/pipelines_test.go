package gitlab_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/internal/fakeforge/gitlab"
)

func TestGitLabPipelines(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token})
	commit := "/projects/77/repository/commits/" + p.Sample.Head
	if _, body := p.Call(t, http.MethodGet, commit, ""); body["last_pipeline"] != nil || body["id"] != p.Sample.Head {
		t.Fatalf("commit = %v, want one without a pipeline", body)
	}
	_, first := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"running","ref":"main"}`)
	_, body := p.Call(t, http.MethodGet, commit, "")
	external, _ := body["last_pipeline"].(map[string]any)
	if external["id"] != first["pipeline_id"] || external["source"] != "external" || external["status"] != "running" {
		t.Errorf("last_pipeline = %v, want the external one of %v", external, first)
	}
	ci, err := p.AddPipeline(p.Project, p.Sample.Head, "main")
	if err != nil {
		t.Fatal(err)
	}
	_, second := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"running","ref":"main"}`)
	if second["pipeline_id"] != float64(ci) {
		t.Errorf("the second status went to %v, want the newest pipeline %d", second["pipeline_id"], ci)
	}
	_, third := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), `{"state":"running","ref":"other"}`)
	if third["pipeline_id"] == second["pipeline_id"] || third["pipeline_id"] == first["pipeline_id"] {
		t.Errorf("a status for another ref went to %v, want a pipeline of its own", third["pipeline_id"])
	}
}

// A pipeline of a merge request takes statuses by its number, and none that names the branch: that gets another one.
func TestGitLabMergeRequestPipelines(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{Token: forgetest.Token})
	merge, err := p.AddPipeline(p.Project, p.Sample.Head, gitlab.MergeRequestRef(1, false))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		post  string
		code  int
		merge bool
	}{
		{fmt.Sprintf(`{"state":"running","ref":"main","pipeline_id":%d}`, merge), http.StatusNotFound, false},
		{fmt.Sprintf(`{"state":"running","pipeline_id":%d}`, merge), http.StatusCreated, true},
		{`{"state":"success"}`, http.StatusCreated, true},
		{`{"state":"running","ref":"main"}`, http.StatusCreated, false},
	} {
		response, body := p.Call(t, http.MethodPost, p.StatusPath(p.Sample.Head), test.post)
		if response.StatusCode != test.code || (body["pipeline_id"] == float64(merge)) != test.merge {
			t.Errorf("%s was answered %d %v, want %d, in the merge request's: %t", test.post, response.StatusCode, body,
				test.code, test.merge)
		}
	}
}
