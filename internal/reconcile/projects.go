package reconcile

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/gitproto"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	parallelSyncs = 4
	claimEvery    = 5 * time.Second
	discoverEvery = 2 * time.Second
	refusedPause  = 24 * time.Hour // the longest, for a project that the platform refuses to show
)

// Projects syncs tracked projects: it opens a scan for each branch and tag that no webhook announced. The first sync of a
// project opens a scan of its default branch at most; where the other refs stand is remembered, not scanned.
type Projects struct {
	*Config
	*syncer
	discovery *discovery
	pauses    lease.Pauses // by platform
}

// NewProjects returns a Projects; Run syncs all of them again and again, SyncNow once.
func NewProjects(cfg Config) *Projects {
	cfg = cfg.withDefaults()
	return &Projects{Config: &cfg, syncer: newSyncer(&cfg), discovery: newDiscovery(&cfg)}
}

// Run blocks until ctx ends. Projects that are tracked already are synced soon after the start, then each after Every.
// Replicas share the work by leases.
func (p *Projects) Run(ctx context.Context) {
	if p.Every <= 0 {
		return
	}
	var loops sync.WaitGroup
	discover := poll.Loop{Name: "discovery", Every: min(discoverEvery, p.Every), Once: p.discovery.discover, Log: p.Log}
	loops.Go(func() { discover.Run(ctx) })
	loops.Go(func() { p.syncs(false).Run(ctx) })
	loops.Wait()
}

// syncs is the worker that syncs tracked projects; with all, it opens scans of everything that is wanted and has none.
func (p *Projects) syncs(all bool) lease.Worker[store.TrackedProject, SyncResult] {
	return lease.Worker[store.TrackedProject, SyncResult]{
		Name: "projects", Log: p.Log, Wake: &p.discovery.found,
		Every: min(claimEvery, p.Every), Parallel: parallelSyncs, Lease: leaseTime,
		Attrs: func(t store.TrackedProject) []any {
			return []any{keyPlatform, t.SourcePlatform, keyProject, t.ProjectName}
		},
		Claim: lease.One(func(ctx context.Context) (store.TrackedProject, error) {
			return p.Store.ClaimDueProject(ctx, p.callable(), leaseTime)
		}),
		Work:   func(ctx context.Context, t store.TrackedProject) (SyncResult, error) { return p.runSync(ctx, t, all) },
		Settle: p.settleSync,
	}
}

// callable lists the platforms that want no pause.
func (p *Projects) callable() (names []string) {
	for name := range p.Platforms {
		if !p.pauses.Paused(name, p.Now()) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// runSync syncs a claimed project. The error is the database's; a failure of the project is part of the result.
func (p *Projects) runSync(ctx context.Context, t store.TrackedProject, all bool) (SyncResult, error) {
	syncing, cancel := context.WithTimeout(ctx, workTimeout)
	defer cancel()
	result, err := p.sync(syncing, t, all)
	if err != nil && (errors.Is(err, core.ErrUnavailable) || ctx.Err() != nil) {
		return result, err
	}
	result.Err = err
	if limited := new(platforms.RateLimited); errors.As(err, &limited) {
		p.pauses.Delay(t.SourcePlatform, p.Now(), limited.After)
	}
	p.logSync(t, result)
	return result, nil
}

func (p *Projects) settleSync(ctx context.Context, t store.TrackedProject, result SyncResult) error {
	failure := ""
	if result.Err != nil {
		failure = platforms.Clean(result.Err.Error())
	}
	return p.Store.SettleProject(ctx, t, p.nextSync(t, result), failure)
}

// nextSync is how long a project waits for its next sync.
func (p *Projects) nextSync(t store.TrackedProject, result SyncResult) time.Duration {
	every := cmp.Or(p.Every, defaultEvery)
	limited := new(platforms.RateLimited)
	switch {
	case errors.As(result.Err, &limited):
		return limited.After
	case errors.Is(result.Err, platforms.ErrRefused):
		return poll.Backoff(every, t.Failures, max(every, refusedPause))
	case result.Err != nil:
		return poll.Backoff(firstPause, t.Failures, every)
	case result.Left > 0:
		return min(goOnAfter, every)
	}
	return poll.Spread(every)
}

// logSync tells what a sync found; a failure once, until it is another one.
func (p *Projects) logSync(t store.TrackedProject, result SyncResult) {
	log := p.Log.With(keyPlatform, result.Platform, keyProject, result.Project)
	limited := new(platforms.RateLimited)
	switch {
	case errors.As(result.Err, &limited):
		log.Info("platform asks for a pause", "for", limited.After)
	case result.Err != nil && platforms.Clean(result.Err.Error()) == t.LastError:
		log.Debug("branches still cannot be read", keyError, result.Err)
	case result.Err != nil:
		log.Warn("branches cannot be read: what webhooks do not announce is not found", keyError, result.Err)
	case t.Failures > 0:
		log.Info("branches can be read again")
	}
	switch {
	case len(result.Missed) > 0 && result.First:
		log.Info("first sync: branches and tags without a scan found", "refs", len(result.Missed), "scans", result.Opened())
	case len(result.Missed) > 0:
		log.Warn("pushes found that no webhook announced", "refs", len(result.Missed), "scans", result.Opened(),
			"left_for_the_next_sync", result.Left)
	}
	if result.Truncated && result.First {
		log.Warn("project has more branches and tags than are compared", "limit", gitproto.MaxRefs)
	}
}

// SyncOrder tells SyncNow what to do.
type SyncOrder struct {
	Projects []store.KnownProject // all that are known when empty
	DryRun   bool                 // find, and change nothing
	All      bool                 // open scans of all wanted refs that have none, however long they have been there
	Report   func(SyncResult)     // called for each project, one at a time
}

// SyncNow syncs each project once, even if it is not due. A project that another process is syncing is reported with
// core.ErrConflict. The error is the database's.
func (p *Projects) SyncNow(ctx context.Context, order SyncOrder) error {
	projects := order.Projects
	if len(projects) == 0 {
		var err error
		if projects, _, err = p.discovery.undiscovered(ctx, 0); err != nil {
			return err
		}
	}
	var reporting sync.Mutex
	syncs, ctx := errgroup.WithContext(ctx)
	syncs.SetLimit(parallelSyncs)
	for _, project := range projects {
		syncs.Go(func() error {
			result, err := p.syncNow(ctx, project, order)
			if err == nil {
				reporting.Lock()
				defer reporting.Unlock()
				order.Report(result)
			}
			return err
		})
	}
	return syncs.Wait()
}

func (p *Projects) syncNow(ctx context.Context, project store.KnownProject, order SyncOrder) (SyncResult, error) {
	if order.DryRun {
		return p.syncDry(ctx, project, order.All)
	}
	tracked, err := p.Store.ClaimProject(ctx, project, leaseTime)
	if errors.Is(err, core.ErrConflict) {
		return SyncResult{Platform: project.SourcePlatform, Project: project.ProjectName, Err: err}, nil
	}
	if err != nil {
		return SyncResult{}, err
	}
	return p.syncs(order.All).Do(ctx, tracked)
}

func (p *Projects) syncDry(ctx context.Context, project store.KnownProject, all bool) (SyncResult, error) {
	tracked, err := p.Store.GetTrackedProject(ctx, project.SourcePlatform, project.ProjectName)
	if errors.Is(err, core.ErrNotFound) {
		tracked, err = p.untracked(ctx, project)
	}
	if err != nil {
		return SyncResult{}, err
	}
	result, err := p.compare(ctx, tracked, all)
	if errors.Is(err, core.ErrUnavailable) || ctx.Err() != nil {
		return result, err
	}
	result.Err = err
	return result, nil
}

// untracked is a project as it would be tracked, with its number if it is known.
func (p *Projects) untracked(ctx context.Context, project store.KnownProject) (store.TrackedProject, error) {
	tracked := store.TrackedProject{
		SourcePlatform: project.SourcePlatform, ProjectName: project.ProjectName, ProjectRef: project.ProjectRef,
	}
	known, err := p.Store.GetProject(ctx, project.SourcePlatform, project.ProjectName)
	if err == nil && known.GoneAt == nil {
		tracked.ProjectID = known.ID
	}
	if errors.Is(err, core.ErrNotFound) {
		err = nil
	}
	return tracked, err
}
