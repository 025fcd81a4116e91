package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
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

// trialSize is how much TryWrite writes, in bytes: as much as a usual delivery.
const trialSize = 8 << 10

// TryWrite finds out whether the database can write, as Refusal then tells, when nothing comes that would show it. It is
// nil for a database that is out of reach.
func (s *Store) TryWrite(ctx context.Context) error {
	err := s.transact(ctx, func(tx *sqlx.Tx) error {
		var id int64
		err := tx.GetContext(ctx, &id, tx.Rebind(`INSERT INTO write_trials (at, filler) VALUES (?, ?) RETURNING id`),
			s.clock(), filler())
		if err == nil { // what came before made room for nothing
			_, err = tx.ExecContext(ctx, tx.Rebind(`DELETE FROM write_trials WHERE id < ?`), id)
		}
		return err
	})
	s.noteIntake(err)
	return s.Refusal()
}

// filler does not get smaller by compression.
func filler() string {
	random := make([]byte, trialSize/2)
	_, _ = rand.Read(random) // never fails
	return hex.EncodeToString(random)
}

func (s *Store) noteIntake(err error) {
	switch {
	case err == nil:
		s.refused.Store(nil)
	case isUnwritable(err):
		s.refused.Store(&refusal{s.Now(), err})
	}
}
