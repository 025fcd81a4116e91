package report

import (
	"errors"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// Pause is until when a platform wants to be left alone; zero when nothing is known of it.
func (r *Reporter) Pause(platform string) time.Time { return r.pauses.end(platform) }

// LastPost is when this process last posted a status to a platform; zero for never.
func (r *Reporter) LastPost(platform string) time.Time {
	last, _ := r.posted.Load(platform)
	at, _ := last.(time.Time)
	return at
}

// count tells the meter how an attempt ended.
func (r *Reporter) count(status core.Status, end store.Settlement, err error) {
	r.Meter.TriedToPost(status, outcomeOf(end, err))
	if limited := new(platforms.RateLimited); errors.As(err, &limited) {
		r.Meter.Paused(status.SourcePlatform, limited.After)
	}
	if err != nil {
		return
	}
	r.posted.Store(status.SourcePlatform, r.Now())
	if status.FirstFinal() {
		r.Meter.FirstFinal(status.SourcePlatform, r.Now().Sub(*status.PushedAt))
	}
}

func outcomeOf(end store.Settlement, err error) metrics.PostOutcome {
	limited, denied := new(platforms.RateLimited), new(platforms.Denied)
	switch {
	case err == nil:
		return metrics.Posted
	case end.GivenUp:
		return metrics.GivenUp
	case errors.As(err, &limited):
		return metrics.RateLimited
	case errors.As(err, &denied):
		return metrics.Denied
	case errors.Is(err, platforms.ErrNoToken):
		return metrics.NoToken
	case errors.Is(err, platforms.ErrTooEarly):
		return metrics.TooEarly
	case errors.Is(err, platforms.ErrUnknownCommit):
		return metrics.UnknownCommit
	}
	return metrics.PostFailed
}
