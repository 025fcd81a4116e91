package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// revive has jobs done that ended too early: a newer push had made a scan pointless, and a push names its commit again (a
// second branch at the same commit, or a branch that was set back to it); or the scan was opened by an upload or a
// pipeline before the push, and its jobs failed because the commit was not there yet.
func (s *Store) revive(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	var ids []int64
	informed := map[int64]bool{}
	for _, item := range batch {
		if item.scan != nil && isPush(item.scan.Origin) && item.receipt.Outcome == core.ScanExists {
			ids = append(ids, item.scan.ID)
			informed[item.scan.ID] = informed[item.scan.ID] || item.informed
		}
	}
	if len(ids) == 0 {
		return nil
	}
	query, args, err := sqlx.In(`
		SELECT id, superseded_by FROM scans WHERE id IN (?) AND (superseded_by <> '' OR status = 'failed') ORDER BY id`, ids)
	if err != nil {
		return err
	}
	var ended []core.Scan
	if err := tx.SelectContext(ctx, &ended, tx.Rebind(query), args...); err != nil {
		return err
	}
	for _, scan := range ended {
		if scan.SupersededBy == "" && !informed[scan.ID] {
			continue
		}
		if err := s.reviveScan(ctx, tx, scan.ID, informed[scan.ID]); err != nil {
			return err
		}
	}
	return nil
}

func isPush(origin string) bool { return origin == "push" || origin == core.Recovered }

// reviveScan starts jobs anew that were superseded and, where the scan came before its push, those that failed here.
func (s *Store) reviveScan(ctx context.Context, tx *sqlx.Tx, id int64, early bool) error {
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
		UPDATE scan_jobs SET state = 'pending', error = '', failures = 0, not_before = NULL, finished_at = NULL
		WHERE scan_id = ? AND (state = 'superseded' OR ? AND state = 'failed' AND worker <> ?)`),
		id, early, core.Uploader)
	if err != nil {
		return err
	}
	return s.settleScan(ctx, tx, id, nil)
}
