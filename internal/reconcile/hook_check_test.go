package reconcile

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestWhatEndsACheckEarly(t *testing.T) {
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
		result := forge.check(t, db, false)
		if got := len(forge.calls) - 3; got != test.calls || result.Redelivered != test.sent || result.Missing != 3 {
			t.Errorf("%s: %d calls, %+v", name, got, result)
		}
		if test.err != nil && !errors.Is(result.Err, test.err) || test.err == nil && result.Err != nil {
			t.Errorf("%s: %v", name, result.Err)
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
	result := forge.check(t, db, false)
	if result.Missing != 100 || result.Redelivered != 30 || forge.calls[2] != "redeliver 1" {
		t.Errorf("result %+v, first %s", result, forge.calls[2])
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
			result := forge.check(t, db, false)
			if result.State != test.state || result.Revived != test.revived || result.Err != nil {
				t.Errorf("result %+v", result)
			}
			forge.expect(t, test.calls...)
			claimed, err := db.ClaimHookTargetNow(t.Context(),
				store.HookCheck{SourcePlatform: "github", HookTarget: core.HookTarget{Scope: "project", Owner: "acme/shop"}}, time.Minute)
			if err != nil || claimed.State != test.state {
				t.Errorf("kept %+v, %v", claimed, err)
			}
		})
	}
}

// A webhook that is called but lets no push through is as bad as one that is not called.
func TestWebhooksWithoutPushesAreBroken(t *testing.T) {
	t.Parallel()
	mute := platforms.Hook{State: platforms.HookActive, Broken: true, Faults: []string{"it does not send push events"}}
	lax := platforms.Hook{State: platforms.HookActive, Faults: []string{"it does not send pipeline events"}}
	for state, hook := range map[string]platforms.Hook{"broken": mute, "active": lax} {
		db := storetest.Open(t, store.Config{})
		if result := newHookForge(hook).check(t, db, false); result.State != state || result.Note != hook.Faults[0] {
			t.Errorf("want the state %s, got %+v", state, result)
		}
		failing, err := db.ListFailingHooks(t.Context())
		if err != nil || len(failing) != 1 || failing[0].State != state || failing[0].ArrivedUntil == nil {
			t.Errorf("%s: kept as %+v, %v", state, failing, err)
		}
	}
}

func TestWhichDeliveriesAreRequestedAgain(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	made := func(id int64, ago time.Duration, delivered bool) platforms.Attempt {
		return platforms.Attempt{ID: id, Key: "k", At: now.Add(-ago), Delivered: delivered}
	}
	failed := func(n int, ago time.Duration) (list []platforms.Attempt) {
		for i := range n {
			list = append(list, made(int64(n-i), ago+time.Duration(i)*time.Hour, false))
		}
		return list
	}
	tests := map[string]struct {
		attempts []platforms.Attempt // the newest first
		known    bool
		due      []int64
		missing  int
	}{
		"nothing":                    {},
		"just failed":                {attempts: failed(1, 0), due: []int64{1}, missing: 1},
		"failed and arrived":         {attempts: failed(1, 0), known: true},
		"delivered, not here":        {attempts: []platforms.Attempt{made(1, 2*time.Hour, true)}, due: []int64{1}, missing: 1},
		"delivered a moment ago":     {attempts: []platforms.Attempt{made(1, time.Second, true)}, missing: 1},
		"failed twice just now":      {attempts: failed(2, 0), missing: 1},
		"failed twice, waited":       {attempts: failed(2, 4*time.Minute), due: []int64{2}, missing: 1},
		"failed five times":          {attempts: failed(5, 4*time.Hour), missing: 1},
		"failed five times, waited":  {attempts: failed(5, 5*time.Hour), due: []int64{5}, missing: 1},
		"failed nine times, waited":  {attempts: failed(9, 13*time.Hour), due: []int64{9}, missing: 1},
		"failed too often":           {attempts: failed(10, 48*time.Hour)},
		"at a time that nobody told": {attempts: []platforms.Attempt{{ID: 2, Key: "k"}, {ID: 1, Key: "k"}}, due: []int64{2}, missing: 1},
	}
	for name, test := range tests {
		missing := unknown(byKey(test.attempts), map[string]bool{"k": test.known})
		var got []int64
		for _, attempt := range due(missing, now) {
			got = append(got, attempt.ID)
		}
		if diff := cmp.Diff(test.due, got); diff != "" || len(missing) != test.missing {
			t.Errorf("%s: %d missing, want %d; due (-want +got)\n%s", name, len(missing), test.missing, diff)
		}
	}
}

func TestOldestDeliveriesComeFirst(t *testing.T) {
	t.Parallel()
	attempts := []platforms.Attempt{{ID: 4, Key: "b"}, {ID: 3, Key: "a"}, {ID: 2, Key: "b"}, {ID: 1, Key: "c"}}
	var got []int64
	for _, attempt := range due(unknown(byKey(attempts), nil), time.Now()) {
		got = append(got, attempt.ID)
	}
	if want := []int64{1, 3, 4}; !cmp.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}
