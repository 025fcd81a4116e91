package github_test

import (
	"net/http"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

func TestGitHubAnswersArtifactSizes(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{Token: forgetest.Token})
	_, err := p.BuildPipeline(t.Context(), fakeforge.PipelineSpec{
		Project: p.Project, SHA: p.Sample.Head, ID: 31, Artifacts: []int64{100, 23},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, body := p.Call(t, http.MethodGet, "/repos/"+p.Project+"/actions/runs/31/artifacts", "")
	if body["total_count"] != 2.0 || body["artifacts"].([]any)[1].(map[string]any)["size_in_bytes"] != 23.0 {
		t.Errorf("artifacts = %v, want 100 and 23 bytes", body)
	}
	response, _ := p.Call(t, http.MethodGet, "/repos/"+p.Project+"/actions/runs/32/artifacts", "")
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("artifacts of an unknown run: %d, want 404", response.StatusCode)
	}
}
