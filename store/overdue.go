package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// maxExpired is how many scans are ended at a time.
const maxExpired = 10_000

// ExpireScans ends the jobs that did not report before their scan's deadline or, unless the caller is blind as a Claimant
// can be, lost too many workers, and returns how many scans that ended.
func (s *Store) ExpireScans(ctx context.Context, blind bool) (int, error) {
	now := s.clock()
	lapsed := s.lapsedBefore(now, blind)
	var ids []int64
	err := s.changeAgain(ctx, func(tx *sqlx.Tx) (err error) { // a transaction has the settings that plans depend on
		ids, err = s.overdue(ctx, tx, now, lapsed)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("looking for overdue scans: %w", classify(err))
	}
	for _, id := range ids {
		err := s.changeAgain(ctx, func(tx *sqlx.Tx) error { return s.expireScan(ctx, tx, id, lapsed) })
		if err != nil {
			return 0, fmt.Errorf("ending overdue scan %d: %w", id, err)
		}
	}
	return len(ids), nil
}

// overdue lists the scans that have had their time, or whose jobs have lost too many workers.
func (s *Store) overdue(ctx context.Context, tx *sqlx.Tx, now, lapsed time.Time) (ids []int64, err error) {
	err = tx.SelectContext(ctx, &ids, tx.Rebind(`
		SELECT scan_id FROM scan_jobs
		WHERE state = 'running' AND worker >= '' AND lease_until <= ? AND lapses + 1 >= ?
		ORDER BY worker LIMIT ?`), lapsed, maxLapses, maxExpired)
	if err != nil {
		return nil, err
	}
	var late []core.Scan
	err = tx.SelectContext(ctx, &late, tx.Rebind(`
		SELECT id, timestamp, deadline_at FROM scans WHERE status IN ('pending', 'processing') AND deadline_at <= ?
		ORDER BY deadline_at LIMIT ?`), now, maxExpired)
	for _, scan := range late {
		if s.isOverdue(scan, now) {
			ids = append(ids, scan.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// workersDied is what the commit says of a job that lost too many workers. Their names are for those who look further.
const workersDied = "its worker died or stood still three times, for want of memory perhaps"

func (s *Store) expireScan(ctx context.Context, tx *sqlx.Tx, id int64, lapsed time.Time) error {
	scan, err := s.lockScan(ctx, tx, id)
	if err != nil {
		return err
	}
	now := s.clock()
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scan_jobs SET state = 'failed', finished_at = ?, lease_until = NULL, lapses = lapses + 1,
			lost_workers = `+lostWorkers+`, error = ?
		WHERE scan_id = ? AND state = 'running' AND lease_until <= ? AND lapses + 1 >= ?`),
		now, workersDied, id, lapsed, maxLapses)
	if err == nil && s.isOverdue(scan, now) {
		_, err = tx.ExecContext(ctx, tx.Rebind(`
			UPDATE scan_jobs SET state = 'failed', finished_at = ?, lease_until = NULL,
				error = ? || CASE WHEN error = '' THEN '' ELSE ': ' || error END
			WHERE scan_id = ? AND state IN ('pending', 'running')`),
			now, core.DeadlineError(scan.DeadlineAt.Sub(scan.Timestamp)), id)
	}
	if err != nil {
		return err
	}
	return s.settleScan(ctx, tx, id, nil)
}
