package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// A job is given up when so many of its workers have died, or so many tries failed for a reason that might have passed.
const (
	maxLapses   = 3
	maxFailures = 3
)

// Claimant is the worker that asks for a job.
type Claimant struct {
	Worker     string        // names a worker that does one job at a time, unique as long as its process lives
	Scanners   []string      // what the worker can run
	Lease      time.Duration // for so long no other worker gets the job
	InGrace    bool          // after an outage of the database: an expired lease does not mean that its worker is dead
	After      int64         // the project that had its turn; the one with the next number is next, after the last the first
	PerProject int           // jobs of a project that may run at the same time; 0 for any number
}

// ClaimJob leases a job to a worker: one that it holds already, because the answer to its claim was lost or its report
// could not be stored; else one whose lease expired, so that its worker counts as dead; else the oldest of the project whose turn it
// is. The jobs of forks have their turns when no others can be claimed.
// core.ErrNotFound when there is nothing to do.
func (s *Store) ClaimJob(ctx context.Context, by Claimant) (core.Job, core.Scan, error) {
	var job core.Job
	var scan core.Scan
	none := false
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		err := s.claimJob(ctx, tx, &job, by)
		if none = errors.Is(err, sql.ErrNoRows); none {
			return nil // the pauses that it found over have ended all the same
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, tx.Rebind(`
			UPDATE scans SET status = 'processing', started_at = COALESCE(started_at, ?)
			WHERE id = ? AND status = 'pending'`), s.clock.Timestamp(), job.ScanID)
		if err != nil {
			return err
		}
		return tx.GetContext(ctx, &scan, tx.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), job.ScanID)
	})
	if err == nil && none {
		err = core.ErrNotFound
	}
	if err != nil {
		return core.Job{}, core.Scan{}, fmt.Errorf("claiming job: %w", err)
	}
	return job, scan, nil
}

// claiming is one call of ClaimJob.
type claiming struct {
	*Store
	tx     *sqlx.Tx
	by     Claimant
	job    *core.Job
	wanted string // the scanners, as rows of named parameters
}

// claimJob claims the job that the worker holds, one whose worker is dead, or else the next in turn.
func (s *Store) claimJob(ctx context.Context, tx *sqlx.Tx, job *core.Job, by Claimant) error {
	if len(by.Scanners) == 0 {
		return fmt.Errorf("%w: no scanners to claim for", core.ErrNotFound)
	}
	var wanted []string
	for i := range by.Scanners {
		wanted = append(wanted, fmt.Sprintf("(:scanner%d)", i))
	}
	c := claiming{s, tx, by, job, strings.Join(wanted, ", ")}
	if err := c.claim(ctx, c.heldJob()); !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err := c.endPauses(ctx); err != nil {
		return err
	}
	err := c.claimInTurn(ctx, `NOT j.fork`)
	if errors.Is(err, sql.ErrNoRows) {
		err = c.claimInTurn(ctx, `j.fork`)
	}
	return err
}

func (c claiming) parameters() map[string]any {
	now := c.clock.Timestamp()
	args := map[string]any{
		"worker": c.by.Worker, "expired": c.expiredBefore(now, c.by.InGrace), "max_lapses": maxLapses, "per_project": c.by.PerProject, "now": now,
	}
	for i, scanner := range c.by.Scanners {
		args[fmt.Sprint("scanner", i)] = scanner
	}
	return args
}

// jobQuery is a query for the id of one, with what must hold of it besides.
type jobQuery struct {
	id    string
	holds string
	given map[string]any
}

// claim leases the job that is found; sql.ErrNoRows where there is none.
func (c claiming) claim(ctx context.Context, q jobQuery) error {
	args := c.parameters()
	maps.Copy(args, q.given)
	return c.claimOne(ctx, c.tx, c.job, claim{
		table: `scan_jobs`,
		set: setLease + `, state = 'running', attempt = attempt + 1, started_at = COALESCE(started_at, :now),
			lapses = lapses + CASE WHEN state = 'running' AND worker <> :worker THEN 1 ELSE 0 END,
			lost_workers = CASE WHEN state = 'running' AND worker <> :worker THEN ` + lostWorkers + ` ELSE lost_workers END,
			worker = :worker`,
		rows: `id = (` + q.id + `)`, guard: `(` + q.holds + `)`, columns: jobColumns,
	}, c.by.Lease, args)
}

// abandoned is true for a running job whose worker counts as dead, and that may be tried again.
const abandoned = `lease_until <= :expired AND lapses + 1 < :max_lapses`

// heldJob is the job that the worker has already, or else one whose worker is dead. An index holds the running ones alone.
func (c claiming) heldJob() jobQuery {
	return jobQuery{
		id: `COALESCE(
			(SELECT id FROM scan_jobs WHERE state = 'running' AND worker >= :worker AND worker <= :worker ORDER BY worker LIMIT 1),
			(SELECT id FROM scan_jobs
				WHERE state = 'running' AND worker >= '' AND scanner IN (WITH wanted (scanner) AS (VALUES ` + c.wanted + `) SELECT scanner FROM wanted)
					AND ` + abandoned + ` ORDER BY worker LIMIT 1 ` + c.db.SkipLocked + `))`,
		holds: `state = 'running' AND (worker = :worker OR ` + abandoned + `)`,
	}
}

// pausesPerClaim is how many jobs return from their pause with a claim.
const pausesPerClaim = 20

// endPauses gives jobs that were postponed until now their turn again.
func (c claiming) endPauses(ctx context.Context) error {
	for _, scanner := range c.by.Scanners {
		var over []int64
		err := c.tx.SelectContext(ctx, &over, c.tx.Rebind(`
			SELECT id FROM scan_jobs
			WHERE state = 'pending' AND scanner >= ? AND scanner <= ? AND not_before IS NOT NULL AND not_before <= ?
			ORDER BY scanner, not_before LIMIT ? `+c.db.SkipLocked), scanner, scanner, c.clock.Timestamp(), pausesPerClaim)
		if err != nil {
			return err
		}
		for _, id := range over {
			if _, err := sqldb.Exec(ctx, c.tx, `UPDATE scan_jobs SET not_before = NULL WHERE id = ? AND state = 'pending'`, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// claimInTurn claims a job of the next project that has one and may run another. lane tells the jobs of forks from the others. Each
// question finds the first entry of an index, however many jobs wait; those projects are passed over that have as many running as
// they may, which are no more than there are workers.
func (c claiming) claimInTurn(ctx context.Context, lane string) error {
	after, again := c.by.After, false
	for {
		project, err := c.nextProject(ctx, lane, after)
		if err != nil {
			return err
		}
		if again && (project == noProject || project > c.by.After) {
			return sql.ErrNoRows
		}
		if project == noProject {
			after, again = noProject, true
			continue
		}
		free, err := c.lockTurn(ctx, project)
		if err == nil && free {
			err = c.claim(ctx, c.oldestJobOf(project, lane))
		}
		if (err != nil || free) && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		after = project
	}
}

// noProject comes before all others. Project 0 is that of jobs which ended before jobs had one, and were begun again since.
const noProject = -1

// nextProject is the one with the lowest number after another that has a job in a lane, or noProject.
func (c claiming) nextProject(ctx context.Context, lane string, after int64) (project int64, err error) {
	args := c.parameters()
	args["after"] = after
	query, list, err := sqlx.Named(`
		WITH wanted (scanner) AS (VALUES `+c.wanted+`)
		SELECT COALESCE(MIN(project_id), -1) FROM (
			SELECT (SELECT j.project_id FROM scan_jobs j
				WHERE j.state = 'pending' AND j.not_before IS NULL AND `+lane+` AND (j.scanner, j.project_id) > (w.scanner, :after) AND j.scanner <= w.scanner
				ORDER BY j.scanner, j.project_id, j.id LIMIT 1) AS project_id FROM wanted w) AS next`, args)
	if err != nil {
		return 0, err
	}
	return project, c.tx.GetContext(ctx, &project, c.tx.Rebind(query), list...)
}

// lockTurn keeps other processes from claiming a job of the project at the same time: together they would run too many. It does not wait.
func (c claiming) lockTurn(ctx context.Context, project int64) (free bool, err error) {
	if c.by.PerProject == 0 {
		return true, nil
	}
	return c.db.TryLockKey(ctx, c.tx, fmt.Sprint("turn ", project))
}

// oldestJobOf is the oldest job of a project in a lane, unless the project has as many running as it may.
func (c claiming) oldestJobOf(project int64, lane string) jobQuery {
	return jobQuery{
		id: `WITH wanted (scanner) AS (VALUES ` + c.wanted + `)
			SELECT MIN(id) FROM (
				SELECT (SELECT j.id FROM scan_jobs j
					WHERE j.state = 'pending' AND j.not_before IS NULL AND ` + lane + `
						AND (j.scanner, j.project_id) >= (w.scanner, :project) AND (j.scanner, j.project_id) <= (w.scanner, :project)
					ORDER BY j.scanner, j.project_id, j.id LIMIT 1 ` + c.db.SkipLocked + `) AS id FROM wanted w) AS oldest`,
		holds: `state = 'pending' AND (:per_project = 0 OR :per_project > (
			SELECT COUNT(*) FROM scan_jobs r WHERE r.state = 'running' AND r.worker >= '' AND r.project_id = :project))`,
		given: map[string]any{"project": project},
	}
}

// expiredBefore is until when a lease must have expired to prove that its worker is dead.
func (s *Store) expiredBefore(now time.Time, blind bool) time.Time {
	if blind || s.clock.JustJumped() {
		return time.Time{}
	}
	return now
}

// lostWorkers are the workers that a job has lost when the one that holds it is lost as well.
const lostWorkers = `CASE WHEN lost_workers = '' THEN worker ELSE lost_workers || ', ' || worker END`

// ours is true for the row of a job that was not handed on: an UPDATE with it is a compare-and-set.
const ours = `id = :id AND state = 'running' AND worker = :worker AND attempt = :attempt`

// ExtendLease prolongs the lease from now on. core.ErrConflict when the job was handed on or ended meanwhile.
func (s *Store) ExtendLease(ctx context.Context, job core.Job, lease time.Duration) error {
	until := s.clock.Timestamp().Add(lease)
	job.LeaseUntil = &until
	return s.moveJob(ctx, "extending lease", job, `UPDATE scan_jobs SET lease_until = :lease_until WHERE `+ours)
}

// ReturnJob gives a job back unfinished. core.ErrConflict as for ExtendLease.
func (s *Store) ReturnJob(ctx context.Context, job core.Job) error {
	return s.moveJob(ctx, "returning job", job, `UPDATE scan_jobs SET state = 'pending', lease_until = NULL WHERE `+ours)
}

func (s *Store) moveJob(ctx context.Context, doing string, job core.Job, update string) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		moved, err := tx.NamedExecContext(ctx, update, job)
		return sqldb.OneRow(moved, err, "the job was handed on")
	})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// Retry says when and why a job is to be started again.
type Retry struct {
	Pause  time.Duration
	Until  time.Time // until when tries are made; zero for a few only
	Reason string    // why the last one failed
}

// RetryJob gives a job back that failed for a passing reason. When it has failed too often, or there is no time left,
// it returns core.ErrConflict, as for ExtendLease, and the caller finishes the job with the failure. A job that is
// tried until some time uses up none of the few tries for other reasons, and the commit shows what it waits for.
func (s *Store) RetryJob(ctx context.Context, job core.Job, retry Retry) error {
	at, waits := s.clock.Timestamp().Add(retry.Pause), !retry.Until.IsZero()
	if !waits {
		job.Failures++
	}
	if waits && at.After(retry.Until) || job.Failures >= maxFailures {
		return fmt.Errorf("retrying job: %w: it has failed %d times", core.ErrConflict, job.Failures)
	}
	job.NotBefore, job.Error = &at, retry.Reason
	err := s.write(ctx, func(tx *sqlx.Tx) error {
		scan, err := s.lockScan(ctx, tx, job.ScanID)
		if err != nil {
			return err
		}
		moved, err := tx.NamedExecContext(ctx, `
			UPDATE scan_jobs SET state = 'pending', failures = :failures, error = :error, lease_until = NULL,
				not_before = :not_before
			WHERE `+ours, job)
		if err := sqldb.OneRow(moved, err, "the job was handed on"); err != nil || !waits {
			return err
		}
		return s.putWaiting(ctx, tx, scan, job)
	})
	if err != nil {
		return fmt.Errorf("retrying job: %w", err)
	}
	return nil
}

// explainedPerCall is how many jobs a call of ExplainJobs explains.
const explainedPerCall = 500

// ExplainJobs records why jobs do not start that have waited for these scanners since then, and lets their commits show
// it. Where there are more of them, the next call goes on.
func (s *Store) ExplainJobs(ctx context.Context, scanners []string, since time.Time, reason string) error {
	if len(scanners) == 0 {
		return nil
	}
	var jobs []core.Job
	err := sqldb.SelectIn(ctx, s.db, &jobs, `
		SELECT j.id, j.scan_id, j.scanner FROM scan_jobs j JOIN scans s ON s.id = j.scan_id
		WHERE j.state = 'pending' AND j.error = '' AND j.scanner IN (?) AND s.timestamp <= ? ORDER BY j.id LIMIT ?`,
		scanners, since, explainedPerCall)
	if err != nil {
		return fmt.Errorf("looking for jobs to explain: %w", sqldb.Classify(err))
	}
	for _, job := range jobs {
		job.Error = reason
		if err := s.write(ctx, func(tx *sqlx.Tx) error { return s.explainJob(ctx, tx, job) }); err != nil {
			return fmt.Errorf("explaining job %d: %w", job.ID, err)
		}
	}
	return nil
}

func (s *Store) explainJob(ctx context.Context, tx *sqlx.Tx, job core.Job) error {
	scan, err := s.lockScan(ctx, tx, job.ScanID)
	if err != nil {
		return err
	}
	n, err := sqldb.Exec(ctx, tx, `UPDATE scan_jobs SET error = ? WHERE id = ? AND state = 'pending' AND error = ''`, job.Error, job.ID)
	if err != nil || n == 0 {
		return err
	}
	return s.putWaiting(ctx, tx, scan, job)
}

// maxExpired is how many scans are ended at a time.
const maxExpired = 10_000

// ExpireScans ends the jobs that did not report before their scan's deadline or, unless the caller is in grace as a
// Claimant can be, lost too many workers, and returns how many scans that ended.
func (s *Store) ExpireScans(ctx context.Context, blind bool) (int, error) {
	now := s.clock.Timestamp()
	lapsed := s.expiredBefore(now, blind)
	var ids []int64
	err := s.write(ctx, func(tx *sqlx.Tx) (err error) { // a transaction has the settings that plans depend on
		ids, err = s.overdue(ctx, tx, now, lapsed)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("looking for overdue scans: %w", sqldb.Classify(err))
	}
	for _, id := range ids {
		err := s.write(ctx, func(tx *sqlx.Tx) error { return s.expireScan(ctx, tx, id, lapsed) })
		if err != nil {
			return 0, fmt.Errorf("ending overdue scan %d: %w", id, err)
		}
	}
	return len(ids), nil
}

// overdue lists the scans whose time is over, or whose jobs have lost too many workers.
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

// workersDied is what the commit shows of a job that lost too many workers. Their names are in the job.
const workersDied = "its worker died or stood still three times, for want of memory perhaps"

func (s *Store) expireScan(ctx context.Context, tx *sqlx.Tx, id int64, lapsed time.Time) error {
	scan, err := s.lockScan(ctx, tx, id)
	if err != nil {
		return err
	}
	now := s.clock.Timestamp()
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

// jobsForReports are the jobs of the scanner that reports are of, as they were, or new ones.
func (s *Store) jobsForReports(
	ctx context.Context, tx *sqlx.Tx, scan core.Scan, scanner string, reports []core.Report,
) (jobs []core.Job, err error) {
	known, err := jobsOf(ctx, tx, scan)
	if err != nil {
		return nil, err
	}
	var categories []string
	for _, report := range reports {
		categories = append(categories, report.Category)
	}
	plan, err := s.policyOf(scan).PlanReports(scan, known, scanner, categories)
	if err != nil {
		return nil, err
	}
	if plan.Renamed != 0 {
		if _, err := sqldb.Exec(ctx, tx, `UPDATE scan_jobs SET scanner = ? WHERE id = ?`, plan.Name, plan.Renamed); err != nil {
			return nil, err
		}
	}
	for _, name := range plan.Await {
		if _, err := sqldb.Exec(ctx, tx, `INSERT INTO scan_jobs (scan_id, project_id, scanner) VALUES (?, ?, ?)`, scan.ID,
			scan.ProjectID, name); err != nil {
			return nil, err
		}
	}
	for _, category := range categories {
		job, err := jobForReport(ctx, tx, scan, core.JobName(scanner, category))
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

// jobForReport is the job of a name as it was, or a new one. A job that a worker has, or ended, accepts no reports from
// outside, whatever the configuration has become.
func jobForReport(ctx context.Context, tx *sqlx.Tx, scan core.Scan, name string) (core.Job, error) {
	var job core.Job
	err := tx.GetContext(ctx, &job, tx.Rebind(`
		INSERT INTO scan_jobs (scan_id, project_id, scanner, worker) VALUES (?, ?, ?, ?)
		ON CONFLICT (scan_id, scanner) DO UPDATE SET worker = excluded.worker
			WHERE scan_jobs.state IN ('pending', 'superseded') OR scan_jobs.worker IN ('', excluded.worker)
		RETURNING `+jobColumns), scan.ID, scan.ProjectID, name, core.Uploader)
	if errors.Is(err, sql.ErrNoRows) {
		return job, fmt.Errorf("%w: %s ran here for this commit and takes no report for it from outside; "+
			"ask for a rescan, and bring the report for that", core.ErrConflict, name)
	}
	return job, err
}

// loadForeign loads for a category that has no baseline those of the scanner's other categories, and of its reports without one: the
// category may be new, or have another name now, and what it reports is known all the same.
func (p *previous) loadForeign(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job *core.Job) error {
	if p.found || job.Worker != core.Uploader {
		return nil
	}
	names, err := relatedJobs(ctx, tx, scan, job.Scanner)
	if err != nil {
		return err
	}
	p.suppressed = map[int64]bool{}
	for _, name := range names {
		run, err := baselineOf(ctx, tx, scan, core.Job{Scanner: name})
		if err != nil {
			return err
		}
		if !run.found() {
			continue
		}
		p.foreign, job.BaselineScanID = true, &run.ScanID
		findings, err := selectBaseline(ctx, tx, run, p.Baseline)
		if err != nil {
			return err
		}
		p.Baseline = p.Baseline.With(findings)
		suppressed, err := suppressedIn(ctx, tx, run)
		if err != nil {
			return err
		}
		maps.Copy(p.suppressed, suppressed)
		if err := nameBaseline(ctx, tx, scan.ID, run.ScanID); err != nil {
			return err
		}
	}
	return nil
}

// relatedJobs names the jobs of a scanner, but for one, that were completed where a scan may have its baseline.
func relatedJobs(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job string) (names []string, err error) {
	branch, err := comparedWith(ctx, tx, scan)
	if err != nil {
		return nil, err
	}
	head, err := getRef(ctx, tx, scan.ProjectID, branch)
	if err != nil {
		return nil, err
	}
	err = sqldb.SelectIn(ctx, tx, &names, `
		SELECT DISTINCT j.scanner FROM scans s JOIN scan_jobs j ON j.scan_id = s.id AND j.state = 'completed'
		WHERE s.commit_sha IN (?) AND s.project_id + 0 = ? AND s.commit_sha <> ?`,
		[]string{scan.MergeBaseSHA, scan.BeforeSHA, head.SHA, head.BeforeSHA}, scan.ProjectID, scan.CommitSHA)
	names = slices.DeleteFunc(names, func(name string) bool { return name == job || core.ScannerOf(name) != core.ScannerOf(job) })
	slices.Sort(names)
	return names, err
}

// absent is how many findings of the baseline are gone.
func (p previous) absent(unmatched int) int {
	if p.foreign {
		return 0
	}
	return unmatched
}

// isFirst tells whether a scan is the first of the default branch by the scanner of a job, or of the commit where a branch left it: there
// is nothing to compare it with.
func (p previous) isFirst(scan core.Scan) bool {
	return !p.found && !p.foreign && (scan.OnDefaultBranch() || scan.Origin == core.OriginBaseline)
}

func endJob(ctx context.Context, tx *sqlx.Tx, job core.Job) error {
	_, err := tx.NamedExecContext(ctx, `
		UPDATE scan_jobs SET state = :state, error = :error, num_findings = :num_findings, num_unchanged = :num_unchanged,
			num_absent = :num_absent, started_at = COALESCE(started_at, :finished_at), finished_at = :finished_at,
			lease_until = NULL, baseline_scan_id = :baseline_scan_id, coverage = :coverage, turned = :turned
		WHERE id = :id`, job)
	return err
}
