package lease

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
)

// Availability tracks the outages of the database as this process sees them. While the database is unavailable, no worker can
// extend its lease. For a while after an outage, an expired lease does not mean that its worker is dead.
type Availability struct {
	lease     time.Duration
	mu        sync.Mutex
	answered  time.Time // when the database last answered
	lost      time.Time // since when it has been unavailable; zero while it answers
	recovered time.Time // when the last outage ended in which leases can have expired
}

// NewAvailability begins in grace if other processes may hold leases: they may have been waiting for the database too.
func NewAvailability(lease time.Duration, shared bool) *Availability {
	a := &Availability{lease: lease}
	if shared {
		a.lost = time.Now().Add(-lease)
	}
	return a
}

// Observe takes a step on the database and learns from how it ends.
func (a *Availability) Observe(ctx context.Context, step func(context.Context) error) error {
	began := time.Now()
	err := step(ctx)
	a.note(began, err)
	return err
}

// Within is Observe with a time limit: a step that takes longer hangs, behind a lock or on the way.
func (a *Availability) Within(ctx context.Context, limit time.Duration, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return a.Observe(ctx, step)
}

// note learns from the end of a step that began at a time. A step that waited for a lock while others were answered
// proves no outage.
func (a *Availability) note(began time.Time, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	switch {
	case errors.Is(err, core.ErrUnavailable):
		if a.lost.IsZero() {
			a.lost = began
			if a.answered.After(began) {
				a.lost = a.answered
			}
		}
	case err == nil || errors.Is(err, core.ErrNotFound) || errors.Is(err, core.ErrConflict):
		if a.isLong(now) {
			a.recovered = now
		}
		a.lost, a.answered = time.Time{}, now
	}
}

// isLong tells whether an outage has lasted long enough to miss an extension: there are three in the time of a lease.
func (a *Availability) isLong(now time.Time) bool {
	return !a.lost.IsZero() && now.Sub(a.lost) >= a.lease/3
}

// InGrace tells whether an expired lease proves nothing. Ask before the claim that depends on it.
func (a *Availability) InGrace() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	return a.isLong(now) || !a.recovered.IsZero() && now.Sub(a.recovered) < a.lease*2/3
}
