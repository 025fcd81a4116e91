package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/migrations"
	"github.com/scanhook/scanhook/store/storetest"
)

func fetch(t *testing.T, address string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// scraped fetches /metrics as Prometheus does, and keeps what is ours. On a busy machine the database may be too slow for
// some of it once.
func scraped(t *testing.T, w *sandbox) []string {
	t.Helper()
	return eventually(t, "a scrape with an answer of the database", func() ([]string, bool) {
		lines := scrape(t, w)
		return lines, slices.Contains(lines, "scanhook_database_up 1")
	})
}

func scrape(t *testing.T, w *sandbox) []string {
	t.Helper()
	code, text := fetch(t, w.scanhook+"/metrics")
	if code != http.StatusOK {
		t.Fatalf("/metrics: %d %s", code, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	return slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return !strings.HasPrefix(line, "scanhook_") })
}

// A push is seen by every counter that it passes, on both engines.
func TestMetricsFollowAPush(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		w, sample := setup(t, sandboxConfig{kind: "github", database: e.URL(t)})
		startSandbox(t, w)
		pushTo(t, w, "main", "", sample.Head)
		finalOf(t, w, sample.Head)
		if code, _ := fetch(t, w.scanhook+"/api/v1/scans"); code != http.StatusUnauthorized {
			t.Fatalf("without a token: %d", code)
		}
		for _, want := range []string{
			`scanhook_push_to_status_seconds_count{platform="github"} 1`,
			`scanhook_webhook_deliveries_total{event="push",outcome="accepted",platform="github"} 1`,
			`scanhook_http_requests_total{code="202",method="POST",route="/webhooks/:platform"} 1`,
			`scanhook_http_requests_total{code="401",method="GET",route="/api/v1/scans"} 1`,
			`scanhook_statuses_posted_total{platform="github",state="failure"} 1`,
			`scanhook_http_bodies_in_flight 0`, `scanhook_http_body_bytes_in_flight 0`, `scanhook_database_up 1`,
			`scanhook_intake_queue_length 0`, `scanhook_platform_silent{platform="github"} 0`,
		} {
			eventually(t, want, func() (any, bool) { return nil, slices.Contains(scraped(t, w), want) })
		}
	})
}

// However many projects, paths, methods and hosts strangers invent, the series stay the same.
func TestStrangersMakeNoSeries(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github", extra: "repositories: [{match: 'github/acme/*'}]"})
	startSandbox(t, w)
	attack := func(n int) {
		hostile := fmt.Sprintf("evil%d/x", n)
		for _, path := range []string{"/projects/github/p", "/scans/s", "/api/v1/scans/r", "/webhooks/w", "/nothing"} {
			fetch(t, w.scanhook+path+fmt.Sprint(n))
		}
		w.platform.AddRepository(fakeforge.Repository{Project: hostile, Dir: sample.Dir, DefaultBranch: "main"})
		spec := fakeforge.PushSpec{Project: hostile, Ref: "refs/heads/main", After: sample.Head}
		if _, err := w.push(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), fmt.Sprint("BREW", n), w.scanhook+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			_ = answer.Body.Close()
		}
	}
	attack(0)
	scraped(t, w) // itself a request that is counted
	before := scraped(t, w)
	for n := range 40 {
		attack(n + 1)
	}
	after := scraped(t, w)
	if len(after) != len(before) {
		t.Errorf("%d series became %d", len(before), len(after))
	}
	if text := strings.Join(after, "\n"); strings.Contains(text, "evil") || strings.Contains(text, "BREW1") {
		t.Errorf("a stranger's words are in:\n%s", text)
	}
}

func TestReadyzTellsOfEveryHop(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github"})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Head)
	finalOf(t, w, sample.Head)
	if code, text := fetch(t, w.scanhook+"/readyz"); code != http.StatusOK || text != "ready\n" {
		t.Errorf("/readyz: %d %q", code, text)
	}
	code, text := fetch(t, w.scanhook+"/readyz?verbose")
	if code != http.StatusOK {
		t.Errorf("/readyz?verbose: %d", code)
	}
	applied, err := migrations.Hashes("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ok    database: answers in", fmt.Sprintf("ok    migrations: %d applied", len(applied)), "ok    intake: 0", "ok    jobs: ",
		"ok    platform github: has a secret and a token; last post ", "disk checkouts: ", "disk database: "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "acme") || strings.Contains(text, w.apiToken) ||
		strings.Contains(text, w.config.Database.URL.Reveal()) {
		t.Errorf("it tells too much:\n%s", text)
	}
}

func TestMetricsMayHaveAnAddressOfTheirOwn(t *testing.T) {
	t.Parallel()
	w, _ := setup(t, sandboxConfig{kind: "github"})
	w.config.Server.MetricsListen = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	app, err := newApp(ctx, w.config, w.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.close() })
	listener, err := net.Listen("tcp", w.config.Server.MetricsListen)
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	app.handler.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusNotFound {
		t.Errorf("at the address for everybody: %d, want 404", answer.Code)
	}
	served := make(chan struct{})
	go func() { serveMetrics(ctx, listener, app.metrics, w.log); close(served) }()
	code, text := fetch(t, "http://"+listener.Addr().String()+metricsPath)
	if code != http.StatusOK || !strings.Contains(text, "scanhook_build_info") {
		t.Errorf("at its own address: %d", code)
	}
	if code, text := fetch(t, "http://"+listener.Addr().String()+"/debug/pprof/goroutine?debug=1"); code != http.StatusOK || !strings.Contains(text, "goroutine profile") {
		t.Errorf("a profile: %d", code)
	}
	stranger := httptest.NewRequestWithContext(ctx, http.MethodGet, "/debug/pprof/", nil) // from 192.0.2.1
	refused := httptest.NewRecorder()
	onThisMachine(func(http.ResponseWriter, *http.Request) { t.Error("a stranger gets a profile") })(refused, stranger)
	if refused.Code != http.StatusForbidden {
		t.Errorf("a stranger: %d", refused.Code)
	}
	cancel()
	<-served
}
