package redelivery

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// The states of a place beside those of its webhook.
const (
	StateNone   = "none"   // no webhook there calls us
	StateHidden = "hidden" // the token may not look
	StateBroken = "broken" // the webhook is called, but its faults keep pushes from us
)

const (
	usualPause   = time.Hour // between two checks where none is configured
	firstPause   = 30 * time.Second
	goOnAfter    = time.Minute
	emptyPause   = 24 * time.Hour  // where no webhook of ours is, or none may be seen
	confirmAfter = 2 * time.Minute // of what was asked for again
)

// Finding is what a check of one place has found.
type Finding struct {
	Platform    string
	Place       platforms.HookTarget
	State       string // as store.HookPlace has it
	Note        string // what is wrong with the webhook, or empty
	Missing     int    // deliveries that have not arrived
	Redelivered int    // of these, asked for again
	Revived     bool   // the platform had disabled it and calls it again
	Err         error  // why the check ended early, or nil
}

// called tells whether the platform calls the webhook.
func (f Finding) called() bool {
	return f.State == string(platforms.HookActive) || f.State == StateBroken
}

// visit checks a claimed place and settles the claim. The error is the store's; what went wrong with the webhook stands
// in the finding.
func (w *worker) visit(ctx context.Context, claimed store.HookPlace) (Finding, error) {
	looking, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	start := w.Now()
	found := w.check(looking, claimed, false)
	if errors.Is(found.Err, core.ErrUnavailable) || ctx.Err() != nil {
		return found, errors.Join(found.Err, ctx.Err()) // the lease runs out, and somebody checks again
	}
	w.tell(claimed, found)
	next := claimed
	next.State, next.Note, next.CheckedAt = found.State, found.Note, &start
	next.Failures++
	if found.Err == nil {
		next.Failures = 0
	}
	if found.Err == nil && found.Missing == 0 && found.called() {
		next.ArrivedUntil = &start
	}
	err := w.Store.SettleHookPlace(ctx, claimed, next, w.pause(next, found))
	if errors.Is(err, core.ErrConflict) {
		return found, nil // the check took longer than its lease; what it did holds
	}
	return found, err
}

// pause is how long a place has to wait for its next check.
func (w *worker) pause(next store.HookPlace, found Finding) time.Duration {
	every := cmp.Or(w.Every, usualPause)
	limited := new(platforms.RateLimited)
	switch {
	case errors.As(found.Err, &limited):
		return limited.After
	case found.Err != nil:
		return poll.Backoff(firstPause, next.Failures-1, every)
	case found.State == StateNone || found.State == StateHidden:
		return max(every, emptyPause)
	case found.Missing > found.Redelivered:
		return min(goOnAfter, every)
	case found.Redelivered > 0:
		return min(confirmAfter, every)
	}
	return poll.Spread(every)
}

// tell logs what has changed since the last check.
func (w *worker) tell(before store.HookPlace, found Finding) {
	log := w.Log.With(keyPlatform, w.name, "hook", found.Place.String())
	limited := new(platforms.RateLimited)
	if found.Redelivered > 0 {
		log.Warn("deliveries had not arrived, the platform sends them again", "deliveries", found.Redelivered,
			"left_for_the_next_check", found.Missing-found.Redelivered)
	}
	if found.Revived {
		log.Warn("the platform had disabled the webhook, and calls it again now")
	}
	switch {
	case errors.As(found.Err, &limited):
		log.Info("platform wants to be left alone", "for", limited.After)
	case found.Err != nil && before.Failures == 0:
		log.Warn("webhook cannot be looked after, trying again", keyError, found.Err)
	case before.State == found.State && before.Note == found.Note:
	case found.State == StateHidden && found.Place.Scope == platforms.ScopeProject:
		log.Info("webhook cannot be looked after: what it fails to deliver is not asked for again", "reason", found.Note)
	case found.State != StateHidden && found.Note != "":
		log.Warn("webhook is not as it should be", "state", found.State, "reason", found.Note)
	case before.Note != "" && found.State == string(platforms.HookActive):
		log.Info("webhook is as it should be")
	}
}
