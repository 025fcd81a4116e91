package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// AdmitReport is nil when a repository takes the scanner's reports from outside. core.ErrNotFound when the repository is
// not configured; else the errors of core.Scanners.AdmitReport.
func (s *Store) AdmitReport(platform, project, scanner string) error {
	policy, known := s.policies.For(platform, project)
	if !known {
		return fmt.Errorf("%w: %s", core.ErrNotFound, notConfigured(platform, project))
	}
	return s.scanners.AdmitReport(policy, scanner)
}

// PutReport takes a scanner's report from outside and notes who brought it. The same scanner again replaces its findings.
// It returns the scan as it stands afterwards. core.ErrNotFound when there is no such scan, core.ErrConflict when the
// scanner runs here or ran here for this commit, core.ErrInvalid when the repository does not take its reports.
func (s *Store) PutReport(ctx context.Context, reference, scanner string, report core.Report) (core.Scan, error) {
	var scan core.Scan
	d := examine(report)
	err := s.changeInTurn(ctx, s.reporting, func(tx *sqlx.Tx) error {
		id, err := scanID(ctx, tx, reference)
		if err != nil {
			return err
		}
		if scan, err = s.lockForReport(ctx, tx, id); err != nil {
			return err
		}
		if err := s.AdmitReport(scan.SourcePlatform, scan.ProjectName, scanner); err != nil {
			return err
		}
		job, err := jobForReport(ctx, tx, scan, scanner)
		if err != nil {
			return err
		}
		if err := s.audit(ctx, tx, core.AuditOfReport(scan, job, report)); err != nil {
			return err
		}
		if err := s.putReport(ctx, tx, scan, job, d); err != nil {
			return err
		}
		return tx.GetContext(ctx, &scan, tx.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), id)
	})
	if err != nil {
		return core.Scan{}, fmt.Errorf("taking report of %s: %w", scanner, err)
	}
	return scan, nil
}

// jobForReport is the scanner's job as it was, or a new one. A job that a worker has, or ended, is none for reports from
// outside, whatever the configuration says by now.
func jobForReport(ctx context.Context, tx *sqlx.Tx, scan core.Scan, scanner string) (core.Job, error) {
	var job core.Job
	err := tx.GetContext(ctx, &job, tx.Rebind(`
		INSERT INTO scan_jobs (scan_id, scanner, worker) VALUES (?, ?, ?)
		ON CONFLICT (scan_id, scanner) DO UPDATE SET worker = excluded.worker
			WHERE scan_jobs.state IN ('pending', 'superseded') OR scan_jobs.worker IN ('', excluded.worker)
		RETURNING `+jobColumns), scan.ID, scanner, core.Uploader)
	if errors.Is(err, sql.ErrNoRows) {
		return job, fmt.Errorf("%w: %s ran here for this commit and takes no report for it from outside; "+
			"ask for a rescan, and bring the report for that", core.ErrConflict, scanner)
	}
	return job, err
}
