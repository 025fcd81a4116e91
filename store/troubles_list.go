package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// RetryTroubles has one status of each project in trouble posted at once: the credential may be another one now.
func (s *Store) RetryTroubles(ctx context.Context) error {
	now := s.clock()
	err := s.change(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE project_troubles SET next_probe_at = ?, probes = 1 WHERE next_probe_at > ?`), now, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("retrying troubles: %w", err)
	}
	return nil
}

// ListTroubles returns the troubles of a project, or those of all where platform is empty, the oldest first.
func (s *Store) ListTroubles(ctx context.Context, platform, project string) ([]core.Trouble, error) {
	var where conditions
	where.add(platform != "", `source_platform = ?`, platform)
	where.add(platform != "", `project_name = ?`, project)
	var list []core.Trouble
	query := s.db.Rebind(`SELECT ` + troubleColumns + ` FROM project_troubles ` + where.sql() + ` ORDER BY since, id`)
	if err := s.db.SelectContext(ctx, &list, query, where.args...); err != nil {
		return nil, fmt.Errorf("listing troubles: %w", classify(err))
	}
	return list, nil
}
