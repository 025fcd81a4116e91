package gitlab_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

func TestGitLabListsTwentyCommits(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{})
	for i := range 25 {
		forgetest.Git(t, p.Sample.Dir, "commit", "--quiet", "--allow-empty", "-m", fmt.Sprint("commit ", i))
	}
	d, err := p.BuildPush(t.Context(), fakeforge.PushSpec{Project: p.Project, Ref: "refs/heads/main", Before: p.Sample.Head})
	if err != nil {
		t.Fatal(err)
	}
	var event struct {
		Commits []struct{ Title string }
		Total   int `json:"total_commits_count"`
	}
	if err := json.Unmarshal(d.Body, &event); err != nil {
		t.Fatal(err)
	}
	if len(event.Commits) != 20 || event.Total != 25 || event.Commits[0].Title != "commit 5" {
		t.Errorf("%d of %d commits from %v, want 20 of 25 from commit 5", len(event.Commits), event.Total, event.Commits)
	}
}
