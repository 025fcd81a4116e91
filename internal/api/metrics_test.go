package api_test

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/storetest"
)

type metric struct {
	ID            int64    `json:"id"`
	CommitSHA     string   `json:"commit_sha"`
	Status        string   `json:"pipeline_status"`
	Bytes         *int64   `json:"artifact_size_bytes"`
	AnomalyScore  *float64 `json:"anomaly_score"`
	AnomalyReason string   `json:"anomaly_reason"`
	Expected      bool     `json:"expected"`
	ExpectedBy    string   `json:"expected_by"`
	Ranges        struct {
		Duration *struct{ Low, High, Median, Score float64 } `json:"build_duration_seconds"`
		Artifact *struct{ Low, High, Median, Score float64 } `json:"artifact_size_bytes"`
	} `json:"expected_ranges"`
}

type metricPage struct {
	Items []metric
	Next  string
}

const metricsPath = "/api/v1/projects/github/acme%2Fshop/metrics"

// runs records n ordinary runs and one whose artifact is four times as large.
func (b *bench) runs(t *testing.T, n int) {
	t.Helper()
	for i := 1; i <= n+1; i++ {
		d, push := storetest.PushOf(i)
		duration, bytes := 100*time.Second, int64(41e6)
		if i > n {
			bytes *= 4
		}
		_, err := b.store.Accept(t.Context(), storetest.With(d, core.Pipeline{
			Project: push.Project, ID: int64(i), Attempt: 1, Name: "CI", Branch: []string{"main", "main", "side"}[i%3],
			CommitSHA: push.CommitSHA, Status: "completed", Conclusion: "success", Duration: &duration, ArtifactBytes: &bytes,
			FinishedAt: time.Date(2026, 11, 23, 12, i, 0, 0, time.UTC),
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestListMetrics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.runs(t, 48)
	var seen []int64
	for path, next := metricsPath+"?limit=20", "x"; next != ""; path = metricsPath + "?limit=20&cursor=" + next {
		var page metricPage
		if answer := b.call(t, "triager", http.MethodGet, path, "", &page); answer.Code != http.StatusOK {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
		for _, item := range page.Items {
			seen = append(seen, item.ID)
		}
		next = page.Next
	}
	if len(seen) != 49 || seen[0] != 49 || seen[48] != 1 {
		t.Errorf("ids %v, want 49 to 1", seen)
	}
	for query, want := range map[string]int{
		"?branch=side": 16, "?branch=main": 33, "?pipeline_name=CI": 49, "?pipeline_name=other": 0,
		"?commit=" + storetest.SHA(3): 1,
	} {
		var page metricPage
		b.call(t, "triager", http.MethodGet, metricsPath+query, "", &page)
		if len(page.Items) != want {
			t.Errorf("%s: %d runs, want %d", query, len(page.Items), want)
		}
	}
	var none metricPage
	b.call(t, "triager", http.MethodGet, "/api/v1/projects/github/acme%2Fother/metrics", "", &none)
	if none.Items == nil || len(none.Items) != 0 {
		t.Errorf("runs of a project without any: %+v", none)
	}
	if answer := b.call(t, "", http.MethodGet, metricsPath, "", nil); answer.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", answer.Code)
	}
}

func TestPatchMetric(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.runs(t, 48)
	var page metricPage
	b.call(t, "triager", http.MethodGet, metricsPath+"?branch=main&limit=2", "", &page)
	last, before := page.Items[0], page.Items[1]
	if last.AnomalyScore == nil || last.AnomalyReason != "artifact 41 MB → 164 MB (+300 %)" ||
		last.Ranges.Artifact == nil || math.Round(last.Ranges.Artifact.Median) != 41e6 || last.Ranges.Artifact.High > 164e6 {
		t.Errorf("unusual run = %+v", last)
	}
	if before.AnomalyScore == nil || before.AnomalyReason != "" || before.Ranges.Duration.High < 100 {
		t.Errorf("ordinary run = %+v", before)
	}
	path := fmt.Sprintf("/api/v1/metrics/%d", last.ID)
	var marked metric
	answer := b.call(t, "machine", http.MethodPatch, path, `{"expected":true}`, &marked)
	if answer.Code != http.StatusOK || !marked.Expected || marked.ExpectedBy != "ci" {
		t.Errorf("marked: %d %+v", answer.Code, marked)
	}
	for _, c := range []struct {
		role, path, body string
		want             int
	}{
		{"uploader", path, `{"expected":true}`, http.StatusForbidden},
		{"triager", "/api/v1/metrics/4711", `{"expected":true}`, http.StatusNotFound},
		{"triager", "/api/v1/metrics/0", `{"expected":true}`, http.StatusUnprocessableEntity},
		{"triager", path, `{}`, http.StatusUnprocessableEntity},
	} {
		if answer := b.call(t, c.role, http.MethodPatch, c.path, c.body, nil); answer.Code != c.want {
			t.Errorf("%+v: %d", c, answer.Code)
		}
	}
}
