package store

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// changeAgain is change, run again when PostgreSQL ended it to break a deadlock: it does so to one of two transactions,
// and the other one is through by then.
func (s *Store) changeAgain(ctx context.Context, work func(*sqlx.Tx) error) error {
	return s.changeAgainOn(ctx, s.db, work)
}

func (s *Store) changeAgainOn(ctx context.Context, db *sqlx.DB, work func(*sqlx.Tx) error) (err error) {
	for range maxAttempts {
		if err = s.changeOn(ctx, db, work); !isDeadlock(err) {
			return err
		}
	}
	return err
}
