package main

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// build tells of a workflow run or pipeline of a commit that ended well, n minutes after noon.
func build(t *testing.T, w *sandbox, sha string, n int, artifacts ...int64) {
	t.Helper()
	spec := fakeforge.PipelineSpec{
		Project: "acme/shop", SHA: sha, Queued: 3 * time.Second, Duration: time.Duration(100+n%7) * time.Second,
		CreatedAt: time.Date(2026, 11, 23, 12, n, 0, 0, time.UTC), Artifacts: artifacts,
	}
	delivery, err := w.platform.Pipeline(t.Context(), w.hookURL(), spec)
	recorded := strings.Contains(string(delivery.Answer), "accepted")
	if err != nil || delivery.Status != http.StatusAccepted || !recorded {
		t.Fatalf("pipeline: %+v, %v", delivery, err)
	}
}

type metricsPage struct {
	Items []struct {
		ID            int64    `json:"id"`
		Artifact      *int64   `json:"artifact_size_bytes"`
		AnomalyScore  *float64 `json:"anomaly_score"`
		AnomalyReason string   `json:"anomaly_reason"`
		Ranges        struct {
			Artifact *struct {
				High float64 `json:"high"`
			} `json:"artifact_size_bytes"`
		} `json:"expected_ranges"`
	} `json:"items"`
}

// waitMeasured waits until the artifacts of n runs are known.
func waitMeasured(t *testing.T, w *sandbox, n int) metricsPage {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var page metricsPage
		ask(t, w, http.MethodGet, "/api/v1/projects/"+w.kind+"/acme%2Fshop/metrics?pipeline_name=CI", "", &page)
		measured := 0
		for _, item := range page.Items {
			if item.Artifact != nil {
				measured++
			}
		}
		if measured == n {
			return page
		}
	}
	t.Fatalf("the artifacts of %d runs did not become known", n)
	return metricsPage{}
}

// An artifact that is four times as large as ever shows on the commit, and a person can say that it shall be so.
func TestUnusualPipelineBecomesStatus(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, sample := setup(t, sandboxConfig{kind: kind, extra: "repositories: [{match: '**', anomalies: fail}]"})
			startSandbox(t, w)
			pushTo(t, w, "main", "", sample.Before)
			for n := range 25 {
				build(t, w, sample.Before, n, 30e6, 11e6+int64(n)*1e4)
			}
			waitMeasured(t, w, 25)
			pushTo(t, w, "main", sample.Before, sample.Head)
			build(t, w, sample.Head, 30, 130e6, 39e6)
			unusual := pipelineStatusOf(t, w, sample.Head, "unusual: artifact 41 MB → 169 MB (+311 %) with ")
			if unusual.State != "failure" && unusual.State != "failed" {
				t.Errorf("status = %+v, want it red", unusual)
			}
			pipelineStatusOf(t, w, sample.Before, "pipeline as usual")
			newest := waitMeasured(t, w, 26).Items[0]
			expected := newest.Ranges.Artifact
			if newest.AnomalyScore == nil || *newest.AnomalyScore < 3 || expected == nil || expected.High > 169e6 {
				t.Errorf("newest run = %+v, want a score and what was expected", newest)
			}
			var marked struct{ Expected bool }
			ask(t, w, http.MethodPatch, "/api/v1/metrics/"+strconv.FormatInt(newest.ID, 10), `{"expected": true}`, &marked)
			green := pipelineStatusOf(t, w, sample.Head, "expected: artifact 41 MB")
			if green.State != "success" || !marked.Expected {
				t.Errorf("status = %+v, want it green", green)
			}
			if refused := w.platform.Refused(); len(refused) > 0 {
				t.Errorf("the platform refused %+v", refused)
			}
		})
	}
}

// pipelineStatusOf waits for a status of a commit's pipelines whose text starts so.
func pipelineStatusOf(t *testing.T, w *sandbox, sha, text string) fakeforge.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	status, err := w.platform.Wait(ctx, func(s fakeforge.Status) bool {
		return s.SHA == sha && s.Context == "scanhook/pipeline" && strings.HasPrefix(s.Description, text)
	})
	if err != nil {
		t.Fatalf("no status %q of %s: %v; statuses: %+v", text, sha, err, w.platform.Statuses("acme/shop", sha))
	}
	return status
}
