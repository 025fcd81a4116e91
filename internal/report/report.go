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
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	postTimeout = 20 * time.Second // GitLab waits up to 10 s for its lock
	lease       = 30 * time.Second // longer than a post may take, so that a late answer cannot overtake a newer one
	batch       = 8
	lookEvery   = time.Second
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

// Run blocks until ctx ends; posts under way are finished first. Each platform has its own loop, so that one that hangs
// holds up nobody else.
func (r *Reporter) Run(ctx context.Context) {
	var loops sync.WaitGroup
	for name := range r.Platforms {
		loop := poll.Loop{Name: "report " + name, Every: lookEvery, Wake: r.Store.Changed(), Log: r.Log}
		loop.Once = func(ctx context.Context) (bool, error) { return r.once(ctx, name) }
		loops.Go(func() { loop.Run(ctx) })
	}
	loops.Wait()
}

// once posts what is due on a platform: different commits at the same time, unless the platform wants a pace.
func (r *Reporter) once(ctx context.Context, platform string) (worked bool, err error) {
	if r.pauses.paused(platform, r.Now()) {
		return false, nil
	}
	limit := batch
	if r.Pace[platform] > 0 {
		limit = 1
	}
	claimed, err := r.Store.ClaimStatuses(ctx, []string{platform}, limit, lease)
	if err != nil {
		return false, err
	}
	var posting sync.WaitGroup
	for _, status := range claimed {
		r.pauses.delay(platform, r.Now(), r.Pace[platform])
		posting.Go(func() { r.post(context.WithoutCancel(ctx), status) })
	}
	posting.Wait()
	return len(claimed) > 0, nil
}

func (r *Reporter) post(ctx context.Context, status core.Status) {
	posting, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	pin, err := r.Platforms[status.SourcePlatform].PostStatus(posting, status)
	end := r.settlement(status, pin, err)
	r.tell(status, end, err)
	if err := r.Store.SettleStatus(ctx, status, end); err != nil {
		r.Log.Error("status not settled, it may be posted twice", "commit", status.CommitSHA, "error", err)
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
