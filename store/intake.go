package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/store/sqldb"
)

// accept is one request and, once its batch is on disk, what became of it.
type accept struct {
	intake.Request
	result intake.Item
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
	request := intake.Request{Delivery: &d, Scan: s.scanOf(d, push, policy), Policy: policy}
	receipt, err := s.takeIn(ctx, request)
	if err != nil {
		return core.Receipt{}, fmt.Errorf("accepting push %s: %w", d.Key, err)
	}
	return receipt, nil
}

// AcceptIgnored keeps a delivery that needs no scan, with the reason. Errors are those of AcceptPush.
func (s *Store) AcceptIgnored(ctx context.Context, d core.Delivery, reason string) (core.Receipt, error) {
	if err := s.respell(ctx, d.Platform, &d.Project); err != nil {
		return core.Receipt{}, fmt.Errorf("accepting delivery %s: %w", d.Key, err)
	}
	request := intake.Request{Delivery: &d, Ignored: reason}
	receipt, err := s.takeIn(ctx, request)
	if err != nil {
		return core.Receipt{}, fmt.Errorf("accepting delivery %s: %w", d.Key, err)
	}
	return receipt, nil
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
	request := intake.Request{Scan: &scan, Policy: policy, Actor: by}
	receipt, err := s.takeIn(ctx, request)
	if err != nil {
		return core.Receipt{}, fmt.Errorf("accepting commit %s: %w", scan.CommitSHA, err)
	}
	return receipt, nil
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

// takeIn returns when the request is on disk, or was refused.
func (s *Store) takeIn(ctx context.Context, request intake.Request) (core.Receipt, error) {
	item := &accept{Request: request}
	if err := s.intake.Do(ctx, item); err != nil {
		return core.Receipt{}, sqldb.Classify(err)
	}
	if item.result.Refused != "" {
		return core.Receipt{}, fmt.Errorf("%w: %s", core.ErrDenied, item.result.Refused)
	}
	return item.result.Receipt, nil
}

// commitIntake writes a batch in one transaction, set by set: a handful of statements however many deliveries it holds.
func (s *Store) commitIntake(batch []*accept) error {
	requests := make([]*intake.Request, len(batch))
	for n, item := range batch {
		requests[n] = &item.Request
	}
	ctx, cancel := context.WithTimeout(context.Background(), intakeTimeout)
	defer cancel()
	var items []*intake.Item
	err := s.writeBy(ctx, s.db.TransactUrgent, func(tx *sqlx.Tx) (err error) { // its callers hang up after ten seconds
		items, err = s.takeInBatch(ctx, tx, requests)
		return err
	})
	s.noteWrite(err)
	if err != nil {
		return err
	}
	for n, item := range items {
		batch[n].result = *item
	}
	s.rememberBatch(requests)
	return nil
}

// takeInBatch loads what is known, has core/intake decide, and saves that. Scans are opened before they are loaded: of two
// processes that open the same one, the other waits and finds it.
func (s *Store) takeInBatch(ctx context.Context, tx *sqlx.Tx, requests []*intake.Request) ([]*intake.Item, error) {
	refused, err := s.pinSigning(ctx, tx, requests)
	if err != nil {
		return nil, err
	}
	received, err := loadReceived(ctx, tx, requests)
	if err != nil {
		return nil, err
	}
	items := intake.Admit(requests, refused, received)
	opened, err := insertScans(ctx, tx, items)
	if err != nil {
		return nil, err
	}
	existing, err := loadExisting(ctx, tx, items, opened)
	if err != nil {
		return nil, err
	}
	plan := intake.Decide(items, opened, existing)
	return items, s.saveIntake(ctx, tx, requests, items, plan)
}

// saveIntake saves a plan. Which scans are stale, restarted and superseded is decided on the way, by the scans as they are
// then.
func (s *Store) saveIntake(
	ctx context.Context, tx *sqlx.Tx, requests []*intake.Request, items []*intake.Item, plan intake.Plan) error {
	for _, save := range []func() error{
		func() error { return joinScans(ctx, tx, plan.Joins) },
		func() error { return s.markStale(ctx, tx, plan.Moves) },
		func() error { return s.restartScans(ctx, tx, plan.Restarts) },
		func() error { return insertJobs(ctx, tx, plan.Jobs) },
		func() error { return s.putStatuses(ctx, tx, plan.Opened) },
		func() error { return s.supersede(ctx, tx, intake.Successors(items)) },
		func() error { return s.addFileTasks(ctx, tx, plan.FileTasks) },
		func() error { return s.recordRuns(ctx, tx, plan.Runs, plan.Informed) },
		func() error { return s.keepDeliveries(ctx, tx, plan.Kept) },
		func() error { return s.putSecretUsage(ctx, tx, requests) },
	} {
		if err := save(); err != nil {
			return err
		}
	}
	for _, event := range plan.Audit {
		if err := s.audit(ctx, tx, event); err != nil {
			return err
		}
	}
	return nil
}

// insertScans opens the scans that do not exist yet, and returns their ids by reference id.
func insertScans(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) (map[string]int64, error) {
	var scans []*core.Scan
	for _, item := range items {
		if item.Asks() {
			scans = append(scans, item.Scan)
		}
	}
	if len(scans) == 0 {
		return nil, nil
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
	opened := map[string]int64{}
	for _, row := range created {
		opened[row.ReferenceID] = row.ID
	}
	return opened, err
}

func insertJobs(ctx context.Context, tx *sqlx.Tx, jobs []core.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	_, err := tx.NamedExecContext(ctx, `INSERT INTO scan_jobs (scan_id, scanner) VALUES (:scan_id, :scanner)`, jobs)
	return err
}
