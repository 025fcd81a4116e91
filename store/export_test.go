package store

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// Begin lets a test hold a transaction open as a process would that stalls.
func (s *Store) Begin(ctx context.Context) (*sqlx.Tx, error) { return s.db.BeginTxx(ctx, nil) }
