// Package poll repeats a unit of background work: at once while there is work, else when it is woken or a pause has passed.
// Work that is a row with a lease is done by package lease, which is built on it.
package poll

import (
	"cmp"
	"context"
	"log/slog"
	"time"
)

const (
	maxPause    = 30 * time.Second       // between two tries while the work keeps failing
	defaultRest = 100 * time.Millisecond // after a try without work, so that one try finds what many rings announce
)

// Loop describes one background loop.
type Loop struct {
	Name  string        // for the log
	Every time.Duration // the longest pause between two tries
	Rest  time.Duration // the shortest one after a try without work; 100 ms by default
	Wake  *Bell         // may be nil
	Once  func(context.Context) (worked bool, err error)
	Log   *slog.Logger
}

// Run blocks until ctx ends. It begins with a try, repeats it at once while Once has worked, and doubles the pause while it
// fails. A failure is logged once when it begins and once when it is over.
func (l Loop) Run(ctx context.Context) {
	failures, rest := 0, cmp.Or(l.Rest, defaultRest)
	for ctx.Err() == nil {
		wake := l.listen()
		worked, err := l.Once(ctx)
		failures = l.report(ctx, failures, err)
		if worked && err == nil {
			continue
		}
		wait(ctx, nil, rest)
		wait(ctx, wake, l.pause(failures)-rest)
	}
}

func (l Loop) report(ctx context.Context, failures int, err error) int {
	switch {
	case err == nil && failures > 0:
		l.Log.Info("loop works again", "loop", l.Name, "failures", failures)
		return 0
	case err == nil || ctx.Err() != nil:
		return 0
	case failures == 0:
		l.Log.Error("loop fails, trying again", "loop", l.Name, "error", err)
	}
	return failures + 1
}

func (l Loop) pause(failures int) time.Duration {
	pause := l.Every
	for ; failures > 1 && pause < maxPause; failures-- {
		pause *= 2
	}
	return pause
}

func (l Loop) listen() <-chan struct{} {
	if l.Wake == nil {
		return nil
	}
	return l.Wake.Listen()
}

func wait(ctx context.Context, wake <-chan struct{}, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// Sleep lets a time pass. It returns false when ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
