package reconcile

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	checkEvery   = 5 * time.Second // the pace on a platform: two or three calls each, a fraction of what GitHub allows
	emptyPause   = 24 * time.Hour  // where there is no webhook of ours, or the token may see none
	confirmAfter = 2 * time.Minute // after deliveries were requested again
)

// Hooks checks the targets of webhooks (a project, a group or organisation, an App). It has platforms deliver again what did
// not arrive, and tests webhooks that a platform has disabled. What arrives twice is recognised by its delivery key.
type Hooks struct{ checkers map[string]*hookChecker }

// NewHooks returns a Hooks; Run checks all targets again and again, CheckNow once. Platforms that cannot manage webhooks
// are left out.
func NewHooks(cfg Config) *Hooks {
	h := &Hooks{checkers: map[string]*hookChecker{}}
	for name, platform := range cfg.Platforms {
		manager, manages := platforms.HookManagerOf(platform)
		redeliverer, redelivers := platforms.RedelivererOf(platform)
		if manages && redelivers {
			h.checkers[name] = &hookChecker{
				Config: cfg.withDefaults(), name: name, manager: manager, redeliverer: redeliverer,
				known: map[platforms.HookTarget]bool{},
			}
		}
	}
	return h
}

// Run blocks until ctx ends. All targets are checked at the start, then each after Every; replicas share them by leases.
// Each platform has its own loop.
func (h *Hooks) Run(ctx context.Context) {
	var loops sync.WaitGroup
	for _, c := range h.checkers {
		if c.Every > 0 {
			loops.Go(func() { c.worker().Run(ctx) })
		}
	}
	loops.Wait()
}

// CheckOrder tells CheckNow what to do.
type CheckOrder struct {
	Projects []store.KnownProject // all that are tracked when empty
	DryRun   bool                 // find, and change nothing
	Report   func(HookResult)     // called for each target
}

// CheckNow checks each target of the projects once, even if it is not due. A target that another process is checking is
// reported with core.ErrConflict. The error is the database's.
func (h *Hooks) CheckNow(ctx context.Context, order CheckOrder) error {
	for _, c := range h.checkers {
		targets, err := c.targetsOf(ctx, order.Projects)
		if err != nil {
			return err
		}
		for _, target := range targets {
			result, err := c.checkNow(ctx, target, order.DryRun)
			if err != nil {
				return err
			}
			order.Report(result)
		}
	}
	return nil
}

// hookChecker checks the targets of one platform.
type hookChecker struct {
	Config
	name        string
	manager     platforms.HookManager
	redeliverer platforms.Redeliverer

	started  bool
	lastSeen int64 // id of the newest tracked project whose targets are known
	known    map[platforms.HookTarget]bool
}

func (c *hookChecker) worker() lease.Worker[store.HookTarget, HookResult] {
	return lease.Worker[store.HookTarget, HookResult]{
		Name: "webhooks " + c.name, Log: c.Log, Every: min(checkEvery, c.Every), Paced: true, Lease: leaseTime,
		Claim: lease.One(c.claim), Work: c.work, Settle: c.settle,
	}
}

func (c *hookChecker) claim(ctx context.Context) (store.HookTarget, error) {
	if err := c.discover(ctx); err != nil {
		return store.HookTarget{}, err
	}
	return c.Store.ClaimHookTarget(ctx, c.name, leaseTime)
}

// discover adds the targets of new projects.
func (c *hookChecker) discover(ctx context.Context) error {
	if !c.started {
		if err := c.Store.MarkHooksDue(ctx, c.name); err != nil {
			return err
		}
		c.started = true
	}
	tracked, err := c.Store.ListTrackedSince(ctx, c.name, c.lastSeen-overlap)
	if err != nil {
		return err
	}
	for _, project := range tracked {
		c.lastSeen = max(c.lastSeen, project.ID)
	}
	fresh := slices.DeleteFunc(c.targets(tracked), func(p platforms.HookTarget) bool { return c.known[keyOfTarget(p)] })
	if len(fresh) == 0 {
		return nil
	}
	if err := c.Store.PutHookTargets(ctx, c.rows(fresh...)); err != nil {
		return err
	}
	for _, target := range fresh {
		c.known[keyOfTarget(target)] = true
	}
	return nil
}

// work checks a claimed target. The error is the database's; a failure of the webhook is part of the result.
func (c *hookChecker) work(ctx context.Context, claimed store.HookTarget) (HookResult, error) {
	checking, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	began := c.Now()
	result := c.check(checking, claimed, false)
	result.began = began
	if err := result.Err; err != nil && (errors.Is(err, core.ErrUnavailable) || ctx.Err() != nil) {
		return result, err
	}
	c.log(claimed, result)
	return result, nil
}

func (c *hookChecker) settle(ctx context.Context, claimed store.HookTarget, result HookResult) error {
	next := claimed
	next.State, next.Note, next.CheckedAt = result.State, result.Note, &result.began
	next.Failures++
	if result.Err == nil {
		next.Failures = 0
	}
	if result.Err == nil && result.Missing == 0 && result.called() {
		next.ArrivedUntil = &result.began
	}
	return c.Store.SettleHookTarget(ctx, claimed, next, c.pause(next, result))
}

// pause is how long a target waits for its next check.
func (c *hookChecker) pause(next store.HookTarget, result HookResult) time.Duration {
	every := cmp.Or(c.Every, defaultEvery)
	limited := new(platforms.RateLimited)
	switch {
	case errors.As(result.Err, &limited):
		return limited.After
	case result.Err != nil:
		return poll.Backoff(firstPause, next.Failures-1, every)
	case result.State == HookNone || result.State == HookHidden:
		return max(every, emptyPause)
	case result.Missing > result.Redelivered:
		return min(goOnAfter, every)
	case result.Redelivered > 0:
		return min(confirmAfter, every)
	}
	return poll.Spread(every)
}

// log tells what has changed since the last check.
func (c *hookChecker) log(before store.HookTarget, result HookResult) {
	log := c.Log.With(keyPlatform, c.name, "hook", result.Target.String())
	limited := new(platforms.RateLimited)
	if result.Redelivered > 0 {
		log.Warn("deliveries did not arrive, the platform sends them again", "deliveries", result.Redelivered,
			"left_for_the_next_check", result.Missing-result.Redelivered)
	}
	if result.Revived {
		log.Warn("the platform had disabled the webhook, and calls it again now")
	}
	switch {
	case errors.As(result.Err, &limited):
		log.Info("platform asks for a pause", "for", limited.After)
	case result.Err != nil && before.Failures == 0:
		log.Warn("webhook cannot be checked, trying again", keyError, result.Err)
	case before.State == result.State && before.Note == result.Note:
	case result.State == HookHidden && result.Target.Scope == platforms.ScopeProject:
		log.Info("webhook cannot be checked: what it fails to deliver is not requested again", "reason", result.Note)
	case result.State != HookHidden && result.Note != "":
		log.Warn("webhook needs repair", "state", result.State, "reason", result.Note)
	case before.Note != "" && result.State == string(platforms.HookActive):
		log.Info("webhook is in order again")
	}
}

func (c *hookChecker) checkNow(ctx context.Context, target platforms.HookTarget, dry bool) (HookResult, error) {
	row := c.rows(target)[0]
	if dry {
		result := c.check(ctx, row, true)
		if errors.Is(result.Err, core.ErrUnavailable) || ctx.Err() != nil {
			return result, result.Err
		}
		return result, nil
	}
	claimed, err := c.Store.ClaimHookTargetNow(ctx, row, leaseTime)
	if errors.Is(err, core.ErrConflict) {
		return HookResult{Platform: c.name, Target: target, Err: err}, nil
	}
	if err != nil {
		return HookResult{}, err
	}
	return c.worker().Do(ctx, claimed)
}

// targetsOf lists the targets of some projects, or of all that are tracked.
func (c *hookChecker) targetsOf(ctx context.Context, projects []store.KnownProject) ([]platforms.HookTarget, error) {
	if len(projects) == 0 {
		tracked, err := c.Store.ListTrackedSince(ctx, c.name, 0)
		return c.targets(tracked), err
	}
	var named []store.TrackedProject
	for _, project := range projects {
		if project.SourcePlatform == c.name {
			named = append(named, store.TrackedProject{ProjectName: project.ProjectName})
		}
	}
	return c.targets(named), nil
}

// targets lists the targets of several projects, each once.
func (c *hookChecker) targets(projects []store.TrackedProject) (targets []platforms.HookTarget) {
	seen := map[platforms.HookTarget]bool{}
	for _, project := range projects {
		for _, target := range c.manager.HookTargets(project.ProjectName) {
			if !seen[keyOfTarget(target)] {
				targets = append(targets, target)
			}
			seen[keyOfTarget(target)] = true
		}
	}
	return targets
}

// keyOfTarget is equal for all spellings of a target.
func keyOfTarget(target platforms.HookTarget) platforms.HookTarget {
	target.Owner = core.ProjectKey(target.Owner)
	return target
}

func (c *hookChecker) rows(targets ...platforms.HookTarget) []store.HookTarget {
	rows := make([]store.HookTarget, len(targets))
	for i, target := range targets {
		rows[i] = store.HookTarget{SourcePlatform: c.name, Scope: string(target.Scope), Owner: target.Owner}
	}
	return rows
}
