package store

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// Begin lets a test hold a transaction open as a process would that stalls.
func (s *Store) Begin(ctx context.Context) (*sqlx.Tx, error) { return s.db.BeginTxx(ctx, nil) }

// PlanOfScans are the steps in which SQLite would answer ListScans.
func (s *Store) PlanOfScans(ctx context.Context, f ScanFilter) (steps []string, err error) {
	ways, err := s.waysTo(ctx, f)
	if err != nil || len(ways.parts) == 0 {
		return nil, err
	}
	var plan []struct {
		ID, Parent, NotUsed int
		Detail              string
	}
	picked, args := ways.picked()
	err = s.db.SelectContext(ctx, &plan, `EXPLAIN QUERY PLAN `+picked+`SELECT id FROM picked`, args...)
	for _, step := range plan {
		steps = append(steps, step.Detail)
	}
	return steps, err
}
