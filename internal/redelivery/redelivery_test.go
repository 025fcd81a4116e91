package redelivery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/redelivery"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// hookForge is a platform with one webhook per place, whose answers a test sets.
type hookForge struct {
	platforms.Platform // nil: it is asked for nothing else

	mu       sync.Mutex
	hooks    map[string]platforms.Hook // by owner
	err      error                     // of every call
	resend   error                     // of Redeliver
	test     error                     // of TestHook
	attempts []platforms.Attempt
	calls    []string
}

func (f *hookForge) called(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.err
}

func (f *hookForge) HookTargets(project string) []platforms.HookTarget {
	owner, _, _ := strings.Cut(project, "/")
	return []platforms.HookTarget{{Scope: platforms.ScopeProject, Owner: project}, {Scope: platforms.ScopeGroup, Owner: owner}}
}

func (f *hookForge) Hooks(_ context.Context, place platforms.HookTarget, address string) ([]platforms.Hook, error) {
	err := f.called("list %s %s", place, address)
	hook, ok := f.hooks[place.Owner]
	if !ok || err != nil {
		return nil, err
	}
	hook.HookTarget = place
	return []platforms.Hook{hook}, nil
}

func (f *hookForge) Attempts(_ context.Context, hook platforms.Hook, since time.Time) ([]platforms.Attempt, error) {
	return f.attempts, f.called("attempts of %s since %s", hook.HookTarget, since.Format("02T15:04"))
}

func (f *hookForge) Redeliver(_ context.Context, _ platforms.Hook, attempt platforms.Attempt) error {
	return errors.Join(f.called("redeliver %d", attempt.ID), f.resend)
}

func (f *hookForge) TestHook(_ context.Context, hook platforms.Hook) error {
	return errors.Join(f.called("test %s", hook.HookTarget), f.test)
}

func (f *hookForge) AddHook(context.Context, string, string) error { return errors.ErrUnsupported }
func (f *hookForge) RepairHook(context.Context, platforms.Hook, string) error {
	return errors.ErrUnsupported
}

var hookNoon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// round checks the places of github/acme/shop and returns what was found of the first.
func (f *hookForge) round(t *testing.T, db *store.Store, dry bool) redelivery.Finding {
	t.Helper()
	watch := redelivery.New(redelivery.Config{
		Store: db, Platforms: platforms.Set{"github": f}, Log: slog.New(slog.DiscardHandler),
		Address: func(platform string) string { return "https://us/" + platform },
		Now:     func() time.Time { return hookNoon },
	})
	var findings []redelivery.Finding
	f.calls = nil
	err := watch.Round(t.Context(), redelivery.Order{
		Projects: []store.KnownProject{{SourcePlatform: "github", ProjectName: "acme/shop"}}, DryRun: dry,
		Tell: func(found redelivery.Finding) { findings = append(findings, found) },
	})
	if err != nil || len(findings) != 2 {
		t.Fatalf("findings %+v, %v, want two", findings, err)
	}
	return findings[0]
}

func (f *hookForge) expect(t *testing.T, want ...string) {
	t.Helper()
	want = append([]string{"list project acme/shop https://us/github"}, append(want, "list group acme https://us/github")...)
	if diff := cmp.Diff(want, f.calls); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}
}

func newHookForge(hook platforms.Hook, attempts ...platforms.Attempt) *hookForge {
	return &hookForge{hooks: map[string]platforms.Hook{"acme/shop": hook}, attempts: attempts}
}

func failedAt(id int64, key string) platforms.Attempt {
	return platforms.Attempt{ID: id, Key: key, At: hookNoon.Add(-time.Hour)}
}

func TestMissingDeliveriesAreAskedForOnce(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Config{Now: func() time.Time { return hookNoon }})
	known, _ := storetest.PushOf(1)
	if _, err := db.AcceptIgnored(t.Context(), known, "kept"); err != nil {
		t.Fatal(err)
	}
	forge := newHookForge(platforms.Hook{State: platforms.HookActive}, failedAt(5, "b"), failedAt(4, known.Key), failedAt(3, "a"))
	if found := forge.round(t, db, true); found.Missing != 2 || found.Redelivered != 0 {
		t.Errorf("dry: %+v", found)
	}
	forge.expect(t, "attempts of project acme/shop since 01T12:00")
	if found := forge.round(t, db, false); found.Missing != 2 || found.Redelivered != 2 || found.State != "active" {
		t.Errorf("found %+v", found)
	}
	forge.expect(t, "attempts of project acme/shop since 01T12:00", "redeliver 3", "redeliver 5")
	forge.attempts = nil
	forge.round(t, db, false)
	forge.round(t, db, false)
	forge.expect(t, "attempts of project acme/shop since 04T11:50") // nothing was missing at noon
}

func TestWhatEndsARoundEarly(t *testing.T) {
	t.Parallel()
	limit := &platforms.RateLimited{After: time.Minute, Err: errors.New("slowly")}
	tests := map[string]struct {
		resend      error
		calls, sent int
		err         error
	}{
		"our own refusal":   {resend: platforms.ErrUndelivered, calls: 1},
		"a rate limit":      {resend: limit, calls: 1, err: limit},
		"one that is gone":  {resend: platforms.ErrNoHookAccess, calls: 3},
		"one that is stale": {resend: platforms.ErrRefused, calls: 3},
		"nothing":           {calls: 3, sent: 3},
	}
	for name, test := range tests {
		db := storetest.Open(t, store.Config{Now: func() time.Time { return hookNoon }})
		forge := newHookForge(platforms.Hook{State: platforms.HookActive}, failedAt(3, "c"), failedAt(2, "b"), failedAt(1, "a"))
		forge.resend = test.resend
		found := forge.round(t, db, false)
		if got := len(forge.calls) - 3; got != test.calls || found.Redelivered != test.sent || found.Missing != 3 {
			t.Errorf("%s: %d calls, %+v", name, got, found)
		}
		if test.err != nil && !errors.Is(found.Err, test.err) || test.err == nil && found.Err != nil {
			t.Errorf("%s: %v", name, found.Err)
		}
	}
}

func TestManyMissingDeliveriesAreSpread(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Config{Now: func() time.Time { return hookNoon }})
	forge := newHookForge(platforms.Hook{State: platforms.HookActive})
	for i := range int64(100) {
		forge.attempts = append(forge.attempts, failedAt(100-i, fmt.Sprint("key-", i)))
	}
	found := forge.round(t, db, false)
	if found.Missing != 100 || found.Redelivered != 30 || forge.calls[2] != "redeliver 1" {
		t.Errorf("found %+v, first %s", found, forge.calls[2])
	}
}

func TestStatesOfWebhooks(t *testing.T) {
	t.Parallel()
	hidden := fmt.Errorf("%w: 404", platforms.ErrNoHookAccess)
	tests := map[string]struct {
		hook    platforms.Hook
		err     error
		test    error
		state   string
		revived bool
		calls   []string
	}{
		"switched off":    {hook: platforms.Hook{State: platforms.HookOff}, state: "off"},
		"hidden":          {err: hidden, state: "hidden"},
		"without a token": {err: platforms.ErrNoToken, state: "hidden"},
		"disabled": {
			hook: platforms.Hook{State: platforms.HookDisabled}, state: "active", revived: true,
			calls: []string{"test project acme/shop", "attempts of project acme/shop since 01T12:00"},
		},
		"still failing": {
			hook: platforms.Hook{State: platforms.HookPaused, Faults: []string{"paused"}}, test: platforms.ErrUndelivered,
			state: "paused", calls: []string{"test project acme/shop"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := storetest.Open(t, store.Config{Now: func() time.Time { return hookNoon }})
			forge := newHookForge(test.hook)
			forge.err, forge.test = test.err, test.test
			found := forge.round(t, db, false)
			if found.State != test.state || found.Revived != test.revived || found.Err != nil {
				t.Errorf("found %+v", found)
			}
			forge.expect(t, test.calls...)
			claimed, err := db.ClaimHookPlaceNow(t.Context(),
				store.HookPlace{SourcePlatform: "github", Scope: "project", Owner: "acme/shop"}, time.Minute)
			if err != nil || claimed.State != test.state {
				t.Errorf("kept %+v, %v", claimed, err)
			}
		})
	}
}

func TestPlacesAreCheckedByOneProcessAtATime(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Config{Now: func() time.Time { return hookNoon }})
	place := store.HookPlace{SourcePlatform: "github", Scope: "project", Owner: "acme/shop"}
	if _, err := db.ClaimHookPlaceNow(t.Context(), place, time.Hour); err != nil {
		t.Fatal(err)
	}
	forge := newHookForge(platforms.Hook{State: platforms.HookActive}, failedAt(1, "a"))
	if found := forge.round(t, db, false); !errors.Is(found.Err, core.ErrConflict) || len(forge.calls) != 1 {
		t.Errorf("found %+v after %q", found, forge.calls)
	}
}
