package health_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/health"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// fixture is a store and its health, on one clock.
type fixture struct {
	*health.Health
	store *store.Store
	now   time.Time
}

func newFixture(t *testing.T, e storetest.Engine, change ...func(*health.Config)) *fixture {
	t.Helper()
	w := &fixture{now: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	w.store = e.Open(t, store.Config{Now: clock})
	cfg := health.Config{
		Store: w.store, Scanners: []string{"gitleaks"}, Disks: map[string]string{"data": t.TempDir(), "gone": t.TempDir() + "/none"},
		Platforms: []health.Platform{
			{Name: "github", Listen: true, Posts: true}, {Name: "gitea", Listen: true}, {Name: "gitlab"},
		},
		Log: slog.New(slog.DiscardHandler), Now: clock, Timeout: time.Minute,
	}
	for _, f := range change {
		f(&cfg)
	}
	w.Health = health.New(cfg)
	return w
}

// call records a call of a project's webhook.
func (w *fixture) call(t *testing.T, project string) {
	t.Helper()
	d := core.Delivery{Platform: "github", Key: fmt.Sprint(project, w.now), Name: "ping", Project: project}
	if _, err := w.store.Accept(t.Context(), storetest.With(d, core.Ignored{Reason: "ping"})); err != nil {
		t.Fatal(err)
	}
}

// judge runs until all calls are counted.
func (w *fixture) judge(t *testing.T) {
	t.Helper()
	for worked := true; worked; {
		var err error
		if worked, err = w.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// callDaily records calls of projects on a number of days.
func (w *fixture) callDaily(t *testing.T, days int, projects ...string) {
	t.Helper()
	for range days {
		for _, project := range projects {
			w.call(t, project)
		}
		w.now = w.now.AddDate(0, 0, 1)
	}
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}

func lacks(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) {
			t.Errorf("%q in:\n%s", part, text)
		}
	}
}

// expect looks for lines of one gauge.
func expect(t *testing.T, w *fixture, name string, lines ...string) {
	t.Helper()
	text, err := testutil.CollectAndFormat(w, expfmt.TypeTextPlain, name)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(text), lines...)
}
