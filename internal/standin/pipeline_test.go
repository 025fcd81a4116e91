package standin_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/standin"
)

func TestPipelineFacts(t *testing.T) {
	t.Parallel()
	spec := standin.PipelineSpec{
		ID: 31, Attempt: 2, Queued: 5 * time.Second, Duration: 90 * time.Second, CreatedAt: now, Artifacts: []int64{100, 23},
	}
	tests := map[string]struct {
		kind   standin.Kind
		status string
		want   map[string]any
	}{
		"github completed": {standin.GitHub, "", map[string]any{
			"id": 31.0, "run_attempt": 2.0, "status": "completed", "conclusion": "success", "head_branch": "main",
			"created_at": "2026-05-04T12:00:00Z", "run_started_at": "2026-05-04T12:00:05Z", "updated_at": "2026-05-04T12:01:35Z",
		}},
		"github running": {standin.GitHub, "in_progress", map[string]any{
			"status": "in_progress", "conclusion": nil, "updated_at": "2026-05-04T12:00:05Z",
		}},
		"gitlab success": {standin.GitLab, "", map[string]any{
			"id": 31.0, "status": "success", "duration": 90.0, "queued_duration": 5.0, "source": "push", "ref": "main",
			"created_at": "2026-05-04 12:00:00 UTC", "finished_at": "2026-05-04 12:01:35 UTC",
		}},
		"gitlab running": {standin.GitLab, "running", map[string]any{
			"status": "running", "duration": nil, "finished_at": nil, "queued_duration": 5.0,
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, standin.Config{Kind: test.kind})
			spec := spec
			spec.Project, spec.SHA, spec.Status = p.project, p.sample.Head, test.status
			address, calls := hook(t)
			if _, err := p.Pipeline(t.Context(), address, spec); err != nil {
				t.Fatal(err)
			}
			event := decode(t, (<-calls).body)
			run, ok := event["workflow_run"].(map[string]any)
			if !ok {
				run = event["object_attributes"].(map[string]any)
			}
			got := map[string]any{}
			for field := range test.want {
				got[field] = run[field]
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("run (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGitLabSendsArtifactSizes(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitLab})
	d, err := p.BuildPipeline(t.Context(), standin.PipelineSpec{
		Project: p.project, SHA: p.sample.Head, Artifacts: []int64{100, 23},
	})
	if err != nil {
		t.Fatal(err)
	}
	var total float64
	for _, build := range decode(t, d.Body)["builds"].([]any) {
		total += build.(map[string]any)["artifacts_file"].(map[string]any)["size"].(float64)
	}
	if total != 123 {
		t.Errorf("artifacts = %v bytes, want 123", total)
	}
}

func TestGitHubAnswersArtifactSizes(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub, Token: token})
	_, err := p.BuildPipeline(t.Context(), standin.PipelineSpec{
		Project: p.project, SHA: p.sample.Head, ID: 31, Artifacts: []int64{100, 23},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, body := p.call(t, http.MethodGet, "/repos/"+p.project+"/actions/runs/31/artifacts", "")
	if body["total_count"] != 2.0 || body["artifacts"].([]any)[1].(map[string]any)["size_in_bytes"] != 23.0 {
		t.Errorf("artifacts = %v, want 100 and 23 bytes", body)
	}
	response, _ := p.call(t, http.MethodGet, "/repos/"+p.project+"/actions/runs/32/artifacts", "")
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("artifacts of an unknown run: %d, want 404", response.StatusCode)
	}
}
