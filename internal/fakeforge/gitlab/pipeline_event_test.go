package gitlab_test

import (
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
