package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

var shopHooks = store.HookPlace{SourcePlatform: "github", Scope: "project", Owner: "acme/shop"}

func TestHookPlacesAreCheckedInTurn(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
		db := e.Open(t, store.Config{Now: func() time.Time { return now }})
		ctx := t.Context()
		group := store.HookPlace{SourcePlatform: "github", Scope: "group", Owner: "acme"}
		for range 2 {
			if err := db.PutHookPlaces(ctx, []store.HookPlace{shopHooks, group}); err != nil {
				t.Fatal(err)
			}
		}
		first, err := db.ClaimHookPlace(ctx, "github", time.Minute)
		if err != nil || first.Owner != "acme/shop" {
			t.Fatalf("first: %+v, %v", first, err)
		}
		second, err := db.ClaimHookPlace(ctx, "github", time.Minute)
		if err != nil || second.Owner != "acme" {
			t.Fatalf("second: %+v, %v", second, err)
		}
		if _, err := db.ClaimHookPlace(ctx, "github", time.Minute); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("third: %v", err)
		}
		if _, err := db.ClaimHookPlaceNow(ctx, shopHooks, time.Minute); !errors.Is(err, core.ErrConflict) {
			t.Errorf("claimed twice: %v", err)
		}
		next := first
		next.State, next.Note, next.ArrivedUntil, next.CheckedAt = "paused", "it fails", &now, &now
		if err := db.SettleHookPlace(ctx, first, next, time.Hour); err != nil {
			t.Fatal(err)
		}
		failing, err := db.ListFailingHooks(ctx)
		next.LeaseUntil, next.NextCheckAt = nil, now.Add(time.Hour)
		if diff := cmp.Diff([]store.HookPlace{next}, failing); diff != "" || err != nil {
			t.Errorf("failing hooks, %v (-want +got)\n%s", err, diff)
		}
		now = now.Add(time.Second)
		if err := db.HastenHookChecks(ctx, "github"); err != nil {
			t.Fatal(err)
		}
		if again, err := db.ClaimHookPlace(ctx, "github", time.Minute); err != nil || again.ID != first.ID {
			t.Errorf("hastened: %+v, %v", again, err)
		}
		now = now.Add(2 * time.Minute)
		if err := db.SettleHookPlace(ctx, first, next, time.Hour); !errors.Is(err, core.ErrConflict) {
			t.Errorf("settling a lost lease: %v", err)
		}
		if taken, err := db.ClaimHookPlaceNow(ctx, group, time.Minute); err != nil || taken.ID != second.ID {
			t.Errorf("after the lease: %+v, %v", taken, err)
		}
	})
}

func TestKnownDeliveries(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		db := e.Open(t, store.Config{})
		d, _ := storetest.PushOf(1)
		if _, err := db.AcceptIgnored(t.Context(), d, "of no use"); err != nil {
			t.Fatal(err)
		}
		keys := []string{d.Key}
		for range 1200 {
			keys = append(keys, "unknown/"+d.Key)
		}
		known, err := db.KnownDeliveries(t.Context(), d.Platform, keys)
		if want := map[string]bool{d.Key: true}; err != nil || !cmp.Equal(known, want) {
			t.Errorf("known %v, %v", known, err)
		}
		for _, platform := range []string{"elsewhere", d.Platform} {
			known, err := db.KnownDeliveries(t.Context(), platform, keys[1:])
			if err != nil || len(known) != 0 {
				t.Errorf("known on %s: %v, %v", platform, known, err)
			}
		}
	})
}
