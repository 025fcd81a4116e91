package report

import (
	"sync"
	"time"

	"github.com/scanhook/scanhook/internal/poll"
)

const (
	firstPause         = 2 * time.Second
	longestPause       = 10 * time.Minute
	noTokenPause       = time.Hour // a token may come with the next start
	tooEarlyPause      = time.Second
	unknownCommitGrace = 10 * time.Minute // a webhook can be faster than the platform's API
	refusedGrace       = 15 * time.Minute // what a platform refuses now, a limit of jobs for instance, it may take later
	hiddenGrace        = time.Minute      // so long may a project be newer than what the API knows
	giveUpAfter        = 24 * time.Hour
	firstProbe         = 30 * time.Second // until a project in trouble is tried again
	longestProbe       = 15 * time.Minute
)

// backoff grows exponentially with the failed attempts and is spread, so that many commits do not come back at once.
func backoff(attempts int) time.Duration {
	return poll.Jitter(poll.Backoff(firstPause, attempts, longestPause))
}

// probePause grows with the probes that found a token unmended.
func probePause(probes int) time.Duration {
	return poll.Backoff(firstProbe, probes, longestProbe)
}

// pauses remembers until when a platform wants to be left alone.
type pauses struct {
	mu sync.Mutex
	of map[string]pause
}

// pause has been asked for at a time, until another one. Before it was asked for there is none: a clock went back.
type pause struct{ since, until time.Time }

func (p *pauses) delay(platform string, now time.Time, length time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if end := now.Add(length); end.After(p.of[platform].until) || now.Before(p.of[platform].since) {
		p.of[platform] = pause{now, end}
	}
}

func (p *pauses) end(platform string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[platform].until
}

func (p *pauses) paused(platform string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !now.Before(p.of[platform].since) && now.Before(p.of[platform].until)
}
