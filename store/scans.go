package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// GetScan finds a scan by its reference_id; core.ErrNotFound when there is none.
func (s *Store) GetScan(ctx context.Context, reference string) (core.Scan, error) {
	var scan core.Scan
	id, err := scanID(ctx, s.db, reference)
	if err == nil {
		err = classify(s.db.GetContext(ctx, &scan, s.db.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), id))
	}
	if err != nil {
		return core.Scan{}, fmt.Errorf("getting scan: %w", err)
	}
	return scan, nil
}

// BaselineCommit is the commit that a scan was compared with, or empty.
func (s *Store) BaselineCommit(ctx context.Context, scan core.Scan) (string, error) {
	if scan.BaselineScanID == nil {
		return "", nil
	}
	var sha string
	err := s.db.GetContext(ctx, &sha, s.db.Rebind(`SELECT commit_sha FROM scans WHERE id = ?`), *scan.BaselineScanID)
	if err != nil {
		return "", fmt.Errorf("getting baseline: %w", classify(err))
	}
	return sha, nil
}

// ListJobs returns the jobs of a scan in the order in which they were added.
func (s *Store) ListJobs(ctx context.Context, scan core.Scan) ([]core.Job, error) {
	var list []core.Job
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+of("scan_jobs", jobColumns)+`, COALESCE(compared.commit_sha, '') AS baseline_commit
		FROM scan_jobs LEFT JOIN scans compared ON compared.id = scan_jobs.baseline_scan_id
		WHERE scan_id = ? ORDER BY scan_jobs.id`), scan.ID)
	if err != nil {
		return nil, fmt.Errorf("listing jobs: %w", classify(err))
	}
	return list, nil
}

// DeleteScan removes a scan with everything that hangs on it, and notes who did; core.ErrNotFound when there is none.
func (s *Store) DeleteScan(ctx context.Context, reference, by string) error {
	err := s.transact(ctx, func(tx *sqlx.Tx) error {
		id, err := scanID(ctx, tx, reference)
		if err != nil {
			return err
		}
		var scan core.Scan
		err = tx.GetContext(ctx, &scan, tx.Rebind(`DELETE FROM scans WHERE id = ? RETURNING `+scanColumns), id)
		if err != nil {
			return err
		}
		return s.audit(ctx, tx, core.AuditOf(scan, by, core.AuditScanDeleted))
	})
	if err != nil {
		return fmt.Errorf("deleting scan: %w", err)
	}
	return nil
}

// Rescan makes the next attempt of a scan, notes who asked for it and returns it. core.ErrNotFound when there is none.
func (s *Store) Rescan(ctx context.Context, reference, by string) (core.Receipt, error) {
	scan, err := s.GetScan(ctx, reference)
	if err != nil {
		return core.Receipt{}, err
	}
	err = s.db.GetContext(ctx, &scan.Attempt, s.db.Rebind(`
		SELECT MAX(attempt) + 1 FROM scans s WHERE `+ofCommit), keyOf(&scan).args()...)
	if err != nil {
		return core.Receipt{}, fmt.Errorf("counting attempts: %w", classify(err))
	}
	scan.Origin = core.Rescan
	return s.AcceptCommit(ctx, scan, by)
}

// conditions collects the parts of a WHERE clause with their arguments.
type conditions struct {
	parts []string
	args  []any
}

func (c *conditions) add(when bool, part string, args ...any) {
	if when {
		c.parts = append(c.parts, part)
		c.args = append(c.args, args...)
	}
}

func (c *conditions) sql() string {
	if len(c.parts) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(c.parts, " AND ")
}
