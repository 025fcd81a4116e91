// Package enrich asks the platforms what their webhooks leave open: the artifacts of a pipeline run, and how many
// files a push changed that was too large to list them. It claims a question, asks, and settles the row; the store
// draws the conclusions.
package enrich

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	askTimeout         = time.Minute // several pages
	lease              = 2 * time.Minute
	lookEvery          = time.Second
	firstPause         = 5 * time.Second
	longestPause       = 10 * time.Minute
	unknownCommitGrace = 10 * time.Minute // a webhook can be faster than the platform's API
	giveUpAfter        = 24 * time.Hour
)

// Config holds what the loops need.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set // those that are no platforms.Inquirer are never asked
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
}

// Enricher asks the platforms.
type Enricher struct{ askers []*asker }

// New returns an enricher; Run makes it work.
func New(cfg Config) *Enricher {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Enricher{}
	for name, platform := range cfg.Platforms {
		if inquirer, ok := platform.(platforms.Inquirer); ok {
			e.askers = append(e.askers, &asker{Config: cfg, name: name, inquirer: inquirer})
		}
	}
	return e
}

// Run blocks until ctx ends. Each platform has its own loop, so that one that hangs holds up nobody else.
func (e *Enricher) Run(ctx context.Context) {
	var loops sync.WaitGroup
	for _, a := range e.askers {
		loop := poll.Loop{Name: "enrich " + a.name, Every: lookEvery, Once: a.once, Log: a.Log}
		loops.Go(func() { loop.Run(ctx) })
	}
	loops.Wait()
}

// asker asks one platform, one question at a time: answers are not urgent, and other calls need the platform's
// patience.
type asker struct {
	Config
	name     string
	inquirer platforms.Inquirer
	until    time.Time // the platform wants no call before
}

func (a *asker) once(ctx context.Context) (worked bool, err error) {
	if a.Now().Before(a.until) {
		return false, nil
	}
	lookup, err := a.Store.ClaimLookup(ctx, a.name, lease)
	if errors.Is(err, core.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := a.ask(asking, lookup)
	if ctx.Err() != nil {
		return false, nil // the lease runs out, another process asks
	}
	if err == nil {
		return true, a.Store.FinishLookup(ctx, lookup, answer)
	}
	return true, a.Store.PostponeLookup(ctx, lookup, a.postponement(lookup, err))
}

func (a *asker) ask(ctx context.Context, lookup store.Lookup) (answer store.Answer, err error) {
	project := core.Project{Name: lookup.ProjectName, Ref: lookup.ProjectRef}
	if lookup.Kind == store.LookupArtifacts {
		answer.ArtifactBytes, err = a.inquirer.ArtifactBytes(ctx, project, lookup.PipelineID)
		return answer, err
	}
	answer.Files, err = a.inquirer.ChangedFiles(ctx, project, lookup.BeforeSHA, lookup.CommitSHA)
	return answer, err
}

// postponement decides what happens next with a question that was not answered, and says so in the log.
func (a *asker) postponement(lookup store.Lookup, err error) store.Postponement {
	p := store.Postponement{Error: err.Error(), RetryAfter: backoff(lookup.Attempts)}
	age := a.Now().Sub(lookup.WantedAt) - a.Store.Jumped(lookup.WantedAt)
	limited := new(platforms.RateLimited)
	switch {
	case errors.As(err, &limited):
		p.RetryAfter = limited.After
		a.until = a.Now().Add(limited.After)
	case errors.Is(err, platforms.ErrUnknownCommit):
		p.GivenUp = age > unknownCommitGrace
	case errors.Is(err, platforms.ErrNoToken), errors.Is(err, platforms.ErrRefused):
		p.GivenUp = true
	}
	p.GivenUp = p.GivenUp || age > giveUpAfter
	a.tell(lookup, p, err)
	return p
}

func (a *asker) tell(lookup store.Lookup, p store.Postponement, err error) {
	log := a.Log.With("platform", a.name, "project", lookup.ProjectName, "commit", lookup.CommitSHA,
		"question", lookup.Kind)
	switch {
	case errors.Is(err, platforms.ErrNoToken):
		log.Debug("question not asked", "reason", err)
	case p.GivenUp:
		log.Warn("question given up, the number stays unknown", "error", err)
	default:
		log.Info("question not answered, trying again", "after", p.RetryAfter, "error", err)
	}
}

// backoff grows exponentially with the failed attempts and is spread, so that many questions do not come back at once.
func backoff(attempts int) time.Duration {
	return poll.Jitter(poll.Backoff(firstPause, attempts, longestPause))
}
