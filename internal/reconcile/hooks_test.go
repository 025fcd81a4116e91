package reconcile

import (
	"errors"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestMissingDeliveriesAreRequestedOnce(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Config{Now: func() time.Time { return hookNoon }})
	known, _ := storetest.PushOf(1)
	if _, err := db.Accept(t.Context(), storetest.With(known, core.Ignored{Reason: "kept"})); err != nil {
		t.Fatal(err)
	}
	forge := newHookForge(platforms.Hook{State: platforms.HookActive}, failedAt(5, "b"), failedAt(4, known.Key), failedAt(3, "a"))
	if result := forge.check(t, db, true); result.Missing != 2 || result.Redelivered != 0 {
		t.Errorf("dry: %+v", result)
	}
	forge.expect(t, "attempts of project acme/shop since 01T12:00")
	if result := forge.check(t, db, false); result.Missing != 2 || result.Redelivered != 2 || result.State != "active" {
		t.Errorf("result %+v", result)
	}
	forge.expect(t, "attempts of project acme/shop since 01T12:00", "redeliver 3", "redeliver 5")
	forge.attempts = nil
	forge.check(t, db, false)
	forge.check(t, db, false)
	forge.expect(t, "attempts of project acme/shop since 04T11:50") // nothing was missing at noon
}

func TestTargetsAreCheckedByOneProcessAtATime(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Config{Now: func() time.Time { return hookNoon }})
	target := store.HookCheck{SourcePlatform: "github", HookTarget: core.HookTarget{Scope: "project", Owner: "acme/shop"}}
	if _, err := db.ClaimHookTargetNow(t.Context(), target, time.Hour); err != nil {
		t.Fatal(err)
	}
	forge := newHookForge(platforms.Hook{State: platforms.HookActive}, failedAt(1, "a"))
	if result := forge.check(t, db, false); !errors.Is(result.Err, core.ErrConflict) || len(forge.calls) != 1 {
		t.Errorf("result %+v after %q", result, forge.calls)
	}
}
