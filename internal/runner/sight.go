package runner

import (
	"errors"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
)

// sight is what a process sees of the database. While that was away nobody could extend a lease: whoever finds it back
// is blind for the time in which the living make themselves heard, and takes nobody for dead.
type sight struct {
	lease time.Duration
	mu    sync.Mutex
	seen  time.Time // when the database last answered
	lost  time.Time // since when it has been away; zero while it is there
	back  time.Time // when it was last found back, if leases can have run out meanwhile
}

// newSight begins blind where others may hold jobs: they may have been waiting for the database as well.
func newSight(lease time.Duration, others bool) *sight {
	s := &sight{lease: lease}
	if others {
		s.lost = time.Now().Add(-lease)
	}
	return s
}

// note learns from how a question to the database ended that was asked when it began. One that waited for a lock, while
// others were answered, proves no absence.
func (s *sight) note(began time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case errors.Is(err, core.ErrUnavailable):
		if s.lost.IsZero() {
			s.lost = began
			if s.seen.After(began) {
				s.lost = s.seen
			}
		}
	case err == nil || errors.Is(err, core.ErrNotFound) || errors.Is(err, core.ErrConflict):
		if s.isLong(now) {
			s.back = now
		}
		s.lost, s.seen = time.Time{}, now
	}
}

// isLong tells whether the database has been away for long enough to miss a lease: they are extended three times in
// their length.
func (s *sight) isLong(now time.Time) bool { return !s.lost.IsZero() && now.Sub(s.lost) >= s.lease/3 }

// blind tells whether a lease that has run out proves nothing. It is asked before the database is.
func (s *sight) blind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	return s.isLong(now) || !s.back.IsZero() && now.Sub(s.back) < s.lease*2/3
}
