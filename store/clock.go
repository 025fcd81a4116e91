package store

import (
	"context"
	"fmt"
	"time"

	"github.com/scanhook/scanhook/core"
)

// Now is the present moment by the clock that all replicas share: the database server's, or the host's own where there is
// no server. Either may jump; Now follows only what lasts.
func (s *Store) Now() time.Time {
	if s.given != nil {
		return s.given()
	}
	return s.steady.now()
}

// clock is Now in UTC and in the precision that both engines keep.
func (s *Store) clock() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// Jumped is how much of the time since then has not passed, because Now jumped over it lately: a clock was put right, or
// the machine slept. It is taken off wherever something is late or old only if the time has really passed.
func (s *Store) Jumped(then time.Time) time.Duration {
	if s.given != nil {
		return 0
	}
	return s.steady.jumped(then)
}

// Doubt is how far the shared clock has jumped away from Now, which does not follow it yet; 0 where both agree.
func (s *Store) Doubt() time.Duration {
	if s.given != nil {
		return 0
	}
	return s.steady.doubted()
}

// hasJustJumped tells whether Now has followed a jump a moment ago.
func (s *Store) hasJustJumped() bool { return s.given == nil && s.steady.lastJump() != 0 }

// DeadlineOf is when a scan has had its time.
func (s *Store) DeadlineOf(scan core.Scan) time.Time {
	return scan.DeadlineAt.Add(s.Jumped(scan.Timestamp))
}

// isOverdue is false for scans that were waiting when this process started, until its clock has proven itself: one that
// is wrong at the start must fail nothing.
func (s *Store) isOverdue(scan core.Scan, now time.Time) bool {
	if s.given == nil && scan.Timestamp.Before(s.steady.started) && !s.steady.proven() {
		return false
	}
	return !s.DeadlineOf(scan).After(now)
}

// SyncClock compares Now with the shared clock, and returns how far a database server's is ahead of the host's: a
// replica whose clock is wrong would take the others' leases for lapsed, or lease its own jobs for too long. It returns 0
// where both agree, and on an embedded database.
func (s *Store) SyncClock(ctx context.Context) (time.Duration, error) {
	switch {
	case s.given != nil:
		return 0, nil
	case s.dialect.serverTime == "":
		s.steady.follow(s.steady.Wall(), 0)
		return 0, nil
	}
	theirs, ours, way, err := s.serverTime(ctx)
	if err != nil {
		return 0, err
	}
	if way > tolerableSkew { // an answer that took so long tells nothing
		return time.Duration(s.skew.Load()), nil
	}
	s.steady.follow(theirs, way)
	skew := theirs.Sub(ours)
	if skew.Abs() < tolerableSkew+way {
		skew = 0
	}
	s.skew.Store(int64(skew))
	return skew, nil
}

// beginClock lets Now be the server's from the start, unless the host's agrees with it.
func (s *Store) beginClock(ctx context.Context) error {
	if s.given != nil || s.dialect.serverTime == "" {
		return nil
	}
	theirs, ours, way, err := s.serverTime(ctx)
	if err == nil && theirs.Sub(ours).Abs() >= tolerableSkew+way {
		s.steady.begin(theirs)
	}
	return err
}

// serverTime is what the server's and the host's clock show now, give or take the way that the question took.
func (s *Store) serverTime(ctx context.Context) (theirs, ours time.Time, way time.Duration, err error) {
	asked := s.steady.Ran()
	if err := s.db.GetContext(ctx, &theirs, s.dialect.serverTime); err != nil {
		return theirs, ours, 0, fmt.Errorf("asking the database for the time: %w", classify(err))
	}
	way = (s.steady.Ran() - asked) / 2
	return theirs.Add(way), s.steady.Wall(), way, nil
}
