package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// maxLate is how many branches, the newest, are compared again with the commit where they left the default branch.
const maxLate = 200

// lateRun is a run on a branch that had to do without the run that it should have been compared with.
type lateRun struct {
	JobID  int64 `db:"job_id"`
	ScanID int64 `db:"scan_id"`
}

// compareAgain compares branches with the run that has just been completed, of the commit where they left the default
// branch: where both are announced at one time, a branch may be scanned first, and what it has from there is not new.
func (s *Store) compareAgain(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job) error {
	late, err := runsWithout(ctx, tx, scan, job.Scanner)
	if err != nil || len(late) == 0 {
		return err
	}
	scans := make([]int64, len(late))
	for i, run := range late {
		scans[i] = run.ScanID
		if err := compareLate(ctx, tx, run, scan.ID, job.ID); err != nil {
			return fmt.Errorf("comparing a branch again: %w", err)
		}
	}
	return s.judgeAll(ctx, tx, scans, 0)
}

// runsWithout finds a scanner's runs that were not compared with the scan's commit though their branches left the
// default branch there. The project is an expression, for else an engine without statistics would read all its scans.
func runsWithout(ctx context.Context, tx *sqlx.Tx, scan core.Scan, scanner string) (late []lateRun, err error) {
	err = tx.SelectContext(ctx, &late, tx.Rebind(`
		SELECT j.id AS job_id, s.id AS scan_id
		FROM scans s JOIN scan_jobs j ON j.scan_id = s.id AND j.scanner = ? AND j.state = 'completed'
		WHERE s.merge_base_sha = ? AND s.merge_base_sha <> '' AND s.commit_sha <> s.merge_base_sha
			AND s.source_platform || '/' || s.project_name = ? AND s.branch <> s.default_branch
			AND NOT EXISTS (SELECT 1 FROM scans base WHERE base.id = j.baseline_scan_id AND base.commit_sha = s.merge_base_sha)
		ORDER BY s.id DESC LIMIT ?`), scanner, scan.CommitSHA, scan.SourcePlatform+"/"+scan.ProjectName, maxLate)
	return late, err
}

// compareLate takes a finding for known that the base has under the same fingerprint. One whose code has changed since
// stays new.
func compareLate(ctx context.Context, tx *sqlx.Tx, run lateRun, baseScan, baseJob int64) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		UPDATE findings SET baseline_state = 'unchanged'
		WHERE job_id = ? AND baseline_state = 'new' AND fingerprint IN (SELECT fingerprint FROM findings WHERE job_id = ?)`),
		run.JobID, baseJob)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scan_jobs SET baseline_scan_id = ?,
			num_unchanged = (SELECT COUNT(*) FROM findings WHERE job_id = ? AND baseline_state = 'unchanged'),
			num_absent = (SELECT COUNT(*) FROM findings WHERE job_id = ? AND fingerprint NOT IN (
				SELECT fingerprint FROM findings WHERE job_id = ?))
		WHERE id = ?`), baseScan, run.JobID, baseJob, run.JobID, run.JobID)
	if err != nil {
		return err
	}
	return nameBaseline(ctx, tx, core.Scan{ID: run.ScanID}, baseScan)
}
