package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Session is a login to the pages. The key is not what the browser holds, so that nobody who reads the database can log
// in with it.
type Session struct {
	Key    string `db:"key"`
	Person string `db:"person"` // who it is, as the pages show it; empty when the key determines it
}

// PutSession keeps a session for the given time; sessions that are over are cleared away.
func (s *Store) PutSession(ctx context.Context, session Session, lasts time.Duration) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock.Timestamp()
		if _, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM sessions WHERE expires_at <= ?`), now); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, tx.Rebind(`INSERT INTO sessions (key, person, expires_at) VALUES (?, ?, ?)`),
			session.Key, session.Person, now.Add(lasts))
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping session: %w", err)
	}
	return nil
}

// FindSession returns the session under one of the keys that is not over; core.ErrNotFound when none has.
func (s *Store) FindSession(ctx context.Context, keys []string) (Session, error) {
	if len(keys) == 0 {
		return Session{}, fmt.Errorf("finding session: %w", core.ErrNotFound)
	}
	query, args, err := sqlx.In(`SELECT key, person FROM sessions WHERE key IN (?) AND expires_at > ? LIMIT 1`, keys, s.clock.Timestamp())
	if err != nil {
		return Session{}, fmt.Errorf("finding session: %w", err)
	}
	var session Session
	if err := s.db.GetContext(ctx, &session, s.db.Rebind(query), args...); err != nil {
		return Session{}, fmt.Errorf("finding session: %w", sqldb.Classify(err))
	}
	return session, nil
}

// DeleteSession ends a session; one that does not exist has ended already.
func (s *Store) DeleteSession(ctx context.Context, key string) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM sessions WHERE key = ?`), key)
		return err
	})
	if err != nil {
		return fmt.Errorf("ending session: %w", err)
	}
	return nil
}
