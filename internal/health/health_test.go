package health_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/health"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// ward is a store and the room that watches over it, on one clock.
type ward struct {
	*health.Health
	store *store.Store
	now   time.Time
}

func newWard(t *testing.T, e storetest.Engine, change ...func(*health.Config)) *ward {
	t.Helper()
	w := &ward{now: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	w.store = e.Open(t, store.Config{Now: clock})
	cfg := health.Config{
		Store: w.store, Scanners: []string{"gitleaks"}, Disks: map[string]string{"data": t.TempDir(), "gone": t.TempDir() + "/none"},
		Platforms: []health.Platform{
			{Name: "github", Listen: true, Posts: true}, {Name: "gitea", Listen: true}, {Name: "gitlab"},
		},
		Log: slog.New(slog.DiscardHandler), Now: clock, Patience: time.Minute,
	}
	for _, f := range change {
		f(&cfg)
	}
	w.Health = health.New(cfg)
	return w
}

// call lets a project's webhook call.
func (w *ward) call(t *testing.T, project string) {
	t.Helper()
	d := core.Delivery{Platform: "github", Key: fmt.Sprint(project, w.now), Name: "ping", Project: project}
	if _, err := w.store.AcceptIgnored(t.Context(), d, "ping"); err != nil {
		t.Fatal(err)
	}
}

// listen runs until there is nothing new to hear.
func (w *ward) listen(t *testing.T) {
	t.Helper()
	for worked := true; worked; {
		var err error
		if worked, err = w.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// work lets projects call on every day for some weeks.
func (w *ward) work(t *testing.T, days int, projects ...string) {
	t.Helper()
	for range days {
		for _, project := range projects {
			w.call(t, project)
		}
		w.now = w.now.AddDate(0, 0, 1)
	}
}

func TestSilenceIsTold(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		w := newWard(t, e)
		w.work(t, 30, "acme/a", "acme/b")
		w.listen(t)
		if silent := w.Silent(); len(silent) != 0 {
			t.Fatalf("silent: %+v, want none", silent)
		}
		w.work(t, 8, "acme/a")
		w.listen(t)
		silent := w.Silent()
		if len(silent) != 1 || silent[0].Project != "acme/b" || silent[0].Usual != 24*time.Hour {
			t.Fatalf("silent: %+v, want acme/b", silent)
		}
		contains(t, w.Lines(t.Context()),
			"warn  webhooks of github: 1 of 2 silent, the first since 2026-06-02")
		lacks(t, w.Lines(t.Context()), "acme")
		expect(t, w, "scanhook_hooks_silent",
			`scanhook_hooks_silent{platform="gitea"} 0`, `scanhook_hooks_silent{platform="github"} 1`)
		expect(t, w, "scanhook_longest_hook_silence_seconds", `{platform="github"} 777600`)
		w.call(t, "acme/b")
		w.listen(t)
		if hook, heard := w.Hook("github", "acme/b"); !heard || hook.Silent || !hook.Last.Equal(w.now) {
			t.Errorf("after a call: %+v", hook)
		}
		w.now = w.now.AddDate(0, 0, 9)
		w.listen(t)
		contains(t, w.Lines(t.Context()),
			"warn  webhooks of github: all silent for longer than their past explains; last call 9 days ago")
		expect(t, w, "scanhook_platform_silent", `scanhook_platform_silent{platform="github"} 1`)
	})
}

func TestLinesTellOfEveryHop(t *testing.T) {
	t.Parallel()
	pause := time.Time{}
	w := newWard(t, storetest.Engines[0], func(cfg *health.Config) {
		cfg.Pause = func(string) time.Time { return pause }
	})
	pause = w.now.Add(20 * time.Minute)
	d, p := storetest.PushOf(1)
	if _, err := w.store.AcceptPush(t.Context(), d, p); err != nil {
		t.Fatal(err)
	}
	list := core.Feed{Kind: core.FeedEPSS, Source: "test", Date: w.now.AddDate(0, 0, -5),
		Scores: []core.Score{{CVEID: "CVE-2026-1"}}}
	if _, err := w.store.PutFeed(t.Context(), list, store.FeedOptions{}); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(15 * time.Minute)
	text := w.Lines(t.Context())
	contains(t, text, "ok    database: answers in ", "ok    migrations: ", "ok    intake: 0 deliveries",
		"ok    jobs: 1 pending (oldest 15m0s ago), 0 running", "warn  statuses on github: 1 to post (oldest 15m0s ago)",
		"warn  list epss: of 2026-04-29, 1 entries", "warn  platform github: wants no calls for 5m0s; last post never",
		"warn  platform gitea: has a secret but no token", "off   platform gitlab: has no secret",
		"off   webhooks of github: not looked at yet", "disk data: ", "warn  disk gone: cannot be looked at")
	lacks(t, text, "acme", "webhooks of gitlab")
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
func expect(t *testing.T, w *ward, name string, lines ...string) {
	t.Helper()
	text, err := testutil.CollectAndFormat(w, expfmt.TypeTextPlain, name)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(text), lines...)
}

func TestGauges(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		w := newWard(t, e)
		d, p := storetest.PushOf(1)
		if _, err := w.store.AcceptPush(t.Context(), d, p); err != nil {
			t.Fatal(err)
		}
		d, p = storetest.PushOf(2, func(d *core.Delivery, _ *core.Push) { d.Platform = "left" })
		if _, err := w.store.AcceptPush(t.Context(), d, p); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Minute)
		expect(t, w, "scanhook_jobs", `{scanner="gitleaks",state="pending"} 2`, `{scanner="gitleaks",state="running"} 0`)
		expect(t, w, "scanhook_oldest_job_age_seconds", `{scanner="gitleaks",state="pending"} 60`)
		expect(t, w, "scanhook_statuses_unposted", `{platform="github"} 1`, `{platform="other"} 1`, `{platform="gitlab"} 0`)
		expect(t, w, "scanhook_scans_open", `{status="pending"} 2`, `{status="processing"} 0`)
		expect(t, w, "scanhook_recent_scans", `{status="pending",verdict=""} 2`)
		expect(t, w, "scanhook_database_up", `scanhook_database_up 1`)
		expect(t, w, "scanhook_disk_free_bytes", `{use="data"}`)
		registry := prometheus.NewRegistry()
		registry.MustRegister(w)
		problems, err := testutil.GatherAndLint(registry)
		if err != nil || len(problems) > 0 {
			t.Errorf("lint: %v %v", problems, err)
		}
	})
}

// However many ask, the database is asked once; who hangs up meanwhile spoils nothing.
func TestSnapshotsAreShared(t *testing.T) {
	t.Parallel()
	w := newWard(t, storetest.Engines[0])
	over, cancel := context.WithCancel(t.Context())
	cancel()
	contains(t, w.Lines(over), "ok    database")
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() { contains(t, w.Lines(t.Context()), "ok    database") })
	}
	asking.Wait()
	w.now = w.now.Add(time.Hour)
	contains(t, w.Lines(t.Context()), "warn  database: does not answer")
	expect(t, w, "scanhook_database_up", `scanhook_database_up 0`)
	expect(t, w, "scanhook_intake_queue_length", `scanhook_intake_queue_length 0`)
}

// A token that may not post is told where there is one.
func TestTroubleWithATokenIsTold(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"github", "gitea"} {
		w := newWard(t, storetest.Engines[0])
		d, p := storetest.PushOf(1)
		d.Platform = platform
		if _, err := w.store.AcceptPush(t.Context(), d, p); err != nil {
			t.Fatal(err)
		}
		claimed, err := w.store.ClaimStatuses(t.Context(), []string{platform}, 1, time.Minute)
		if err != nil || len(claimed) != 1 {
			t.Fatalf("claimed %+v, %v", claimed, err)
		}
		denied := store.Settlement{Error: "denied", RetryAfter: time.Minute, Trouble: &core.Trouble{Probes: 1}}
		if err := w.store.SettleStatus(t.Context(), claimed[0], denied); err != nil {
			t.Fatal(err)
		}
		const line = "may not post to 1 project; scanhook check names them"
		if told := strings.Contains(w.Lines(t.Context()), line); told != (platform == "github") {
			t.Errorf("%s: told %t in\n%s", platform, told, w.Lines(t.Context()))
		}
	}
}
