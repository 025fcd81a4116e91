// Package report carries commit statuses to the platforms: it claims what is wanted and not yet posted, posts it, and
// settles the row. The row is the truth; posting is at least once, in order per commit, and the latest wish wins.
//
// Reading order: report.go, lane.go, pauses.go, tell.go (the words that are kept and logged), count.go (the numbers);
// watch.go looks whether what was posted still stands.
package report

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	postTimeout = 20 * time.Second // GitLab waits up to 10 s for its lock
	lease       = 30 * time.Second // longer than a post may take, so that a late answer cannot overtake a newer one
	lookEvery   = time.Second
	settlePause = 500 * time.Millisecond

	settleTimeout = 8 * time.Second
)

// Config holds what the reporter needs.
type Config struct {
	Store     *store.Store
	Platforms platforms.Set
	Pace      map[string]time.Duration // shortest time between two posts to a platform; none when absent
	Meter     *metrics.Meter           // may be nil
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
}

// Reporter posts commit statuses.
type Reporter struct {
	Config
	pauses pauses
	checks pauses   // of looks at what was posted
	silent sync.Map // projects and branches of which was said that nothing is posted
	posted sync.Map // when something was last posted, by platform
}

// New returns a reporter; Run makes it work.
func New(cfg Config) *Reporter {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Reporter{
		Config: cfg, pauses: pauses{of: map[string]pause{}}, checks: pauses{of: map[string]pause{}},
	}
}

// Run blocks until ctx ends; posts under way are finished first. Each platform has a lane of its own, so that one that
// hangs holds up nobody else. It begins with what waits for a token: there may be another one since the last run.
func (r *Reporter) Run(ctx context.Context) {
	if err := r.Store.RetryTroubles(ctx); err != nil {
		r.Log.Warn("what waits for a token is tried later", "error", err)
	}
	var lanes sync.WaitGroup
	for name := range r.Platforms {
		l := r.newLane(name)
		lanes.Go(func() { l.run(ctx) })
		lanes.Go(func() { l.watch(ctx) })
	}
	lanes.Wait()
}

// post returns when the outcome is settled. The post itself outlives ctx.
func (r *Reporter) post(ctx context.Context, status core.Status) {
	posting, cancel := context.WithTimeout(context.WithoutCancel(ctx), postTimeout)
	defer cancel()
	begun := r.Now()
	posted, err := platforms.Post(posting, r.Platforms[status.SourcePlatform], status)
	end := r.settlement(status, posted, err)
	end.Took = r.Now().Sub(begun)
	r.tell(status, end, err)
	r.count(status, end, err)
	if err := r.settle(ctx, status, end); err != nil {
		r.Log.Error("status not settled, it may be posted twice", "commit", status.CommitSHA, "error", err)
	}
}

// settle tries while the lease lasts: what was posted and is not settled is posted again.
func (r *Reporter) settle(ctx context.Context, status core.Status, end store.Settlement) error {
	for {
		err := r.settleOnce(ctx, status, end)
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

// settleOnce outlives ctx, but not by much: a database that stands still must not hold up the end of the process.
func (r *Reporter) settleOnce(ctx context.Context, status core.Status, end store.Settlement) error {
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	return r.Store.SettleStatus(settling, status, end)
}

// settlement decides what happens next from the outcome of a post.
func (r *Reporter) settlement(status core.Status, posted platforms.Posted, err error) store.Settlement {
	if err == nil {
		return store.Settlement{
			Posted: true, PipelinePin: posted.PipelinePin, PostedID: posted.ID, Code: posted.Code,
			LeftOut:    posted.LeftOut,
			CheckAfter: r.checkAfter(status),
		}
	}
	end := store.Settlement{Error: sentence(err), Code: platforms.CodeOf(err), RetryAfter: backoff(status.Attempts)}
	wanted := later(status.WantedAt, status.DueSince)
	age := r.Now().Sub(wanted) - r.Store.Jumped(wanted)
	limited, denied := new(platforms.RateLimited), new(platforms.Denied)
	switch {
	case errors.As(err, &limited):
		end.RetryAfter, end.Waiting = limited.After, true
		r.pauses.delay(status.SourcePlatform, r.Now(), limited.After)
	case errors.Is(err, platforms.ErrNoToken):
		end.RetryAfter, end.Trouble = noTokenPause, &core.Trouble{Probes: 1}
	case errors.As(err, &denied) && (!denied.Hidden || age > hiddenGrace):
		end.RetryAfter, end.Trouble = probePause(status.Probe), troubleOf(status, denied)
	case errors.Is(err, platforms.ErrTooEarly):
		end.RetryAfter, end.Waiting = tooEarlyPause, true
	case errors.Is(err, platforms.ErrUnknownCommit):
		end.GivenUp = age > unknownCommitGrace
	case errors.Is(err, platforms.ErrRefused):
		end.GivenUp = age > refusedGrace || end.Code == 0
		end.Error += againAdvice
	}
	end.GivenUp = end.Trouble == nil && (end.GivenUp || age > giveUpAfter)
	return end
}
