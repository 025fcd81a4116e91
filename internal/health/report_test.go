package health_test

import (
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/health"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestReportHasEveryHop(t *testing.T) {
	t.Parallel()
	pause := time.Time{}
	w := newFixture(t, storetest.SQLite, func(cfg *health.Config) {
		cfg.Pause = func(string) time.Time { return pause }
	})
	pause = w.now.Add(20 * time.Minute)
	d, p := storetest.PushOf(1)
	if _, err := w.store.Accept(t.Context(), storetest.With(d, p)); err != nil {
		t.Fatal(err)
	}
	list := core.Feed{Kind: core.FeedEPSS, Source: "test", Date: w.now.AddDate(0, 0, -5),
		Scores: []core.Score{{CVEID: "CVE-2026-1"}}}
	if _, err := w.store.PutFeed(t.Context(), list, store.FeedOptions{}); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(15 * time.Minute)
	text := w.Report(t.Context())
	contains(t, text, "ok    database: answers in ", "ok    migrations: ", "ok    intake: 0 deliveries",
		"ok    jobs: 1 pending (oldest 15m0s ago), 0 running", "warn  statuses on github: 1 to post (oldest 15m0s ago)",
		"warn  list epss: of 2026-04-29, 1 entries", "warn  platform github: wants no calls for 5m0s; last post never",
		"warn  platform gitea: has a secret but no token", "off   platform gitlab: has no secret",
		"off   webhooks of github: not looked at yet", "disk data: ", "warn  disk gone: cannot be looked at")
	lacks(t, text, "acme", "webhooks of gitlab")
}

// Calls that are kept are derived at once: a backlog tells of a fault, and so does each call that is set aside.
func TestCallsThatWaitAreReported(t *testing.T) {
	t.Parallel()
	w := newFixture(t, storetest.SQLite)
	report := func(later time.Duration) string {
		w.now = w.now.Add(later)
		return w.Report(t.Context())
	}
	lacks(t, report(0), "calls of")
	d, _ := storetest.PushOf(1)
	if _, err := w.store.Keep(t.Context(), core.Call{Delivery: d, Raw: []byte("x"), Unread: true}); err != nil {
		t.Fatal(err)
	}
	contains(t, report(30*time.Second), "ok    calls of github: 1 kept and not derived yet (oldest 30s ago)")
	contains(t, report(time.Minute), "warn  calls of github: 1 kept and not derived yet (oldest 1m30s ago)")
	_, err := w.store.Derive(t.Context(), store.Deriver{Version: "1", Most: 9, Read: func(core.KeptCall) (core.Delivery, error) {
		return core.Delivery{}, core.ErrInvalid
	}})
	if err != nil {
		t.Fatal(err)
	}
	text := report(time.Minute)
	contains(t, text, "warn  calls of github: 1 set aside (oldest 2m30s ago); /deliveries?state=failed says why")
	lacks(t, text, "not derived yet")
}

// A token that may not post is reported, unless there is no token at all.
func TestTokenThatMayNotPostIsReported(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"github", "gitea"} {
		w := newFixture(t, storetest.SQLite)
		d, p := storetest.PushOf(1)
		d.Platform = platform
		if _, err := w.store.Accept(t.Context(), storetest.With(d, p)); err != nil {
			t.Fatal(err)
		}
		claimed, err := w.store.ClaimStatuses(t.Context(), []string{platform}, 1, time.Minute)
		if err != nil || len(claimed) != 1 {
			t.Fatalf("claimed %+v, %v", claimed, err)
		}
		denied := store.PostResult{Error: "denied", RetryAfter: time.Minute, Hold: &core.Hold{Probes: 1}}
		if err := w.store.SettleStatus(t.Context(), claimed[0], denied); err != nil {
			t.Fatal(err)
		}
		const line = "may not post to 1 project; scanhook check names them"
		if told := strings.Contains(w.Report(t.Context()), line); told != (platform == "github") {
			t.Errorf("%s: told %t in\n%s", platform, told, w.Report(t.Context()))
		}
	}
}

// Everybody can read the report: it counts webhooks that need repair, and names none.
func TestBrokenWebhooksAreCounted(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		w := newFixture(t, e)
		lacks(t, w.Report(t.Context()), "repair")
		for owner, state := range map[string]string{"acme/a": "disabled", "acme/b": "broken", "acme/c": "active"} {
			place := store.HookCheck{SourcePlatform: "github", HookTarget: core.HookTarget{Scope: "project", Owner: owner}}
			claimed, err := w.store.ClaimHookTargetNow(t.Context(), place, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			next := claimed
			next.State = state
			if err := w.store.SettleHookTarget(t.Context(), claimed, next, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		w.now = w.now.Add(time.Minute)
		contains(t, w.Report(t.Context()), "warn  broken webhooks of github: 2 need repair; scanhook check names them")
		lacks(t, w.Report(t.Context()), "acme")
	})
}
