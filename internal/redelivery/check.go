package redelivery

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	remembered    = 3 * 24 * time.Hour // that long github.com manages deliveries
	lookBack      = 10 * time.Minute   // before the last check without a gap: deliveries come late
	maxRedelivery = 30                 // for one webhook in one check
)

// check looks at one place and, unless dry, mends what it can.
func (w *worker) check(ctx context.Context, place store.HookPlace, dry bool) Finding {
	found := Finding{
		Platform: w.name, State: StateNone,
		Place: platforms.HookTarget{Scope: platforms.HookScope(place.Scope), Owner: place.Owner},
	}
	hooks, err := w.manager.Hooks(ctx, found.Place, w.Address(w.name))
	if isShut(err) {
		found.State, found.Note = StateHidden, platforms.Clean(err.Error())
		return found
	}
	found.Err = err
	for _, hook := range hooks {
		if found.Err == nil {
			found.take(hook)
			found.Err = w.care(ctx, hook, place, dry, &found)
		}
	}
	return found
}

// isShut tells that looking again will show the same until a person changes something.
func isShut(err error) bool {
	return errors.Is(err, platforms.ErrNoHookAccess) || errors.Is(err, platforms.ErrNoToken) ||
		errors.Is(err, platforms.ErrRefused)
}

// take notes the state of a webhook. Of several in one place, one that lets pushes through counts.
func (f *Finding) take(hook platforms.Hook) {
	if f.State == string(platforms.HookActive) {
		return
	}
	f.State, f.Note = string(hook.State), strings.Join(hook.Faults, "; ")
	if hook.Broken && hook.State == platforms.HookActive {
		f.State = StateBroken
	}
	if hook.Problem != "" && f.Note == "" {
		f.Note = hook.Problem
	}
}

func (w *worker) care(ctx context.Context, hook platforms.Hook, place store.HookPlace, dry bool, found *Finding) error {
	switch {
	case hook.State == platforms.HookOff:
		return nil
	case hook.State != platforms.HookActive && dry:
		return nil
	case hook.State != platforms.HookActive:
		if err := w.revive(ctx, hook, found); err != nil || !found.Revived {
			return err
		}
	}
	missing, err := w.missing(ctx, hook, place)
	found.Missing += len(missing)
	if err != nil || dry {
		return err
	}
	return w.redeliver(ctx, hook, due(missing, w.Now()), found)
}

// revive has a webhook tested that the platform has paused or disabled. A test that does not succeed is the webhook's
// trouble, not the check's.
func (w *worker) revive(ctx context.Context, hook platforms.Hook, found *Finding) error {
	err := w.sender.TestHook(ctx, hook)
	switch {
	case errors.Is(err, platforms.ErrUndelivered) || isShut(err):
		found.Note = platforms.Clean(found.Note + "; " + err.Error())
		return nil
	case err != nil:
		return err
	}
	found.State, found.Note, found.Revived = string(platforms.HookActive), "", true
	return nil
}

// missing finds the deliveries that we do not know. Where the platform does not remember what it delivered, there are
// none.
func (w *worker) missing(ctx context.Context, hook platforms.Hook, place store.HookPlace) ([]tries, error) {
	since := w.Now().Add(-remembered)
	if place.ArrivedUntil != nil && place.ArrivedUntil.Add(-lookBack).After(since) {
		since = place.ArrivedUntil.Add(-lookBack)
	}
	attempts, err := w.sender.Attempts(ctx, hook, since)
	if isShut(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := byKey(attempts)
	keys := make([]string, len(all))
	for i, tried := range all {
		keys[i] = tried.last.Key
	}
	known, err := w.Store.KnownDeliveries(ctx, w.name, keys)
	if err != nil {
		return nil, err
	}
	return unknown(all, known), nil
}

// redeliver asks for one delivery after another, the oldest first, until something stands in the way.
func (w *worker) redeliver(ctx context.Context, hook platforms.Hook, wanted []platforms.Attempt, found *Finding) error {
	trouble := found.Note
	for _, attempt := range wanted[:min(len(wanted), maxRedelivery)] {
		err := w.sender.Redeliver(ctx, hook, attempt)
		switch {
		case errors.Is(err, platforms.ErrUndelivered):
			found.Note = platforms.Clean(err.Error())
			return nil
		case isShut(err):
			w.Log.Debug("delivery is not sent again", keyPlatform, w.name, "delivery", attempt.Key, keyError, err)
		case err != nil:
			return err
		default:
			found.Redelivered++
		}
		if found.Redelivered > 0 && len(hook.Faults) == 0 && found.Note == trouble {
			found.Note = "" // how the last call ended, which is not the last one any more
		}
	}
	return nil
}
