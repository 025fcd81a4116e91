package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// handover is how long the process that serves an embedded database may take to end when another one wants to follow.
const handover = 40 * time.Second

// leased are the tables whose rows are leased while somebody works on them, beside scan_jobs.
var leased = []string{"commit_statuses", "watched_projects", "hook_places", "lookups"}

// TakeOver makes this process the one that serves an embedded database until Close, and frees what the one before held:
// nothing waits for the leases of the dead. A process that is still ending is waited for; core.ErrConflict when it goes
// on. On PostgreSQL it does nothing, for other replicas may hold leases and be alive.
func (s *Store) TakeOver(ctx context.Context) error {
	if s.dialect.file == "" {
		return nil
	}
	if err := s.succeed(ctx); err != nil {
		return fmt.Errorf("taking over the database: %w", err)
	}
	err := s.change(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE scan_jobs SET lease_until = started_at WHERE state = 'running'`)
		for _, table := range leased {
			if err == nil {
				_, err = tx.ExecContext(ctx, `UPDATE `+table+` SET lease_until = NULL WHERE lease_until IS NOT NULL`)
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("releasing leases: %w", err)
	}
	return nil
}

// succeed waits for the lock that the serving process holds; the system frees it when that process dies.
func (s *Store) succeed(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, handover)
	defer cancel()
	s.serving = flock.New(s.dialect.beside(".serve"))
	_, err := s.serving.TryLockContext(waiting, lockPause)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%w: another scanhook serves %s; stop it first, or use PostgreSQL, which several can serve",
			core.ErrConflict, s.dialect.file)
	}
	return err
}
