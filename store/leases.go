package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/store/sqldb"
)

// claim is the statement by which a process leases rows of a table: UPDATE … RETURNING, so that no other process gets them.
// Its parameters have names. now and until are the moment and the end of the lease; lists are expanded.
type claim struct {
	table   string
	set     string // assignments, with that of the lease
	rows    string // condition that picks the rows: firstDue, or the ids of rows that the transaction has locked
	guard   string // what must still hold when a row is locked: without it PostgreSQL leases one row to two processes
	columns string // that are returned
}

const (
	setLease = `lease_until = :until`
	unleased = `(lease_until IS NULL OR lease_until <= :now)`
)

// firstDue picks the first row of a table that is due, passing over rows that other transactions hold. An index must have
// the rows in this order.
func (s *Store) firstDue(table, due, order string) string {
	return s.firstDueBy(`id`, table, due, order)
}

// firstDueBy is firstDue for a table whose primary key are other columns.
func (s *Store) firstDueBy(key, table, due, order string) string {
	return `(` + key + `) = (SELECT ` + key + ` FROM ` + table + ` WHERE ` + due + ` ORDER BY ` + order + ` LIMIT 1 ` + s.db.SkipLocked + `)`
}

// claimOne runs a claim and scans the row into dest; sql.ErrNoRows where there is none.
func (s *Store) claimOne(ctx context.Context, tx *sqlx.Tx, dest any, c claim, lease time.Duration, args map[string]any) error {
	query, list, err := s.bindClaim(c, lease, args)
	if err != nil {
		return err
	}
	return tx.GetContext(ctx, dest, tx.Rebind(query), list...)
}

// claimAll runs a claim and scans all rows into dest, a pointer to a slice.
func (s *Store) claimAll(ctx context.Context, tx *sqlx.Tx, dest any, c claim, lease time.Duration, args map[string]any) error {
	query, list, err := s.bindClaim(c, lease, args)
	if err != nil {
		return err
	}
	return tx.SelectContext(ctx, dest, tx.Rebind(query), list...)
}

func (s *Store) bindClaim(c claim, lease time.Duration, args map[string]any) (query string, list []any, err error) {
	now := s.clock.Timestamp()
	args["now"], args["until"] = now, now.Add(lease)
	query, list, err = sqlx.Named(`UPDATE `+c.table+` SET `+c.set+`
		WHERE `+c.rows+` AND `+c.guard+`
		RETURNING `+c.columns, args)
	if err != nil {
		return "", nil, err
	}
	return sqldb.In(s.db.DriverName(), query, list)
}

// leasedRows are where rows may be leased, besides scan_jobs.
var leasedRows = []string{
	`commit_statuses WHERE ` + dueToAll, `commit_statuses WHERE held`,
	`tracked_projects WHERE TRUE`, `hook_targets WHERE TRUE`, `enrichment_tasks WHERE TRUE`,
	`request_notes WHERE TRUE`, `check_actions WHERE done_at IS NULL`,
}

// TakeOver makes this process the one that serves an embedded database until Close, and frees what the one before had
// leased. It waits for a process that is still ending; core.ErrConflict when that goes on. On PostgreSQL it does
// nothing, because other replicas may hold leases and be alive.
func (s *Store) TakeOver(ctx context.Context) error {
	if !s.db.Embedded() {
		return nil
	}
	if err := s.db.Serve(ctx); err != nil {
		return fmt.Errorf("taking over the database: %w", err)
	}
	return s.freeLeases(ctx)
}

// TakePart is TakeOver for a process that serves the database together with others, each a part of it. Leases are freed only
// where no other process serves it; else they end by themselves.
func (s *Store) TakePart(ctx context.Context) error {
	if !s.db.Embedded() {
		return nil
	}
	first, err := s.db.ServeFirst()
	if err == nil && first {
		err = s.freeLeases(ctx)
	}
	if err == nil {
		err = s.db.ServeBeside(ctx)
	}
	if err != nil {
		return fmt.Errorf("joining those that serve the database: %w", err)
	}
	return nil
}

// freeLeases frees what a process that is gone has leased.
func (s *Store) freeLeases(ctx context.Context) error {
	err := s.write(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE scan_jobs SET lease_until = started_at WHERE state = 'running'`)
		for _, rows := range leasedRows {
			table, condition, _ := strings.Cut(rows, " ")
			if err == nil {
				_, err = tx.ExecContext(ctx, `UPDATE `+table+` SET lease_until = NULL `+condition+` AND lease_until IS NOT NULL`)
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("releasing leases: %w", err)
	}
	return nil
}

const (
	// maxPause is longer than any pause of one piece of work: platforms' limits end within the hour.
	maxPause = 65 * time.Minute
	// maxLease is longer than any lease.
	maxLease = 15 * time.Minute
	// maxRound is longer than the time between two syncs of a project or checks of a webhook.
	maxRound = 31 * 24 * time.Hour
	// leaseGrace lets the living extend what they hold.
	leaseGrace = 30 * time.Second
	// maxScanSkew is how far ahead of ours the clock of a replica may be that has accepted a scan.
	maxScanSkew = time.Minute
)

// dueColumn is a column with a time from which on something may go on. A time farther ahead than possible was written
// by a clock that was wrong, and would delay the row for nothing.
type dueColumn struct {
	table, column string
	open          string // selects the rows that wait
	longest       time.Duration
	asked         bool // by us or a platform, which sees to its pauses itself: after our clock went back, it goes on at once
	grace         time.Duration
}

var dueColumns = []dueColumn{
	{table: "commit_statuses", column: "next_attempt_at", longest: maxPause, asked: true,
		open: dueToAll},
	{table: "commit_statuses", column: "lease_until", open: dueToAll, longest: maxLease, grace: leaseGrace},
	{table: "commit_statuses", column: "lease_until", open: `held`, longest: maxLease, grace: leaseGrace},
	{table: "status_holds", column: "next_probe_at", open: `TRUE`, longest: maxPause, asked: true},
	{table: "scan_jobs", column: "not_before", open: `state = 'pending'`, longest: maxPause, asked: true},
	{table: "scan_jobs", column: "lease_until", open: `state = 'running'`, longest: maxLease, grace: leaseGrace},
	{table: "enrichment_tasks", column: "next_attempt_at", open: `NOT given_up`, longest: maxPause, asked: true},
	{table: "enrichment_tasks", column: "lease_until", open: `NOT given_up`, longest: maxLease, grace: leaseGrace},
	{table: "request_notes", column: "next_attempt_at", open: `posted_revision < revision AND NOT given_up`, longest: maxPause, asked: true},
	{table: "request_notes", column: "lease_until", open: `TRUE`, longest: maxLease, grace: leaseGrace},
	{table: "request_notes", column: "check_at", open: `check_at IS NOT NULL`, longest: maxPause},
	{table: "check_actions", column: "next_attempt_at", open: `done_at IS NULL`, longest: maxPause, asked: true},
	{table: "check_actions", column: "lease_until", open: `done_at IS NULL`, longest: maxLease, grace: leaseGrace},
	{table: "tracked_projects", column: "next_sync_at", open: `TRUE`, longest: maxRound},
	{table: "tracked_projects", column: "lease_until", open: `TRUE`, longest: maxLease, grace: leaseGrace},
	{table: "hook_targets", column: "next_check_at", open: `TRUE`, longest: maxRound},
	{table: "hook_targets", column: "lease_until", open: `TRUE`, longest: maxLease, grace: leaseGrace},
}

// RepairTimes corrects what a wrong clock has written, and returns how many rows that were. A process that doubts its
// own clock corrects nothing.
func (s *Store) RepairTimes(ctx context.Context) (repaired int, err error) {
	if s.Doubt() != 0 {
		return 0, nil
	}
	for _, d := range dueColumns {
		n, err := s.repairDue(ctx, d)
		if repaired += n; err != nil {
			return repaired, fmt.Errorf("repairing times of %s: %w", d.table, sqldb.Classify(err))
		}
	}
	n, err := s.repairScans(ctx)
	if err != nil {
		return repaired, fmt.Errorf("repairing times of scans: %w", sqldb.Classify(err))
	}
	if repaired += n; repaired > 0 {
		s.changed.Ring()
	}
	return repaired, nil
}

// repairDue reads before it writes, so that it holds up no other transaction.
func (s *Store) repairDue(ctx context.Context, d dueColumn) (int, error) {
	now, wrong := s.clock.Timestamp(), 0
	latest := now.Add(d.longest)
	if d.asked && s.clock.JustWentBack() {
		latest = now
	}
	where := ` WHERE ` + d.column + ` > ? AND ` + d.open
	err := s.db.GetContext(ctx, &wrong, s.db.Rebind(`SELECT COUNT(*) FROM `+d.table+` AS due`+where), latest)
	if err != nil || wrong == 0 {
		return 0, err
	}
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE `+d.table+` AS due SET `+d.column+` = ?`+where), now.Add(d.grace), latest)
		return err
	})
	return wrong, err
}

// repairScans gives scans of the future the present time, and moves their deadlines accordingly.
func (s *Store) repairScans(ctx context.Context) (int, error) {
	var wrong []core.Scan
	now := s.clock.Timestamp()
	err := s.db.SelectContext(ctx, &wrong, s.db.Rebind(`SELECT id, timestamp, deadline_at FROM scans
		WHERE status IN ('pending', 'processing') AND timestamp > ?`), now.Add(maxScanSkew))
	if err != nil || len(wrong) == 0 {
		return 0, err
	}
	return len(wrong), s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		for _, scan := range wrong {
			_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET timestamp = ?, deadline_at = ? WHERE id = ? AND timestamp = ?`),
				now, now.Add(scan.DeadlineAt.Sub(scan.Timestamp)), scan.ID, scan.Timestamp)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// WaitsForBase tells whether a job of a scanner that runs here is to wait until the scanner has ended for the commit where the
// branch left the default branch: what that has is not new on the branch, even if the branch is scanned first. It has that commit
// scanned if nobody has asked for it, once.
func (s *Store) WaitsForBase(ctx context.Context, scan core.Scan, job core.Job) (waits bool, err error) {
	base, onBranch := scan.MergeBaseSHA, scan.Ref != "" && scan.Ref == core.BranchRef(scan.Branch) // a fork's requests are no branches
	if base == "" || base == scan.CommitSHA || !onBranch || scan.OnDefaultBranch() || !s.MayWait(scan) {
		return false, nil
	}
	var runs []core.Job
	err = s.db.SelectContext(ctx, &runs, s.db.Rebind(`
		SELECT s.id AS scan_id, COALESCE((SELECT j.state FROM scan_jobs j WHERE j.scan_id = s.id AND j.scanner = ?), '') AS state
		FROM scans s WHERE s.project_id + 0 = ? AND s.commit_sha = ? ORDER BY s.attempt DESC`), job.Scanner, scan.ProjectID, base)
	switch {
	case err != nil:
	case len(runs) == 0:
		waits, err = s.openBase(ctx, scan, job)
	case slices.ContainsFunc(runs, func(run core.Job) bool { return run.State == core.JobCompleted }):
	case runs[0].State == core.JobSuperseded:
		waits, err = true, s.write(ctx, func(tx *sqlx.Tx) error {
			return s.restartScans(ctx, tx, []intake.Restart{{ScanID: runs[0].ScanID, Superseded: true}})
		})
	default:
		waits = runs[0].State == core.JobPending || runs[0].State == core.JobRunning
	}
	if err != nil {
		return false, fmt.Errorf("having the merge base scanned: %w", sqldb.Classify(err))
	}
	return waits, nil
}

// MayWait tells whether a job may still wait for what its findings are to be compared with: for half of its scan's time at most.
func (s *Store) MayWait(scan core.Scan) bool {
	half := s.DeadlineOf(scan).Sub(scan.Timestamp) / 2
	return !s.clock.Timestamp().After(scan.Timestamp.Add(half))
}

// openBase opens the scan of the commit where a branch left the default branch, by the scanner of a job and all others that run here,
// unless the project is not configured any more.
func (s *Store) openBase(ctx context.Context, scan core.Scan, job core.Job) (opened bool, err error) {
	policy, known := s.policies.For(scan.SourcePlatform, scan.ProjectName)
	policy.Scanners = slices.DeleteFunc(slices.Clone(policy.Scanners), func(name string) bool {
		return name != job.Scanner && s.scanners[name] == core.Uploaded
	})
	if !known || len(policy.Scanners) == 0 {
		return false, nil
	}
	base := core.Scan{
		RepoURL: scan.RepoURL, DefaultBranch: scan.DefaultBranch, CommitSHA: scan.MergeBaseSHA, Origin: core.OriginBaseline,
	}
	project := core.KeptProject{
		ID: scan.ProjectID, Platform: scan.SourcePlatform, Name: scan.ProjectName, Ref: scan.ProjectRef, DefaultBranch: scan.DefaultBranch,
	}
	s.prepare(&base, project, policy)
	_, err = s.takeIn(ctx, intake.Request{Scan: &base, Policy: policy})
	return err == nil, err
}
