package store

import (
	"context"
	"fmt"
	"time"
)

// refusalCounts is how long deliveries that could not be written speak against being ready. Then calls may come again,
// and tell: one who is sent no calls would never know that there is room on the disk again.
const refusalCounts = 30 * time.Second

// refusal is why a database that can be reached did not write the last deliveries.
type refusal struct {
	at  time.Time
	err error
}

// Ready tells whether deliveries can be accepted: the database answers, and has not just refused to write some, as it
// does when its disk is full. One that was away is ready as soon as it is back. core.ErrUnavailable when they cannot.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.Refusal(); err != nil {
		return fmt.Errorf("accepting deliveries: %w", err)
	}
	return s.Ping(ctx)
}

// Refusal is why the database did not write the deliveries that came last, though it can be reached; nil when it did, or
// when that was a while ago.
func (s *Store) Refusal() error {
	if last := s.refused.Load(); last != nil && s.Now().Sub(last.at) < refusalCounts {
		return last.err
	}
	return nil
}

func (s *Store) noteIntake(err error) {
	switch {
	case err == nil:
		s.refused.Store(nil)
	case isUnwritable(err):
		s.refused.Store(&refusal{s.Now(), err})
	}
}
