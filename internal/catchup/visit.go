package catchup

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	usualPause = time.Hour // between two looks where none is configured
	goOnAfter  = time.Minute
	firstPause = 30 * time.Second
	maxPause   = 24 * time.Hour
)

// visit looks at a claimed project, opens what is missing, and settles the claim. The error is the store's; what went
// wrong with the project stands in Found.
func (c *Catchup) visit(ctx context.Context, w store.Watched, all bool) (Found, error) {
	looking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := c.catchUp(looking, w, all)
	if errors.Is(err, core.ErrUnavailable) || ctx.Err() != nil {
		return found, err // the lease runs out, and somebody looks again
	}
	found.Err = err
	c.tell(w, found)
	failure := ""
	if err != nil {
		failure = platforms.Clean(err.Error())
	}
	err = c.Store.SettleWatched(ctx, w, c.pause(w, found), failure)
	if errors.Is(err, core.ErrConflict) {
		return found, nil // the look took longer than its lease; what it did holds
	}
	return found, err
}

// pause is how long a project has to wait for its next look.
func (c *Catchup) pause(w store.Watched, found Found) time.Duration {
	every := cmp.Or(c.Every, usualPause)
	limited := new(platforms.RateLimited)
	switch {
	case errors.As(found.Err, &limited):
		c.silence(w.SourcePlatform, limited.After)
		return limited.After
	case errors.Is(found.Err, platforms.ErrRefused):
		return poll.Backoff(every, w.Failures, max(every, maxPause))
	case found.Err != nil:
		return poll.Backoff(firstPause, w.Failures, every)
	case found.Left > 0:
		return min(goOnAfter, every)
	}
	return poll.Spread(every)
}

// tell logs what a look found; a failure once, until it is another one.
func (c *Catchup) tell(w store.Watched, found Found) {
	log := c.Log.With(keyPlatform, found.Platform, keyProject, found.Project)
	limited := new(platforms.RateLimited)
	switch {
	case errors.As(found.Err, &limited):
		log.Info("platform wants to be left alone", "for", limited.After)
	case found.Err != nil && platforms.Clean(found.Err.Error()) == w.LastError:
		log.Debug("branches still cannot be read", keyError, found.Err)
	case found.Err != nil:
		log.Warn("branches cannot be read: what webhooks do not announce is not found", keyError, found.Err)
	case w.Failures > 0:
		log.Info("branches can be read again")
	}
	switch {
	case len(found.Missed) > 0 && found.First:
		log.Info("first look: heads without a scan found", "heads", len(found.Missed), "scans", found.Opened())
	case len(found.Missed) > 0:
		log.Warn("pushes found that no webhook announced", "heads", len(found.Missed), "scans", found.Opened(),
			"left_for_the_next_look", found.Left)
	}
	if found.More && found.First {
		log.Warn("project has more branches and tags than are looked at", "limit", maxRefs)
	}
}
