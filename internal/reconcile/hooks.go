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
type Hooks struct{ platforms map[string]*platformHooks }

// NewHooks returns a Hooks; Run checks all targets again and again, CheckNow once. Platforms that cannot manage webhooks
// are left out.
func NewHooks(cfg Config) *Hooks {
	cfg = cfg.withDefaults()
	h := &Hooks{platforms: map[string]*platformHooks{}}
	for name, platform := range cfg.Platforms {
		manager, manages := platforms.HookManagerOf(platform)
		redeliverer, redelivers := platforms.RedelivererOf(platform)
		if manages && redelivers {
			h.platforms[name] = &platformHooks{
				hookChecker: hookChecker{Config: cfg, name: name, manager: manager, redeliverer: redeliverer},
				known:       map[core.HookTarget]bool{},
			}
		}
	}
	return h
}

// Run blocks until ctx ends. All targets are checked at the start, then each after Every; replicas share them by leases.
// Each platform has its own loop.
func (h *Hooks) Run(ctx context.Context) {
	var loops sync.WaitGroup
	for _, p := range h.platforms {
		if p.Every > 0 {
			loops.Go(func() { p.checks().Run(ctx) })
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
	for _, p := range h.platforms {
		targets, err := p.targetsOf(ctx, order.Projects)
		if err != nil {
			return err
		}
		for _, target := range targets {
			result, err := p.checkNow(ctx, target, order.DryRun)
			if err != nil {
				return err
			}
			order.Report(result)
		}
	}
	return nil
}

// platformHooks are the hook targets of one platform.
type platformHooks struct {
	hookChecker
	started  bool
	lastSeen int64 // id of the newest tracked project whose targets are known
	known    map[core.HookTarget]bool
}

func (p *platformHooks) checks() lease.Worker[store.HookCheck, HookResult] {
	return lease.Worker[store.HookCheck, HookResult]{
		Name: "webhooks " + p.name, Log: p.Log, Every: min(checkEvery, p.Every), Paced: true, Lease: leaseTime,
		Claim: lease.One(p.claimTarget), Work: p.runCheck, Settle: p.settleCheck,
	}
}

func (p *platformHooks) claimTarget(ctx context.Context) (store.HookCheck, error) {
	if err := p.discoverTargets(ctx); err != nil {
		return store.HookCheck{}, err
	}
	return p.Store.ClaimHookTarget(ctx, p.name, leaseTime)
}

// discoverTargets adds the targets of new projects.
func (p *platformHooks) discoverTargets(ctx context.Context) error {
	if !p.started {
		if err := p.Store.MarkHooksDue(ctx, p.name); err != nil {
			return err
		}
		p.started = true
	}
	tracked, err := p.Store.ListTrackedSince(ctx, p.name, p.lastSeen-overlap)
	if err != nil {
		return err
	}
	for _, project := range tracked {
		p.lastSeen = max(p.lastSeen, project.ID)
	}
	fresh := slices.DeleteFunc(p.targets(tracked), func(target core.HookTarget) bool { return p.known[keyOfTarget(target)] })
	if len(fresh) == 0 {
		return nil
	}
	if err := p.Store.PutHookTargets(ctx, p.rows(fresh...)); err != nil {
		return err
	}
	for _, target := range fresh {
		p.known[keyOfTarget(target)] = true
	}
	return nil
}

// runCheck checks a claimed target. The error is the database's; a failure of the webhook is part of the result.
func (p *platformHooks) runCheck(ctx context.Context, claimed store.HookCheck) (HookResult, error) {
	checking, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	began := p.Now()
	result := p.check(checking, claimed, false)
	result.began = began
	if err := result.Err; err != nil && (errors.Is(err, core.ErrUnavailable) || ctx.Err() != nil) {
		return result, err
	}
	p.logCheck(claimed, result)
	return result, nil
}

func (p *platformHooks) settleCheck(ctx context.Context, claimed store.HookCheck, result HookResult) error {
	next := claimed
	next.State, next.Note, next.CheckedAt = result.State, result.Note, &result.began
	next.Failures++
	if result.Err == nil {
		next.Failures = 0
	}
	if result.Err == nil && result.Missing == 0 && result.called() {
		next.ArrivedUntil = &result.began
	}
	return p.Store.SettleHookTarget(ctx, claimed, next, p.nextCheck(next, result))
}

// nextCheck is how long a target waits for its next check.
func (p *platformHooks) nextCheck(next store.HookCheck, result HookResult) time.Duration {
	every := cmp.Or(p.Every, defaultEvery)
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

// logCheck tells what has changed since the last check.
func (p *platformHooks) logCheck(before store.HookCheck, result HookResult) {
	log := p.Log.With(keyPlatform, p.name, "hook", result.Target.String())
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
	case result.State == HookHidden && result.Target.Scope == core.ScopeProject:
		log.Info("webhook cannot be checked: what it fails to deliver is not requested again", "reason", result.Note)
	case result.State != HookHidden && result.Note != "":
		log.Warn("webhook needs repair", "state", result.State, "reason", result.Note)
	case before.Note != "" && result.State == string(platforms.HookActive):
		log.Info("webhook is in order again")
	}
}

func (p *platformHooks) checkNow(ctx context.Context, target core.HookTarget, dry bool) (HookResult, error) {
	row := p.rows(target)[0]
	if dry {
		result := p.check(ctx, row, true)
		if errors.Is(result.Err, core.ErrUnavailable) || ctx.Err() != nil {
			return result, result.Err
		}
		return result, nil
	}
	claimed, err := p.Store.ClaimHookTargetNow(ctx, row, leaseTime)
	if errors.Is(err, core.ErrConflict) {
		return HookResult{Platform: p.name, Target: target, Err: err}, nil
	}
	if err != nil {
		return HookResult{}, err
	}
	return p.checks().Do(ctx, claimed)
}

// targetsOf lists the targets of some projects, or of all that are tracked.
func (p *platformHooks) targetsOf(ctx context.Context, projects []store.KnownProject) ([]core.HookTarget, error) {
	if len(projects) == 0 {
		tracked, err := p.Store.ListTrackedSince(ctx, p.name, 0)
		return p.targets(tracked), err
	}
	var named []store.TrackedProject
	for _, project := range projects {
		if project.SourcePlatform == p.name {
			named = append(named, store.TrackedProject{ProjectName: project.ProjectName})
		}
	}
	return p.targets(named), nil
}

// targets lists the targets of several projects, each once.
func (p *platformHooks) targets(projects []store.TrackedProject) (targets []core.HookTarget) {
	seen := map[core.HookTarget]bool{}
	for _, project := range projects {
		for _, target := range p.manager.HookTargets(project.ProjectName) {
			if !seen[keyOfTarget(target)] {
				targets = append(targets, target)
			}
			seen[keyOfTarget(target)] = true
		}
	}
	return targets
}

// keyOfTarget is equal for all spellings of a target.
func keyOfTarget(target core.HookTarget) core.HookTarget {
	target.Owner = core.ProjectKey(target.Owner)
	return target
}

func (p *platformHooks) rows(targets ...core.HookTarget) []store.HookCheck {
	rows := make([]store.HookCheck, len(targets))
	for i, target := range targets {
		rows[i] = store.HookCheck{SourcePlatform: p.name, HookTarget: target}
	}
	return rows
}
