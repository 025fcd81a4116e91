package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// revive takes back that a newer push made a scan pointless when a push names its commit again: a second branch at the
// same commit, or a branch that was set back to it.
func (s *Store) revive(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	var ids []int64
	for _, item := range batch {
		if item.scan != nil && isPush(item.scan.Origin) && item.receipt.Outcome == core.ScanExists {
			ids = append(ids, item.scan.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	query, args, err := sqlx.In(`SELECT id FROM scans WHERE id IN (?) AND superseded_by <> '' ORDER BY id`, ids)
	if err != nil {
		return err
	}
	var superseded []int64
	if err := tx.SelectContext(ctx, &superseded, tx.Rebind(query), args...); err != nil {
		return err
	}
	for _, id := range superseded {
		if err := s.reviveScan(ctx, tx, id); err != nil {
			return err
		}
	}
	return nil
}

func isPush(origin string) bool { return origin == "push" || origin == core.Recovered }

func (s *Store) reviveScan(ctx context.Context, tx *sqlx.Tx, id int64) error {
	scan, err := s.lockScan(ctx, tx, id)
	if err != nil {
		return err
	}
	deadline := s.clock().Add(scan.DeadlineAt.Sub(scan.Timestamp))
	_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET superseded_by = '', deadline_at = ? WHERE id = ?`), deadline, id)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scan_jobs SET state = 'pending', error = '', finished_at = NULL
		WHERE scan_id = ? AND state = 'superseded'`), id)
	if err != nil {
		return err
	}
	return s.settleScan(ctx, tx, id, nil)
}
