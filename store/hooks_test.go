package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

var shopHooks = store.HookCheck{SourcePlatform: "github", HookTarget: core.HookTarget{Scope: "project", Owner: "acme/shop"}}

func TestHookPlacesAreCheckedInTurn(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
		db := e.Open(t, store.Config{Now: func() time.Time { return now }})
		ctx := t.Context()
		group := store.HookCheck{SourcePlatform: "github", HookTarget: core.HookTarget{Scope: "group", Owner: "acme"}}
		for range 2 {
			if err := db.PutHookTargets(ctx, []store.HookCheck{shopHooks, group}); err != nil {
				t.Fatal(err)
			}
		}
		first, err := db.ClaimHookTarget(ctx, "github", time.Minute)
		if err != nil || first.Owner != "acme/shop" {
			t.Fatalf("first: %+v, %v", first, err)
		}
		second, err := db.ClaimHookTarget(ctx, "github", time.Minute)
		if err != nil || second.Owner != "acme" {
			t.Fatalf("second: %+v, %v", second, err)
		}
		if _, err := db.ClaimHookTarget(ctx, "github", time.Minute); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("third: %v", err)
		}
		if _, err := db.ClaimHookTargetNow(ctx, shopHooks, time.Minute); !errors.Is(err, core.ErrConflict) {
			t.Errorf("claimed twice: %v", err)
		}
		next := first
		next.State, next.Note, next.ArrivedUntil, next.CheckedAt = "paused", "it fails", &now, &now
		if err := db.SettleHookTarget(ctx, first, next, time.Hour); err != nil {
			t.Fatal(err)
		}
		failing, err := db.ListFailingHooks(ctx)
		next.LeaseUntil, next.NextCheckAt = nil, now.Add(time.Hour)
		if diff := cmp.Diff([]store.HookCheck{next}, failing); diff != "" || err != nil {
			t.Errorf("failing hooks, %v (-want +got)\n%s", err, diff)
		}
		now = now.Add(time.Second)
		if err := db.MarkHooksDue(ctx, "github"); err != nil {
			t.Fatal(err)
		}
		if again, err := db.ClaimHookTarget(ctx, "github", time.Minute); err != nil || again.ID != first.ID {
			t.Errorf("hastened: %+v, %v", again, err)
		}
		now = now.Add(2 * time.Minute)
		if err := db.SettleHookTarget(ctx, first, next, time.Hour); !errors.Is(err, core.ErrConflict) {
			t.Errorf("settling a lost lease: %v", err)
		}
		if taken, err := db.ClaimHookTargetNow(ctx, group, time.Minute); err != nil || taken.ID != second.ID {
			t.Errorf("after the lease: %+v, %v", taken, err)
		}
	})
}

// listen records the calls of all deliveries after the given one.
func listen(t *testing.T, s *store.Store, after int64) int64 {
	t.Helper()
	for more := true; more; {
		var err error
		if after, more, err = s.RecordCalls(t.Context(), after); err != nil {
			t.Fatal(err)
		}
	}
	return after
}

func TestRecordCalls(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
		policies := core.Policies{{Match: "github/acme/*", Policy: storetest.Policy}}
		s := e.Open(t, store.Config{Policies: policies, Now: func() time.Time { return now }})
		want := map[string]*liveness.Calls{"acme/a": {}, "acme/b": {}}
		last := listen(t, s, 0)
		for n := range 60 {
			for name, every := range map[string]int{"acme/a": 1, "acme/b": 7, "other/c": 1} {
				if n%every != 0 {
					continue
				}
				d := core.Delivery{Platform: "github", Key: fmt.Sprint(name, n), Name: "ping", Project: name}
				if _, err := s.Accept(t.Context(), storetest.With(d, core.Ignored{Reason: "ping"})); err != nil {
					t.Fatal(err)
				}
				if want[name] != nil {
					want[name].Add(now)
				}
			}
			now = now.Add(17 * time.Hour)
			if n%20 == 0 {
				last = listen(t, s, last)
			}
		}
		now = now.AddDate(0, 0, 3)
		found, push := storetest.PushOf(1)
		found.Name, found.Project, push.Project.Name = core.OriginReconcile, "acme/a", "acme/a"
		push.Project.Ref = ""
		accept(t, s, found, push)
		for _, from := range []int64{last, 0, 1} { // further on, after a start, and once more from the beginning
			listen(t, s, from)
			hooks, err := s.ListHooks(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			expected := []liveness.Hook{
				{
					Platform: "github", Project: "acme/a", Calls: *want["acme/a"],
					Missed: liveness.MissedPushes{First: now, Last: now},
				},
				{Platform: "github", Project: "acme/b", Calls: *want["acme/b"]},
			}
			if diff := cmp.Diff(expected, hooks, cmp.AllowUnexported(liveness.Calls{})); diff != "" {
				t.Errorf("from %d (-want +got):\n%s", from, diff)
			}
		}
	})
}

// Pushes that only recover finds prove within hours that a webhook is dead, however short its history; a call clears
// it.
func TestRecoveredPushesProveADeadWebhook(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
		s := e.Open(t, store.Config{Now: func() time.Time { return now }})
		push := func(n int, event string) {
			d, p := storetest.PushOf(n)
			d.Name = event
			accept(t, s, d, p)
		}
		var last int64
		silent := func(when string, want bool) {
			t.Helper()
			last = listen(t, s, last)
			listen(t, s, 1)
			hooks, err := s.ListHooks(t.Context())
			if err != nil || len(hooks) != 1 {
				t.Fatalf("%s: %v, %v", when, hooks, err)
			}
			if got := liveness.Judge(hooks, now)[0]; got.Silent != want || got.Missed != want {
				t.Errorf("%s: judged %+v", when, got)
			}
		}
		push(1, "push")
		for n := range 3 { // after a time in which the receiver was down
			push(2+n, core.OriginReconcile)
		}
		silent("all found at once", false)
		now = now.Add(time.Hour)
		push(8, core.OriginReconcile)
		silent("found again an hour later", true)
		push(9, "push")
		silent("after a call", false)
	})
}
