package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// maxAttempts is how often a job may be started before it fails.
const maxAttempts = 3

// ClaimJob leases the oldest job of one of the scanners to worker: a pending one, or one whose worker let its lease run
// out. core.ErrNotFound when there is nothing to do.
func (s *Store) ClaimJob(ctx context.Context, scanners []string, worker string, lease time.Duration) (core.Job, core.Scan, error) {
	var job core.Job
	var scan core.Scan
	err := s.transact(ctx, func(tx *sqlx.Tx) error {
		if err := s.claim(ctx, tx, &job, scanners, worker, lease); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE scans SET status = 'processing', started_at = COALESCE(started_at, ?)
			WHERE id = ? AND status = 'pending'`), s.clock(), job.ScanID)
		if err != nil {
			return err
		}
		return tx.GetContext(ctx, &scan, tx.Rebind(`SELECT * FROM scans WHERE id = ?`), job.ScanID)
	})
	if err != nil {
		return core.Job{}, core.Scan{}, fmt.Errorf("claiming job: %w", err)
	}
	return job, scan, nil
}

// claim repeats the guard of the inner SELECT outside: without it PostgreSQL hands one row to two workers.
func (s *Store) claim(ctx context.Context, tx *sqlx.Tx, job *core.Job, scanners []string, worker string, lease time.Duration) error {
	now := s.clock()
	claimable := `(state = 'pending' AND (not_before IS NULL OR not_before <= ?) OR state = 'running' AND lease_until <= ?)
		AND attempt < ?`
	query, args, err := sqlx.In(`
		UPDATE scan_jobs SET state = 'running', attempt = attempt + 1, worker = ?, lease_until = ?,
			started_at = COALESCE(started_at, ?)
		WHERE id = (SELECT id FROM scan_jobs WHERE scanner IN (?) AND `+claimable+` ORDER BY id LIMIT 1 `+s.dialect.skipLocked+`)
			AND `+claimable+`
		RETURNING *`,
		worker, now.Add(lease), now, scanners, now, now, maxAttempts, now, now, maxAttempts)
	if err != nil {
		return fmt.Errorf("%w: no scanners to claim for: %w", core.ErrNotFound, err)
	}
	return tx.GetContext(ctx, job, tx.Rebind(query), args...)
}

// ReleaseLeases frees what the process before this one held, so that nothing waits for the leases of the dead. It does
// so on an embedded database only, which one process serves; on PostgreSQL other replicas may hold leases and be alive.
func (s *Store) ReleaseLeases(ctx context.Context) error {
	if s.dialect.file == "" {
		return nil
	}
	err := s.change(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE scan_jobs SET lease_until = started_at WHERE state = 'running'`)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE commit_statuses SET lease_until = NULL WHERE lease_until IS NOT NULL`)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE watched_projects SET lease_until = NULL WHERE lease_until IS NOT NULL`)
		return err
	})
	if err != nil {
		return fmt.Errorf("releasing leases: %w", err)
	}
	return nil
}

// ours is true for the row of a job that was not handed on: an UPDATE with it is a compare-and-set.
const ours = `id = :id AND state = 'running' AND worker = :worker AND attempt = :attempt`

// ExtendLease prolongs the lease from now on. core.ErrConflict when the job was handed on or ended meanwhile.
func (s *Store) ExtendLease(ctx context.Context, job core.Job, lease time.Duration) error {
	until := s.clock().Add(lease)
	job.LeaseUntil = &until
	return s.moveJob(ctx, "extending lease", job, `UPDATE scan_jobs SET lease_until = :lease_until WHERE `+ours)
}

// ReturnJob gives a job back unfinished; the attempt is not counted. core.ErrConflict as for ExtendLease.
func (s *Store) ReturnJob(ctx context.Context, job core.Job) error {
	return s.moveJob(ctx, "returning job", job,
		`UPDATE scan_jobs SET state = 'pending', attempt = attempt - 1, lease_until = NULL WHERE `+ours)
}

// RetryJob gives a job back that failed for a passing reason, to be started again after the pause. When its attempts
// are used up it answers core.ErrConflict, as for ExtendLease, and the caller finishes the job with the failure.
func (s *Store) RetryJob(ctx context.Context, job core.Job, pause time.Duration) error {
	if job.Attempt >= maxAttempts {
		return fmt.Errorf("retrying job: %w: all %d attempts are used up", core.ErrConflict, maxAttempts)
	}
	at := s.clock().Add(pause)
	job.NotBefore = &at
	return s.moveJob(ctx, "retrying job", job,
		`UPDATE scan_jobs SET state = 'pending', lease_until = NULL, not_before = :not_before WHERE `+ours)
}

func (s *Store) moveJob(ctx context.Context, doing string, job core.Job, update string) error {
	err := s.transact(ctx, func(tx *sqlx.Tx) error {
		moved, err := tx.NamedExecContext(ctx, update, job)
		return oneRow(moved, err, "the job was handed on")
	})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// FinishJob ends a claimed job with its report, and with the last job the scan: findings, baseline, gate, verdict and
// commit status change in one transaction. A report with a Failure fails the job and keeps its findings.
// core.ErrConflict when the job was handed on.
func (s *Store) FinishJob(ctx context.Context, job core.Job, report core.Report) error {
	d := examine(report)
	err := s.changeAgain(ctx, func(tx *sqlx.Tx) error {
		scan, err := s.lockForReport(ctx, tx, job.ScanID)
		if err != nil {
			return err
		}
		closed, err := tx.NamedExecContext(ctx, `UPDATE scan_jobs SET lease_until = NULL WHERE `+ours, job)
		if err := oneRow(closed, err, "the job was handed on"); err != nil {
			return err
		}
		return s.putReport(ctx, tx, scan, job, d)
	})
	if err != nil {
		return fmt.Errorf("finishing job %d: %w", job.ID, err)
	}
	return nil
}

// PutReport takes a scanner's report from outside. The same scanner again replaces its findings. It returns the scan as
// it stands afterwards. core.ErrNotFound when there is no such scan.
func (s *Store) PutReport(ctx context.Context, reference, scanner string, report core.Report) (core.Scan, error) {
	var scan core.Scan
	d := examine(report)
	err := s.changeAgain(ctx, func(tx *sqlx.Tx) error {
		id, err := scanID(ctx, tx, reference)
		if err != nil {
			return err
		}
		if scan, err = s.lockForReport(ctx, tx, id); err != nil {
			return err
		}
		var job core.Job
		err = tx.GetContext(ctx, &job, tx.Rebind(`
			INSERT INTO scan_jobs (scan_id, scanner, worker) VALUES (?, ?, 'upload')
			ON CONFLICT (scan_id, scanner) DO UPDATE SET worker = excluded.worker
			RETURNING *`), id, scanner)
		if err != nil {
			return err
		}
		if err := s.putReport(ctx, tx, scan, job, d); err != nil {
			return err
		}
		return tx.GetContext(ctx, &scan, tx.Rebind(`SELECT * FROM scans WHERE id = ?`), id)
	})
	if err != nil {
		return core.Scan{}, fmt.Errorf("taking report of %s: %w", scanner, err)
	}
	return scan, nil
}

// ExpireScans ends the jobs that used up their attempts or did not report before their scan's deadline, and returns how
// many scans that ended.
func (s *Store) ExpireScans(ctx context.Context) (int, error) {
	var ids []int64
	now := s.clock()
	err := s.db.SelectContext(ctx, &ids, s.db.Rebind(`
		SELECT id FROM scans WHERE status IN ('pending', 'processing') AND deadline_at <= ?
		UNION
		SELECT scan_id FROM scan_jobs WHERE state = 'running' AND lease_until <= ? AND attempt >= ?`),
		now, now, maxAttempts)
	if err != nil {
		return 0, fmt.Errorf("looking for overdue scans: %w", classify(err))
	}
	for _, id := range ids {
		err := s.changeAgain(ctx, func(tx *sqlx.Tx) error { return s.expireScan(ctx, tx, id) })
		if err != nil {
			return 0, fmt.Errorf("ending overdue scan %d: %w", id, err)
		}
	}
	return len(ids), nil
}

func (s *Store) expireScan(ctx context.Context, tx *sqlx.Tx, id int64) error {
	scan, err := s.lockScan(ctx, tx, id)
	if err != nil {
		return err
	}
	now := s.clock()
	overdue := !scan.DeadlineAt.After(now)
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scan_jobs SET state = 'failed', finished_at = ?, lease_until = NULL, error = CASE
			WHEN ? THEN ? ELSE 'its worker died three times' END
		WHERE scan_id = ? AND state IN ('pending', 'running')
			AND (? OR state = 'running' AND lease_until <= ? AND attempt >= ?)`),
		now, overdue, core.DeadlineError(scan.DeadlineAt.Sub(scan.Timestamp)), id, overdue, now, maxAttempts)
	if err != nil {
		return err
	}
	return s.settleScan(ctx, tx, id, nil)
}
