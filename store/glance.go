package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// MaxGlance is how far a Glance counts.
const MaxGlance = 1000

// Glance tells an administrator whether everything flows: what came last, and what is under way, counted up to MaxGlance.
type Glance struct {
	LastCall *time.Time // a webhook's, nil before the first one
	Open     int        // scans that have not ended
	Waiting  int        // commit statuses that the platforms do not show yet
}

// GetGlance counts the statuses of those platforms that can be posted to.
func (s *Store) GetGlance(ctx context.Context, posting []string) (glance Glance, err error) {
	var last time.Time
	err = s.db.GetContext(ctx, &last, `SELECT received_at FROM deliveries ORDER BY id DESC LIMIT 1`)
	switch {
	case err == nil:
		glance.LastCall = &last
	case !errors.Is(err, sql.ErrNoRows):
		return Glance{}, fmt.Errorf("glancing at what flows: %w", classify(err))
	}
	query, args, err := sqlx.In(`
		SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM scans WHERE status IN ('pending', 'processing') LIMIT ?) AS open_scans),
			(SELECT COUNT(*) FROM (SELECT 1 FROM commit_statuses
				WHERE posted_revision < revision AND NOT given_up AND source_platform IN (?) LIMIT ?) AS due)`,
		MaxGlance, append([]string{""}, posting...), MaxGlance)
	if err == nil {
		err = s.db.QueryRowxContext(ctx, s.db.Rebind(query), args...).Scan(&glance.Open, &glance.Waiting)
	}
	if err != nil {
		return Glance{}, fmt.Errorf("glancing at what flows: %w", classify(err))
	}
	return glance, nil
}
