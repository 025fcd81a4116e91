package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
)

const (
	firstCheck  = time.Minute // after a final status was posted: does it still stand?
	secondCheck = 15 * time.Minute
	checkEvery  = 2 * time.Second // the pace of looks at a platform
	lateCheck   = time.Hour       // a look that is so late is left out
	idleAfter   = time.Second     // without anything to post
)

// checkAfter is how long after its post a status is looked at; 0 where it is not, because it will change anyway or
// because the platform does not tell.
func (r *Reporter) checkAfter(status core.Status) time.Duration {
	if _, tells := r.Platforms[status.SourcePlatform].(platforms.StatusReader); !tells || status.State == core.StatusPending {
		return 0
	}
	return firstCheck
}

// nextCheck is how long after a look the next one comes. A status that was announced to us needs no other one: so would
// be what took its place.
func nextCheck(status core.Status) time.Duration {
	if status.SeenID < status.PostedID && status.PostedAt != nil && status.CheckAt.Sub(*status.PostedAt) < secondCheck {
		return secondCheck - firstCheck
	}
	return 0
}

// watch looks whether final statuses still stand, while there is nothing to post.
func (l *lane) watch(ctx context.Context) {
	reader, tells := l.Platforms[l.platform].(platforms.StatusReader)
	if !tells {
		return
	}
	look := func(ctx context.Context) (bool, error) { return l.look(ctx, reader) }
	poll.Loop{Name: "watch " + l.platform, Every: checkEvery, Once: look, Log: l.Log}.Run(ctx)
}

// look reports that it worked where it can go on at once, because it asked nobody.
func (l *lane) look(ctx context.Context, reader platforms.StatusReader) (worked bool, err error) {
	now := l.Now()
	if l.pauses.paused(l.platform, now) || l.checks.paused(l.platform, now) ||
		now.Sub(time.Unix(l.busy.Load(), 0)) < idleAfter {
		return false, nil
	}
	status, err := l.Store.ClaimCheck(ctx, l.platform, nextCheck)
	if errors.Is(err, core.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if now.Sub(*status.CheckAt) > lateCheck {
		return true, nil
	}
	return false, l.compare(ctx, reader, status)
}

// compare tells the store what the platform shows. A look that fails is left out: another one may follow.
func (l *lane) compare(ctx context.Context, reader platforms.StatusReader, status core.Status) error {
	asking, cancel := context.WithTimeout(platforms.Idle(ctx), postTimeout)
	defer cancel()
	log := l.Log.With("platform", status.SourcePlatform, "project", status.ProjectName, "commit", status.CommitSHA)
	seen, err := reader.LatestStatus(asking, status)
	if err != nil {
		if limited := new(platforms.RateLimited); errors.As(err, &limited) {
			l.checks.delay(l.platform, l.Now(), limited.After)
		}
		log.Debug("posted status not looked at", "error", err)
		return nil
	}
	sighting, err := l.Store.SeeStatus(ctx, l.platform, seen)
	if err != nil {
		return fmt.Errorf("comparing status: %w", err)
	}
	if sighting == core.Overwritten {
		log.Warn("a status of ours was overwritten", "context", seen.Context, "by", seen.By(), "state", seen.State)
	}
	return nil
}
