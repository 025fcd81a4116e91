package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// intake is one accept request: a delivery to keep, a scan that must exist, or both.
type intake struct {
	delivery *core.Delivery // nil for uploads and requests by hand
	scan     *core.Scan     // nil when nothing is to be scanned
	policy   core.Policy
	pipeline *core.Pipeline // nil for everything but pipeline events
	by       string         // who asks for it, if that is known
	ignored  string         // why nothing is to be scanned

	created  bool    // this item made the scan
	refused  string  // why the call is not believed
	informed bool    // this item brought the facts of the push to a scan that was made without
	twin     *intake // the same delivery, earlier in the same batch
	receipt  core.Receipt
}

// reset clears what a transaction that was rolled back had found out.
func (i *intake) reset() {
	i.created, i.informed, i.refused, i.twin, i.receipt = false, false, "", nil, core.Receipt{}
}

// open tells whether the item still has to be written.
func (i *intake) open() bool {
	return i.twin == nil && i.refused == "" && i.receipt.Outcome != core.Duplicate
}

// AcceptPush makes sure that the pushed commit has a scan, if the configuration asks for one, and keeps the delivery;
// all of it is on disk when the receipt is returned. core.ErrUnavailable when the database is unavailable,
// core.ErrDenied when the call must be signed and is not.
func (s *Store) AcceptPush(ctx context.Context, d core.Delivery, push core.Push) (core.Receipt, error) {
	policy, known := s.policies.For(d.Platform, push.Project.Name)
	if !known {
		return s.AcceptIgnored(ctx, d, notConfigured(d.Platform, push.Project.Name))
	}
	if err := s.respell(ctx, d.Platform, &d.Project, &push.Project.Name); err != nil {
		return core.Receipt{}, fmt.Errorf("accepting push %s: %w", d.Key, err)
	}
	if refused := policy.Refuses(push); refused != "" {
		return s.AcceptIgnored(ctx, d, refused)
	}
	item := &intake{delivery: &d, scan: s.scanOf(d, push, policy), policy: policy}
	if err := s.takeIn(ctx, item); err != nil {
		return core.Receipt{}, fmt.Errorf("accepting push %s: %w", d.Key, err)
	}
	return item.receipt, nil
}

// AcceptIgnored keeps a delivery that needs no scan, with the reason. Errors are those of AcceptPush.
func (s *Store) AcceptIgnored(ctx context.Context, d core.Delivery, reason string) (core.Receipt, error) {
	if err := s.respell(ctx, d.Platform, &d.Project); err != nil {
		return core.Receipt{}, fmt.Errorf("accepting delivery %s: %w", d.Key, err)
	}
	item := &intake{delivery: &d, ignored: reason}
	if err := s.takeIn(ctx, item); err != nil {
		return core.Receipt{}, fmt.Errorf("accepting delivery %s: %w", d.Key, err)
	}
	return item.receipt, nil
}

// AcceptCommit makes sure that a commit named by hand or by an upload has a scan, and audits who named it if that
// created one. core.ErrNotFound when the repository is not configured.
func (s *Store) AcceptCommit(ctx context.Context, scan core.Scan, by string) (core.Receipt, error) {
	policy, known := s.policies.For(scan.SourcePlatform, scan.ProjectName)
	if !known {
		return core.Receipt{}, fmt.Errorf("%w: %s", core.ErrNotFound, notConfigured(scan.SourcePlatform, scan.ProjectName))
	}
	if err := s.respell(ctx, scan.SourcePlatform, &scan.ProjectName); err != nil {
		return core.Receipt{}, fmt.Errorf("accepting commit %s: %w", scan.CommitSHA, err)
	}
	if scan.DefaultBranch == "" {
		branch, err := defaultBranch(ctx, s.db.Urgent(), scan)
		if err != nil {
			return core.Receipt{}, fmt.Errorf("accepting commit %s: %w", scan.CommitSHA, sqldb.Classify(err))
		}
		scan.DefaultBranch = branch
	}
	s.prepare(&scan, policy)
	item := &intake{scan: &scan, policy: policy, by: by}
	if err := s.takeIn(ctx, item); err != nil {
		return core.Receipt{}, fmt.Errorf("accepting commit %s: %w", scan.CommitSHA, err)
	}
	return item.receipt, nil
}

func notConfigured(platform, project string) string {
	return fmt.Sprintf("%s/%s matches no entry of repositories in the configuration", platform, project)
}

func (s *Store) scanOf(d core.Delivery, push core.Push, policy core.Policy) *core.Scan {
	scan := &core.Scan{
		SourcePlatform: d.Platform, ProjectName: push.Project.Name, ProjectRef: push.Project.Ref,
		RepoURL: push.Project.URL, DefaultBranch: push.Project.DefaultBranch, Branch: push.Branch() + push.Tag(),
		CommitSHA: push.CommitSHA, BeforeSHA: push.Before, Origin: d.Origin(),
		NumChangedFiles: push.Files.Count, ChangedFilesTruncated: push.Files.Truncated || push.Files.Count == nil,
	}
	s.prepare(scan, policy)
	return scan
}

func (s *Store) prepare(scan *core.Scan, policy core.Policy) {
	scan.ReferenceID = uuid.NewString()
	scan.Context = policy.Context
	scan.Attempt = max(scan.Attempt, 1)
	scan.Status = core.ScanPending
	scan.Timestamp = s.clock.Timestamp()
	scan.DeadlineAt = scan.Timestamp.Add(policy.ScanTimeout)
}

// takeIn returns when the item is on disk, or was refused.
func (s *Store) takeIn(ctx context.Context, item *intake) error {
	if err := s.intake.Do(ctx, item); err != nil {
		return sqldb.Classify(err)
	}
	if item.refused != "" {
		return fmt.Errorf("%w: %s", core.ErrDenied, item.refused)
	}
	return nil
}

// commitIntake writes a batch in one transaction, set by set: a handful of statements however many deliveries it holds.
func (s *Store) commitIntake(batch []*intake) error {
	ctx, cancel := context.WithTimeout(context.Background(), intakeTimeout)
	defer cancel()
	err := s.writeBy(s.db.TransactUrgent, ctx, func(tx *sqlx.Tx) error { // its callers hang up after ten seconds
		for _, item := range batch {
			item.reset()
		}
		for _, step := range []func(context.Context, *sqlx.Tx, []*intake) error{
			s.pinSigning, s.findDuplicates, s.insertScans, s.joinScans, s.markStale, s.restartEnded, s.insertJobs, s.putFirstStatuses, s.supersede, s.addFileTasks,
			s.recordRuns, s.keepDeliveries, s.putSecretUsage, s.auditIntake,
		} {
			if err := step(ctx, tx, batch); err != nil {
				return err
			}
		}
		return nil
	})
	s.noteWrite(err)
	if err == nil {
		s.rememberBatch(batch)
	}
	return err
}

// insertScans creates the scans that do not exist yet.
func (s *Store) insertScans(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	byReference := map[string]*intake{}
	var scans []*core.Scan
	for _, item := range batch {
		if item.scan != nil && item.open() {
			byReference[item.scan.ReferenceID] = item
			scans = append(scans, item.scan)
		}
	}
	if len(scans) == 0 {
		return nil
	}
	var created []struct {
		ID          int64  `db:"id"`
		ReferenceID string `db:"reference_id"`
	}
	err := sqldb.SelectNamed(ctx, tx, &created, `
		INSERT INTO scans (reference_id, source_platform, project_name, project_ref, repo_url, branch, default_branch,
			commit_sha, before_sha, attempt, context, origin, timestamp, status, num_changed_files,
			changed_files_truncated, stale, deadline_at)
		VALUES (:reference_id, :source_platform, :project_name, :project_ref, :repo_url, :branch, :default_branch,
			:commit_sha, :before_sha, :attempt, :context, :origin, :timestamp, :status, :num_changed_files,
			:changed_files_truncated, :stale, :deadline_at)
		ON CONFLICT (source_platform, project_name, commit_sha, attempt) DO NOTHING
		RETURNING id, reference_id`, scans)
	for _, row := range created {
		item := byReference[row.ReferenceID]
		item.created = true
		item.scan.ID = row.ID
		item.receipt = core.Receipt{Outcome: core.ScanCreated, Reference: row.ReferenceID}
	}
	return err
}

// insertJobs gives each new scan one job for each scanner of its repository.
func (s *Store) insertJobs(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	var jobs []core.Job
	for _, item := range batch {
		if item.created {
			for _, scanner := range item.policy.Scanners {
				jobs = append(jobs, core.Job{ScanID: item.scan.ID, Scanner: scanner})
			}
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	_, err := tx.NamedExecContext(ctx, `INSERT INTO scan_jobs (scan_id, scanner) VALUES (:scan_id, :scanner)`, jobs)
	return err
}

// putFirstStatuses puts the pending status of each new scan.
func (s *Store) putFirstStatuses(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	var scans []core.Scan
	for _, item := range batch {
		if item.created {
			scans = append(scans, *item.scan)
		}
	}
	return s.putStatuses(ctx, tx, scans)
}

// auditIntake records who had scans opened without a webhook.
func (s *Store) auditIntake(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	for _, item := range batch {
		if !item.created || item.by == "" {
			continue
		}
		action := core.AuditScanOpened
		if item.scan.Origin == core.OriginRescan {
			action = core.AuditRescan
		}
		if err := s.audit(ctx, tx, core.AuditOf(*item.scan, item.by, action)); err != nil {
			return err
		}
	}
	return nil
}
