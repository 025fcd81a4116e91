package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// PutSession keeps a session under its key for the given time; sessions that are over are cleared away. The key is not
// what the browser holds, so that whoever reads the database cannot log in with it.
func (s *Store) PutSession(ctx context.Context, key string, lasts time.Duration) error {
	err := s.transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock()
		if _, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM sessions WHERE expires_at <= ?`), now); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO sessions (key, expires_at) VALUES (?, ?)`), key, now.Add(lasts))
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping session: %w", err)
	}
	return nil
}

// FindSession returns the one of the keys that has a session which is not over; core.ErrNotFound when none has.
func (s *Store) FindSession(ctx context.Context, keys []string) (string, error) {
	if len(keys) == 0 {
		return "", fmt.Errorf("finding session: %w", core.ErrNotFound)
	}
	query, args, err := sqlx.In(`SELECT key FROM sessions WHERE key IN (?) AND expires_at > ? LIMIT 1`, keys, s.clock())
	if err != nil {
		return "", fmt.Errorf("finding session: %w", err)
	}
	var key string
	if err := s.db.GetContext(ctx, &key, s.db.Rebind(query), args...); err != nil {
		return "", fmt.Errorf("finding session: %w", classify(err))
	}
	return key, nil
}

// DeleteSession ends a session; one that does not exist has ended already.
func (s *Store) DeleteSession(ctx context.Context, key string) error {
	err := s.transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM sessions WHERE key = ?`), key)
		return err
	})
	if err != nil {
		return fmt.Errorf("ending session: %w", err)
	}
	return nil
}
