package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/metrics"
)

func scrape(t *testing.T, m *metrics.Meter) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func use(m *metrics.Meter) {
	m.Delivered("github", core.Push{}, core.ScanCreated)
	m.Delivered("github", nil, metrics.OutcomeFailed)
	m.Refused("gitlab")
	m.Bodies(1)
	m.Arriving(17)
	m.Answered(metrics.Request{Method: "POST", Route: "/webhooks/:platform", Code: 202, Took: 3 * time.Millisecond, Body: 5000})
	m.Answered(metrics.Request{Method: "GET", Route: "/scans/:ref/events", Code: 200, Took: time.Hour, Streamed: true})
	status := core.Status{SourcePlatform: "github", State: core.StatusFailure}
	m.TriedToPost(status, metrics.Posted)
	m.TriedToPost(status, metrics.RateLimited)
	m.Paused("github", time.Minute)
	m.FirstFinal("github", 7*time.Second)
	m.JobEnded("gitleaks", metrics.JobDone, 3*time.Second)
}

func TestMeterCounts(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Build{Version: "v1", Migration: "0042"})
	use(m)
	text := scrape(t, m)
	for _, want := range []string{
		`scanhook_build_info{go="go1.`, `,migration="0042",version="v1"} 1`,
		`scanhook_webhook_deliveries_total{event="push",outcome="scan_created",platform="github"} 1`,
		`scanhook_webhook_deliveries_total{event="other",outcome="failed",platform="github"} 1`,
		`scanhook_webhook_refused_total{platform="gitlab"} 1`,
		`scanhook_http_requests_total{code="202",method="POST",route="/webhooks/:platform"} 1`,
		`scanhook_http_request_duration_seconds_bucket{method="POST",route="/webhooks/:platform",le="0.005"} 1`,
		`scanhook_http_request_body_bytes_sum{method="POST",route="/webhooks/:platform"} 5000`,
		`scanhook_http_bodies_in_flight 1`, `scanhook_http_body_bytes_in_flight 17`,
		`scanhook_status_posts_total{outcome="rate_limited",platform="github"} 1`,
		`scanhook_statuses_posted_total{platform="github",state="failure"} 1`,
		`scanhook_platform_rate_limit_seconds_total{platform="github"} 60`,
		`scanhook_push_to_status_seconds_sum{platform="github"} 7`, `scanhook_job_seconds_sum{outcome="done",scanner="gitleaks"} 3`,
		`go_goroutines`, `process_open_fds`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
	if strings.Contains(text, `duration_seconds_sum{method="GET",route="/scans/:ref/events"}`) {
		t.Error("a stream's duration was counted")
	}
}

func TestScrapeParsesAndLints(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Build{Version: "v1", Migration: "0042"})
	use(m)
	text := scrape(t, m)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What clients choose does not become a label.
func TestClientsCreateNoSeries(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Build{Version: "v1", Migration: "0042"})
	use(m)
	m.Answered(metrics.Request{Method: "BREW", Code: 404})
	before := strings.Count(scrape(t, m), "\n")
	for n := range 500 {
		m.Answered(metrics.Request{Method: fmt.Sprint("BREW", n), Code: 404})
	}
	if after := strings.Count(scrape(t, m), "\n"); after != before {
		t.Errorf("%d lines became %d", before, after)
	}
}

func TestNoMeterCountsNothing(t *testing.T) {
	t.Parallel()
	use(nil)
}
