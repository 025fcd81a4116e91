package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	remembered    = 3 * 24 * time.Hour // for how long github.com keeps deliveries
	lookBack      = 10 * time.Minute   // before the last check without a gap: deliveries come late
	maxRedelivery = 30                 // for one webhook in one check

	maxAttempts = 10 // after so many, a delivery is given up
	settleTime  = time.Minute
	longestWait = 12 * time.Hour
)

// The states of a hook target beside those of its webhook.
const (
	HookNone   = "none"   // no webhook there calls us
	HookHidden = "hidden" // the token may not see webhooks
	HookBroken = "broken" // the webhook is called, but its faults keep pushes from us
)

// HookResult is what a check found at one target.
type HookResult struct {
	Platform    string
	Target      core.HookTarget
	State       string // as store.HookCheck has it
	Note        string // what is wrong with the webhook, or empty
	Missing     int    // deliveries that have not arrived
	Redelivered int    // of these, requested again
	Revived     bool   // the platform had disabled it and calls it again
	Err         error  // why the check ended early, or nil

	began time.Time
}

// called tells whether the platform calls the webhook.
func (r HookResult) called() bool {
	return r.State == string(platforms.HookActive) || r.State == HookBroken
}

// hookChecker checks hook targets of one platform.
type hookChecker struct {
	Config
	name        string
	manager     platforms.HookManager
	redeliverer platforms.Redeliverer
}

// check checks one target and, unless dry, repairs what it can.
func (c *hookChecker) check(ctx context.Context, target store.HookCheck, dry bool) HookResult {
	result := HookResult{
		Platform: c.name, State: HookNone,
		Target: target.HookTarget,
	}
	hooks, err := c.manager.Hooks(ctx, result.Target, c.Address(c.name))
	if needsPerson(err) {
		result.State, result.Note = HookHidden, platforms.Clean(err.Error())
		return result
	}
	result.Err = err
	for _, hook := range hooks {
		if result.Err == nil {
			result.add(hook)
			result.Err = c.checkHook(ctx, hook, target, dry, &result)
		}
	}
	return result
}

// needsPerson tells whether another try would fail too until a person changes something.
func needsPerson(err error) bool {
	return errors.Is(err, platforms.ErrNoHookAccess) || errors.Is(err, platforms.ErrNoToken) ||
		errors.Is(err, platforms.ErrRefused)
}

// add notes the state of a webhook. Of several at one target, one that lets pushes through counts.
func (r *HookResult) add(hook platforms.Hook) {
	if r.State == string(platforms.HookActive) {
		return
	}
	r.State, r.Note = string(hook.State), strings.Join(hook.Faults, "; ")
	if hook.Broken && hook.State == platforms.HookActive {
		r.State = HookBroken
	}
	if hook.Problem != "" && r.Note == "" {
		r.Note = hook.Problem
	}
}

func (c *hookChecker) checkHook(ctx context.Context, hook platforms.Hook, target store.HookCheck, dry bool, result *HookResult) error {
	switch {
	case hook.State == platforms.HookOff:
		return nil
	case hook.State != platforms.HookActive && dry:
		return nil
	case hook.State != platforms.HookActive:
		if err := c.revive(ctx, hook, result); err != nil || !result.Revived {
			return err
		}
	}
	missing, err := c.missing(ctx, hook, target)
	result.Missing += len(missing)
	if err != nil || dry {
		return err
	}
	return c.redeliver(ctx, hook, due(missing, c.Now()), result)
}

// revive tests a webhook that the platform has paused or disabled. If the test does not succeed, the webhook is at fault,
// not the check.
func (c *hookChecker) revive(ctx context.Context, hook platforms.Hook, result *HookResult) error {
	err := c.redeliverer.TestHook(ctx, hook)
	switch {
	case errors.Is(err, platforms.ErrUndelivered) || needsPerson(err):
		result.Note = platforms.Clean(result.Note + "; " + err.Error())
		return nil
	case err != nil:
		return err
	}
	result.State, result.Note, result.Revived = string(platforms.HookActive), "", true
	return nil
}

// missing finds the deliveries that did not arrive. There are none if the platform does not remember its deliveries.
func (c *hookChecker) missing(ctx context.Context, hook platforms.Hook, target store.HookCheck) ([]delivery, error) {
	since := c.Now().Add(-remembered)
	if target.ArrivedUntil != nil && target.ArrivedUntil.Add(-lookBack).After(since) {
		since = target.ArrivedUntil.Add(-lookBack)
	}
	attempts, err := c.redeliverer.Attempts(ctx, hook, since)
	if needsPerson(err) {
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
	known, err := c.Store.KnownDeliveries(ctx, c.name, keys)
	if err != nil {
		return nil, err
	}
	return unknown(all, known), nil
}

// delivery is what a platform has tried to deliver one event.
type delivery struct {
	last      platforms.Attempt
	count     int
	delivered bool // one of them was answered as a success
}

// byKey groups attempts by delivery, the oldest delivery first. Platforms list the newest attempt first.
func byKey(attempts []platforms.Attempt) []delivery {
	index := map[string]int{}
	var all []delivery
	for _, attempt := range attempts {
		i, seen := index[attempt.Key]
		if !seen {
			i = len(all)
			index[attempt.Key] = i
			all = append(all, delivery{last: attempt})
		}
		all[i].count++
		all[i].delivered = all[i].delivered || attempt.Delivered
	}
	slices.Reverse(all)
	return all
}

// unknown leaves out what has arrived and what is given up.
func unknown(all []delivery, known map[string]bool) []delivery {
	return slices.DeleteFunc(all, func(d delivery) bool { return known[d.last.Key] || d.count >= maxAttempts })
}

// due lists the last attempts of the deliveries to request now. The first failure is repeated at once; after each further
// one the wait is four times as long. A delivery that the platform calls successful has a minute to reach the database.
func due(missing []delivery, now time.Time) []platforms.Attempt {
	var list []platforms.Attempt
	for _, d := range missing {
		if d.last.At.IsZero() || now.Sub(d.last.At) >= d.wait() {
			list = append(list, d.last)
		}
	}
	return list
}

func (d delivery) wait() time.Duration {
	if d.count == 1 && !d.delivered {
		return 0
	}
	return min(settleTime<<(2*min(d.count-1, 10)), longestWait)
}

// redeliver requests deliveries again, the oldest first, until one of them is an obstacle for all.
func (c *hookChecker) redeliver(ctx context.Context, hook platforms.Hook, wanted []platforms.Attempt, result *HookResult) error {
	note := result.Note
	for _, attempt := range wanted[:min(len(wanted), maxRedelivery)] {
		err := c.redeliverer.Redeliver(ctx, hook, attempt)
		switch {
		case errors.Is(err, platforms.ErrUndelivered):
			result.Note = platforms.Clean(err.Error())
			return nil
		case needsPerson(err):
			c.Log.Debug("delivery is not sent again", keyPlatform, c.name, "delivery", attempt.Key, keyError, err)
		case err != nil:
			return err
		default:
			result.Redelivered++
		}
		if result.Redelivered > 0 && len(hook.Faults) == 0 && result.Note == note {
			result.Note = "" // it was about a call that is no longer the last one
		}
	}
	return nil
}
