package gitlab_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

func TestGitLabTellsOfTheMergeRequest(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{})
	d, err := p.BuildPipeline(t.Context(), fakeforge.PipelineSpec{
		Project: p.Project, SHA: p.Sample.Head, Branch: "feature", MergeRequest: 7,
	})
	if err != nil {
		t.Fatal(err)
	}
	event := forgetest.Decode(t, d.Body)
	run, request := event["object_attributes"].(map[string]any), event["merge_request"].(map[string]any)
	if run["source"] != "merge_request_event" || run["ref"] != "feature" || request["iid"] != 7.0 {
		t.Errorf("event = %v of %v", run, request)
	}
}

func TestGitLabSendsArtifactSizes(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{})
	d, err := p.BuildPipeline(t.Context(), fakeforge.PipelineSpec{
		Project: p.Project, SHA: p.Sample.Head, Artifacts: []int64{100, 23},
	})
	if err != nil {
		t.Fatal(err)
	}
	var total float64
	for _, build := range forgetest.Decode(t, d.Body)["builds"].([]any) {
		total += build.(map[string]any)["artifacts_file"].(map[string]any)["size"].(float64)
	}
	if total != 123 {
		t.Errorf("artifacts = %v bytes, want 123", total)
	}
}

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
