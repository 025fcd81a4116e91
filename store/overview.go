package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

const (
	// MaxCounted is how far an Overview counts.
	MaxCounted = 1000
	// maxNamedTroubles is how many troubles an Overview names.
	maxNamedTroubles = 5
)

// Overview tells an administrator whether everything flows: what came last, and what is under way, counted up to
// MaxCounted.
type Overview struct {
	LastCall *time.Time     // a webhook's, nil before the first one
	Open     int            // scans that have not ended
	Waiting  int            // commit statuses that the platforms do not show yet
	Troubles []core.Trouble // the oldest of those that keep statuses from being posted
	Troubled int            // how many there are of them
}

// GetOverview counts the statuses of those platforms that can be posted to.
func (s *Store) GetOverview(ctx context.Context, posting []string) (overview Overview, err error) {
	var last time.Time
	err = s.db.GetContext(ctx, &last, `SELECT received_at FROM deliveries ORDER BY id DESC LIMIT 1`)
	switch {
	case err == nil:
		overview.LastCall = &last
	case !errors.Is(err, sql.ErrNoRows):
		return Overview{}, fmt.Errorf("reading the overview: %w", classify(err))
	}
	query, args, err := sqlx.In(`
		SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM scans WHERE status IN ('pending', 'processing') LIMIT ?) AS open_scans),
			(SELECT COUNT(*) FROM (SELECT 1 FROM commit_statuses
				WHERE posted_revision < revision AND NOT given_up AND source_platform IN (?) LIMIT ?) AS due),
			(SELECT COUNT(*) FROM (SELECT 1 FROM project_troubles LIMIT ?) AS troubled)`,
		MaxCounted, append([]string{""}, posting...), MaxCounted, MaxCounted)
	if err == nil {
		row := s.db.QueryRowxContext(ctx, s.db.Rebind(query), args...)
		err = row.Scan(&overview.Open, &overview.Waiting, &overview.Troubled)
	}
	if err == nil && overview.Troubled > 0 {
		err = s.db.SelectContext(ctx, &overview.Troubles, s.db.Rebind(`
			SELECT `+troubleColumns+` FROM project_troubles ORDER BY since, id LIMIT ?`), maxNamedTroubles)
	}
	if err != nil {
		return Overview{}, fmt.Errorf("reading the overview: %w", classify(err))
	}
	return overview, nil
}
