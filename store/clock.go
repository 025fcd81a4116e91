package store

import (
	"context"
	"fmt"
	"time"
)

// tolerableSkew is how far a host's clock may be from the database's without being put right. Leases are much longer.
const tolerableSkew = time.Second

// Now is the present moment by the clock that all replicas share: the database server's, or the host's own where that
// agrees with it or there is no server.
func (s *Store) Now() time.Time { return s.now().Add(time.Duration(s.skew.Load())) }

// clock is Now in UTC and in the precision that both engines keep.
func (s *Store) clock() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// SyncClock asks the database server for the time, and returns how far it is ahead of the host's: a replica whose clock
// is wrong would take the others' leases for lapsed, or lease its own jobs for too long. It is 0 where both agree, and
// on an embedded database.
func (s *Store) SyncClock(ctx context.Context) (time.Duration, error) {
	if s.dialect.serverTime == "" || s.givenTime {
		return 0, nil
	}
	var theirs time.Time
	asked := s.now()
	if err := s.db.GetContext(ctx, &theirs, s.dialect.serverTime); err != nil {
		return 0, fmt.Errorf("asking the database for the time: %w", classify(err))
	}
	way := s.now().Sub(asked) / 2
	if way > tolerableSkew { // an answer that took so long tells nothing
		return time.Duration(s.skew.Load()), nil
	}
	skew := theirs.Sub(asked.Add(way))
	if skew.Abs() < tolerableSkew+way {
		skew = 0
	}
	s.skew.Store(int64(skew))
	return skew, nil
}
