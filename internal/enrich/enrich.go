// Package enrich fetches metadata that webhooks leave out: the size of a pipeline run's artifacts, the number of files of a push that
// was too large to list them, and the commit where a branch left its target, where nobody got an answer before. Each is a task: a row that is claimed, and settled with the answer.
package enrich

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	claimEvery = time.Second
	askTimeout = time.Minute // several pages
	leaseTime  = 2 * time.Minute
	firstPause = 5 * time.Second
)

// Config holds what the loops need.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set // those that are no platforms.MetadataFetcher are never asked
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
}

// Enricher fetches what is missing.
type Enricher struct{ fetchers []*fetcher }

// New returns an enricher; Run makes it work.
func New(cfg Config) *Enricher {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Enricher{}
	for name, platform := range cfg.Platforms {
		if source, ok := platforms.MetadataFetcherOf(platform); ok {
			e.fetchers = append(e.fetchers, &fetcher{Config: cfg, name: name, source: source})
		}
	}
	return e
}

// Run blocks until ctx ends. Each platform has its own loop, so that one that hangs holds up no other.
func (e *Enricher) Run(ctx context.Context) {
	var loops sync.WaitGroup
	for _, f := range e.fetchers {
		loops.Go(func() { f.tasks().Run(ctx) })
	}
	loops.Wait()
}

// fetcher asks one platform, one task at a time: the answers are not urgent, and other calls need the rate limit.
type fetcher struct {
	Config
	name   string
	source platforms.MetadataFetcher
	pauses lease.Pauses
}

// result is what became of a task: the platform's answer, or when to ask again.
type result struct {
	answer store.EnrichmentResult
	retry  *store.EnrichmentRetry
}

func (f *fetcher) tasks() lease.Worker[store.EnrichmentTask, result] {
	return lease.Worker[store.EnrichmentTask, result]{
		Name: "enrich " + f.name, Log: f.Log, Every: claimEvery, Lease: leaseTime,
		Claim: lease.One(f.claim), Work: f.fetch, Settle: f.settle,
	}
}

func (f *fetcher) claim(ctx context.Context) (store.EnrichmentTask, error) {
	if f.pauses.Paused(f.name, f.Now()) {
		return store.EnrichmentTask{}, core.ErrNotFound
	}
	return f.Store.ClaimEnrichment(ctx, f.name, leaseTime)
}

func (f *fetcher) fetch(ctx context.Context, task store.EnrichmentTask) (r result, err error) {
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	project := core.Project{Name: task.ProjectName, Ref: task.ProjectRef}
	switch task.Kind {
	case store.EnrichArtifacts:
		r.answer.ArtifactBytes, err = f.source.ArtifactBytes(asking, project, task.PipelineID)
	case store.EnrichMergeBase:
		r.answer.Base, err = f.mergeBase(asking, task)
	default:
		r.answer.Files, err = f.source.ChangedFiles(asking, project, task.BeforeSHA, task.CommitSHA)
	}
	switch {
	case err == nil:
		return r, nil
	case ctx.Err() != nil:
		return r, ctx.Err()
	}
	r.retry = f.retry(task, err)
	return r, nil
}

func (f *fetcher) mergeBase(ctx context.Context, task store.EnrichmentTask) (base store.MergeBase, err error) {
	if base.Scan, err = f.Store.GetScanByID(ctx, task.ScanID); err != nil {
		return base, err
	}
	_, err = f.Platforms.FindMergeBase(ctx, base.Scan, func(_ context.Context, _ core.Scan, sha string) error {
		base.SHA = sha
		return nil
	})
	return base, err
}

func (f *fetcher) settle(ctx context.Context, task store.EnrichmentTask, r result) error {
	if r.retry != nil {
		return f.Store.RetryEnrichment(ctx, task, *r.retry)
	}
	return f.Store.FinishEnrichment(ctx, task, r.answer)
}

// retry decides what becomes of a task that the platform did not answer, and logs it.
func (f *fetcher) retry(task store.EnrichmentTask, err error) *store.EnrichmentRetry {
	age := f.Now().Sub(task.RequestedAt) - f.Store.Jumped(task.RequestedAt)
	next := platforms.RetryAfter(err, firstPause, task.Attempts, age)
	if limited := new(platforms.RateLimited); errors.As(err, &limited) {
		f.pauses.Delay(f.name, f.Now(), limited.After)
	} else if errors.Is(err, platforms.ErrNoToken) || errors.Is(err, platforms.ErrRefused) {
		next.GivenUp = true
	}
	log := f.Log.With("platform", f.name, "project", task.ProjectName, "commit", task.CommitSHA, "task", task.Kind)
	switch {
	case errors.Is(err, platforms.ErrNoToken):
		log.Debug("metadata not fetched", "reason", err)
	case next.GivenUp && task.Kind == store.EnrichMergeBase && errors.Is(err, platforms.ErrUnknownCommit):
		log.Info("there is no merge base, or none that the platform tells", "error", err)
	case next.GivenUp:
		log.Warn("metadata given up, it stays unknown", "error", err)
	default:
		log.Info("metadata not fetched, trying again", "after", next.After, "error", err)
	}
	return &store.EnrichmentRetry{Error: err.Error(), RetryAfter: next.After, GivenUp: next.GivenUp}
}
