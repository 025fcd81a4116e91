// Package report carries commit statuses to the platforms: it claims what is wanted and not yet posted, posts it, and
// settles the row. The row is the truth; posting is at least once, in order per commit, and the latest wish wins.
package report

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	postTimeout = 20 * time.Second // GitLab waits up to 10 s for its lock
	lease       = 30 * time.Second // longer than a post may take, so that a late answer cannot overtake a newer one
	lookEvery   = time.Second
	settlePause = 500 * time.Millisecond
)

// Config holds what the reporter needs.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set
	Pace      map[string]time.Duration // shortest time between two posts to a platform; none when absent
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
}

// Reporter posts commit statuses.
type Reporter struct {
	Config
	pauses pauses
	silent sync.Map // projects of which was said that nothing is posted
}

// New returns a reporter; Run makes it work.
func New(cfg Config) *Reporter {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Reporter{Config: cfg, pauses: pauses{until: map[string]time.Time{}}}
}

// Run blocks until ctx ends; posts under way are finished first. Each platform has a lane of its own, so that one that hangs
// holds up nobody else.
func (r *Reporter) Run(ctx context.Context) {
	var lanes sync.WaitGroup
	for name := range r.Platforms {
		lanes.Go(func() { r.newLane(name).run(ctx) })
	}
	lanes.Wait()
}

// post returns when the outcome is settled. The post itself outlives ctx.
func (r *Reporter) post(ctx context.Context, status core.Status) {
	posting, cancel := context.WithTimeout(context.WithoutCancel(ctx), postTimeout)
	defer cancel()
	pin, err := r.Platforms[status.SourcePlatform].PostStatus(posting, status)
	end := r.settlement(status, pin, err)
	r.tell(status, end, err)
	if err := r.settle(ctx, status, end); err != nil {
		r.Log.Error("status not settled, it may be posted twice", "commit", status.CommitSHA, "error", err)
	}
}

// settle tries while the lease lasts: what was posted and is not settled is posted again.
func (r *Reporter) settle(ctx context.Context, status core.Status, end store.Settlement) error {
	for {
		err := r.Store.SettleStatus(context.WithoutCancel(ctx), status, end)
		if !errors.Is(err, core.ErrUnavailable) || r.Now().Add(settlePause).After(*status.LeaseUntil) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(settlePause):
		}
	}
}

// settlement decides what happens next from the outcome of a post.
func (r *Reporter) settlement(status core.Status, pin string, err error) store.Settlement {
	if err == nil {
		return store.Settlement{Posted: true, PipelinePin: pin}
	}
	end := store.Settlement{Error: err.Error(), RetryAfter: backoff(status.Attempts)}
	age := r.Now().Sub(status.WantedAt)
	limited := new(platforms.RateLimited)
	switch {
	case errors.As(err, &limited):
		end.RetryAfter = limited.After
		r.pauses.delay(status.SourcePlatform, r.Now(), limited.After)
	case errors.Is(err, platforms.ErrNoToken):
		end.RetryAfter = noTokenPause
	case errors.Is(err, platforms.ErrTooEarly):
		end.RetryAfter = tooEarlyPause
	case errors.Is(err, platforms.ErrUnknownCommit):
		end.GivenUp = age > unknownCommitGrace
	case errors.Is(err, platforms.ErrRefused):
		end.GivenUp = true
	}
	end.GivenUp = end.GivenUp || age > giveUpAfter
	return end
}

// tell logs each outcome once, and for projects without a token only the first.
func (r *Reporter) tell(status core.Status, end store.Settlement, err error) {
	log := r.Log.With("platform", status.SourcePlatform, "project", status.ProjectName,
		"commit", status.CommitSHA, "state", status.State)
	switch {
	case err == nil:
		log.Info("status posted", "description", status.Description)
	case errors.Is(err, platforms.ErrNoToken):
		if _, said := r.silent.LoadOrStore(status.SourcePlatform+"/"+status.ProjectName, true); !said {
			log.Warn("statuses of this project are kept and shown, but not posted: " + err.Error())
		}
	case errors.Is(err, platforms.ErrTooEarly):
		log.Debug("status waits", "reason", err)
	case end.GivenUp:
		log.Error("status given up", "error", err)
	default:
		log.Warn("status not posted, trying again", "after", end.RetryAfter, "error", err)
	}
}
