package store

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// maxDeadlocks is how often a transaction may be chosen to break a deadlock.
const maxDeadlocks = 3

// changeAgain is change, run again when PostgreSQL ended it to break a deadlock: it does so to one of two transactions,
// and the other one is through by then.
func (s *Store) changeAgain(ctx context.Context, work func(*sqlx.Tx) error) error {
	return s.changeAgainAs(ctx, inTurn, work)
}

func (s *Store) changeAgainAs(ctx context.Context, as rank, work func(*sqlx.Tx) error) (err error) {
	for range maxDeadlocks {
		if err = s.changeAs(ctx, as, work); !isDeadlock(err) {
			return err
		}
	}
	return err
}
