package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/intake"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Rescan makes the next attempt of a scan, audits who asked for it and returns it. core.ErrNotFound when there is none.
func (s *Store) Rescan(ctx context.Context, reference, by string) (core.Receipt, error) {
	scan, err := s.GetScan(ctx, reference)
	if err != nil {
		return core.Receipt{}, err
	}
	err = s.db.GetContext(ctx, &scan.Attempt, s.db.Rebind(`
		SELECT MAX(attempt) + 1 FROM scans s WHERE `+ofCommit), keyOf(&scan).args()...)
	if err != nil {
		return core.Receipt{}, fmt.Errorf("counting attempts: %w", sqldb.Classify(err))
	}
	of := access.Project{Platform: scan.SourcePlatform, Name: scan.ProjectName}
	if actor, asked := access.Of(ctx); asked && !actor.MayRescan(of, s.policyOf(scan).Replace) {
		return core.Receipt{}, fmt.Errorf("%w: replace is never for this repository, so a rescan is for those who may judge findings", core.ErrForbidden)
	}
	scan.Origin = core.OriginRescan
	return s.AcceptCommit(ctx, scan, by)
}

func (s *Store) scanOf(d core.Delivery, push core.Push, project core.KeptProject, policy core.Policy) *core.Scan {
	scan := &core.Scan{
		RepoURL: push.Project.URL, DefaultBranch: push.Project.DefaultBranch, Ref: push.Ref, Branch: push.Branch() + push.Tag(),
		CommitSHA: push.CommitSHA, BeforeSHA: push.Before, Origin: d.Origin(),
		CommitTitle: push.Commit.Title, CommitAuthor: push.Commit.Author, NumChangedFiles: push.Files.Count, ChangedFilesTruncated: push.Files.Truncated || push.Files.Count == nil,
	}
	s.prepare(scan, project, policy)
	return scan
}

func (s *Store) prepare(scan *core.Scan, project core.KeptProject, policy core.Policy) {
	scan.ProjectID, scan.SourcePlatform = project.ID, project.Platform
	scan.ProjectName, scan.ProjectRef = project.Name, project.Ref
	scan.Fork = scan.Fork || core.IsForkBranch(scan.Branch)
	if !scan.Fork || core.IsRequestRef(scan.Branch) {
		scan.Ref = cmp.Or(scan.Ref, core.BranchRef(scan.Branch))
	}
	if scan.Refused = ""; scan.Fork {
		scan.Refused = s.scanners.RefuseForks(policy)
	}
	scan.Context = policy.Context
	scan.Attempt = max(scan.Attempt, 1)
	scan.ReferenceID = uuid.NewString()
	if scan.Attempt == 1 {
		scan.ReferenceID = core.ReferenceOf(project.Platform, project.Ref, project.Name, scan.CommitSHA)
	}
	scan.Status = core.ScanPending
	scan.Timestamp = s.clock.Timestamp()
	scan.DeadlineAt = scan.Timestamp.Add(policy.ScanTimeout)
}

// nameCommit gives a further attempt the number of the commit's first one.
func (s *Store) nameCommit(ctx context.Context, scan *core.Scan) error {
	scan.FirstScanID = nil
	if scan.Attempt <= 1 {
		return nil
	}
	return s.db.GetContext(ctx, &scan.FirstScanID, s.db.Rebind(`SELECT `+firstOfCommit), keyOf(scan).args()...)
}

// loadExisting reads the latest scans of the commits whose scans were not opened just now.
func (s *Store) loadExisting(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) (existing func(*core.Scan) core.Scan, err error) {
	var keys []commitKey
	for _, item := range items {
		if item.Asks() && !item.Created {
			keys = append(keys, keyOf(item.Scan))
		}
	}
	latest, err := s.latestScans(ctx, tx, keys)
	return func(scan *core.Scan) core.Scan { return latest[keyOf(scan)] }, err
}

// notBeyond is true unless the commit from which a ref came is newer than the scan's own: the ref was set back from there, and
// nothing may be compared with what came after it.
const notBeyond = `NOT EXISTS (SELECT 1 FROM scans b WHERE b.commit_sha = :before_sha AND b.project_id = scans.project_id
	AND b.attempt = 1 AND b.id > COALESCE(scans.first_scan_id, scans.id))`

// joinScans adds to existing scans what they lack.
func joinScans(ctx context.Context, tx *sqlx.Tx, joins []core.Scan) error {
	for _, news := range joins {
		_, err := tx.NamedExecContext(ctx, `
			UPDATE scans SET
				shared_refs = shared_refs OR :shared_refs,
				fork = fork OR ref = '' AND :fork,
				repo_url = CASE WHEN repo_url = '' THEN :repo_url ELSE repo_url END,
				ref = CASE WHEN ref = '' THEN :ref ELSE ref END,
				branch = CASE WHEN branch = '' THEN :branch ELSE branch END,
				default_branch = CASE WHEN default_branch = '' THEN :default_branch ELSE default_branch END,
				before_sha = CASE WHEN before_sha = '' OR :before_sha <> '' AND (
					origin = 'recover' AND ref = :ref OR :ref = 'refs/heads/' || default_branch) AND `+notBeyond+`
					THEN :before_sha ELSE before_sha END,
				commit_title = COALESCE(NULLIF(commit_title, ''), :commit_title), commit_author = COALESCE(NULLIF(commit_author, ''), :commit_author),
				num_changed_files = COALESCE(num_changed_files, :num_changed_files),
				changed_files_truncated = CASE WHEN num_changed_files IS NULL THEN :changed_files_truncated
					ELSE changed_files_truncated END
			WHERE id = :id`, news)
		if err == nil {
			_, err = tx.NamedExecContext(ctx, `UPDATE outcomes SET branch = :branch WHERE scan_id = :id AND branch || '' = '' -- which no index leads to`, news)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) supersedeScans(ctx context.Context, tx *sqlx.Tx, list []intake.Superseded) error {
	if len(list) == 0 {
		return nil
	}
	ended := sqldb.Given{Name: "ended", Columns: "id BIGINT, message TEXT"}
	by := map[int64]string{}
	for _, scan := range list {
		by[scan.ScanID] = scan.By
		ended.Rows = append(ended.Rows, []any{scan.ScanID, scan.Reason()})
	}
	var ids []int64
	err := s.db.SelectGiven(ctx, tx, ended, &ids, `
		UPDATE scan_jobs SET state = 'superseded', finished_at = ?, error = e.message
		FROM ended e WHERE scan_jobs.scan_id = e.id AND scan_jobs.state = 'pending'
		RETURNING scan_id`, s.clock.Timestamp())
	if err != nil || len(ids) == 0 {
		return err
	}
	slices.Sort(ids)
	scans, err := s.lockScans(ctx, tx, slices.Compact(ids))
	if err != nil {
		return err
	}
	for n := range scans {
		scans[n].SupersededBy = by[scans[n].ID]
	}
	return s.settleScans(ctx, tx, scans, nil)
}

// restartScans runs jobs again of the scans that have ended too early, as they are after joinScans and once no other process
// changes them.
func (s *Store) restartScans(ctx context.Context, tx *sqlx.Tx, restarts []intake.Restart) error {
	if len(restarts) == 0 {
		return nil
	}
	ids := make([]int64, len(restarts))
	for i, restart := range restarts {
		ids[i] = restart.ScanID
	}
	scans, err := s.lockScans(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, restart := range restarts {
		at := slices.IndexFunc(scans, func(scan core.Scan) bool { return scan.ID == restart.ScanID })
		if at < 0 || !restart.Due(scans[at]) {
			continue
		}
		if err := s.restartScan(ctx, tx, scans[at], restart); err != nil {
			return err
		}
	}
	return nil
}

// restartScan restarts jobs that were superseded and, where the scan came before its push, those that failed here.
func (s *Store) restartScan(ctx context.Context, tx *sqlx.Tx, scan core.Scan, restart intake.Restart) error {
	deadline := s.nextDeadline(scan)
	_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET superseded_by = '', deadline_at = ? WHERE id = ?`), deadline, scan.ID)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scan_jobs SET state = 'pending', error = '', failures = 0, not_before = NULL, finished_at = NULL
		WHERE scan_id = ? AND (state = 'superseded' OR ? AND state = 'failed' AND worker <> ?)`),
		scan.ID, restart.Failed, core.Uploader)
	if err != nil {
		return err
	}
	return s.settleScan(ctx, tx, scan.ID, nil)
}

// latestScans reads the latest attempts of the commits' scans.
func (s *Store) latestScans(ctx context.Context, tx *sqlx.Tx, keys []commitKey) (map[commitKey]core.Scan, error) {
	latest := map[commitKey]core.Scan{}
	for _, key := range keys {
		latest[key] = core.Scan{}
	}
	ids, err := s.scanOfEach(ctx, tx, "MAX", slices.Collect(maps.Keys(latest)))
	if err != nil || len(ids) == 0 {
		return latest, err
	}
	var scans []core.Scan
	err = sqldb.SelectIn(ctx, tx, &scans, `SELECT `+scanColumns+` FROM scans WHERE id IN (?)`, ids)
	for _, scan := range scans {
		latest[keyOf(&scan)] = scan
	}
	return latest, err
}

// scanOfEach finds the numbers of the commits' scans, of those that have one: MIN is the first attempt, MAX the latest. Each is
// the extreme of an expression, because an engine would otherwise look for the commit among all numbers. Joined with scans here,
// PostgreSQL would read all scans for many commits.
func (s *Store) scanOfEach(ctx context.Context, tx *sqlx.Tx, pick string, keys []commitKey) (ids []int64, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	wanted := sqldb.Given{Name: "wanted", Columns: "project_id BIGINT, commit_sha TEXT"}
	for _, key := range keys {
		wanted.Rows = append(wanted.Rows, []any{key.project, key.sha})
	}
	err = s.db.SelectGiven(ctx, tx, wanted, &ids, `
		SELECT COALESCE((SELECT `+pick+`(s.id + 0) FROM scans s WHERE `+sameCommit("s", "w")+`), 0) FROM wanted w`)
	return slices.DeleteFunc(ids, func(id int64) bool { return id == 0 }), err
}

// numberedTuples are tuples whose first column is a number: PostgreSQL takes parameters in VALUES for text.
func numberedTuples(rows, columns int) string {
	tuple := `(CAST(? AS BIGINT)` + strings.Repeat(`, ?`, columns-1) + `)`
	return strings.TrimSuffix(strings.Repeat(tuple+`, `, rows), `, `)
}

// commitKey identifies a commit of a project.
type commitKey struct {
	project int64
	sha     string
}

func (k commitKey) order(other commitKey) int {
	return cmp.Or(cmp.Compare(k.project, other.project), cmp.Compare(k.sha, other.sha))
}

func keyOf(scan *core.Scan) commitKey { return commitKey{scan.ProjectID, scan.CommitSHA} }

func (k commitKey) args() []any { return []any{k.sha, k.project} }

// ofCommit selects the scans s of a commit, by the args of its key. The project is an expression: a column would offer a second
// index, and an engine without statistics would read all scans of the project as readily as those of the commit.
const ofCommit = `s.commit_sha = ? AND s.project_id + 0 = ?`

// firstOfCommit is the number that names a commit, by the args of its key.
const firstOfCommit = `(SELECT MIN(COALESCE(s.first_scan_id, s.id + 0)) FROM scans s WHERE ` + ofCommit + `)`

// sameCommit is ofCommit for two rows.
func sameCommit(a, b string) string {
	return a + `.commit_sha = ` + b + `.commit_sha AND ` + a + `.project_id + 0 = ` + b + `.project_id + 0`
}

// latestAttempt is true for a scan whose commit was not scanned once more.
var latestAttempt = `(SELECT COUNT(*) FROM scans later WHERE ` + sameCommit("later", "s") + ` AND later.attempt > s.attempt) = 0`

// ofSameCommit joins the attempts twin of one scan, each of which examines the same commit.
var ofSameCommit = `JOIN scans named ON ` + sameCommit("twin", "named") + ` WHERE named.id = ?`

// foreignTo are the scanners that do not look at a scan's commit, because it is from a fork.
func (s *Store) foreignTo(scan *core.Scan, policy core.Policy) []string {
	if !scan.Fork {
		return nil
	}
	return s.scanners.NotOnForks(policy)
}

// askForRequest completes what an event of a pull or merge request asks for. The branch of a request within the project is scanned when
// it is pushed: the event only makes sure that there is a scan of it.
func (s *Store) askForRequest(request *intake.Request, about core.Request, project core.KeptProject, wish intake.Wish) {
	d := request.Delivery
	if about.UpdatedAt.IsZero() {
		about.UpdatedAt = s.cameAt(*d)
	}
	request.About, request.Word = &about, intake.HeadOf(project.ID, *d, about)
	request.Closing = intake.ClosingOf(project.ID, about)
	if wish.Commit == "" {
		return
	}
	scan := &core.Scan{
		RepoURL: about.Project.URL, DefaultBranch: about.Project.DefaultBranch, CommitSHA: about.Head, BeforeSHA: about.Before,
		CommitTitle: about.Commit.Title, CommitAuthor: about.Commit.Author,
		Origin: core.OriginRequest, ChangedFilesTruncated: !about.Fork, Fork: about.Fork, Branch: about.Branch,
	}
	if about.Fork {
		scan.Ref, scan.Branch = about.Ref, about.Ref
	} else {
		scan.BeforeSHA = "" // which the push tells
	}
	s.prepare(scan, project, wish.Policy)
	request.Scan, request.Foreign = scan, s.foreignTo(scan, wish.Policy)
}

var requestColumns = sqldb.ColumnsOf[core.KeptRequest]()

// receiveRequests loads the requests that items are about, and leaves out what came too late.
func receiveRequests(ctx context.Context, tx *sqlx.Tx, items []*intake.Item) ([]intake.Change, error) {
	known := map[intake.RequestKey]core.KeptRequest{}
	for _, item := range items {
		if item.About == nil || !item.Open() {
			continue
		}
		if _, read := known[item.Key()]; read {
			continue
		}
		var request core.KeptRequest
		err := tx.GetContext(ctx, &request, tx.Rebind(`SELECT `+requestColumns+` FROM requests WHERE project_id = ? AND number = ?`),
			item.Key().Project, item.Key().Number)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("reading requests: %w", err)
		}
		known[item.Key()] = request
	}
	return intake.Receive(items, known), nil
}

// followRequests keeps what was told of requests, ends refused scans, and aims scans at the branches into which their commits go.
func (s *Store) followRequests(ctx context.Context, tx *sqlx.Tx, plan intake.Plan) error {
	for _, change := range plan.Changes {
		_, err := tx.NamedExecContext(ctx, `
			INSERT INTO requests (project_id, number, fork, head_sha, branch, target, is_open, updated_at)
			VALUES (:project_id, :number, :fork, :head_sha, :branch, :target, :is_open, :updated_at)
			ON CONFLICT (project_id, number) DO UPDATE SET fork = excluded.fork, head_sha = excluded.head_sha,
				branch = excluded.branch, target = excluded.target, is_open = excluded.is_open, updated_at = excluded.updated_at`, change.Is)
		if err != nil {
			return fmt.Errorf("keeping requests: %w", err)
		}
	}
	for _, scan := range plan.Opened {
		if scan.Refused != "" {
			if err := s.settleScan(ctx, tx, scan.ID, nil); err != nil {
				return err
			}
		}
	}
	if err := s.tellRequests(ctx, tx, plan.Changes); err != nil {
		return err
	}
	return s.aimScans(ctx, tx, plan)
}

// tellRequests has the comments of requests written anew that were opened, closed, or got another head, which may have been scanned before.
func (s *Store) tellRequests(ctx context.Context, tx *sqlx.Tx, changes []intake.Change) error {
	if !s.policies.Comment() {
		return nil
	}
	keys := []commitKey{}
	for _, change := range changes {
		switch is, was := change.Is, change.Was; {
		case is.IsOpen && (!was.IsOpen || was.HeadSHA != is.HeadSHA):
			keys = append(keys, commitKey{is.ProjectID, is.HeadSHA})
		case was.IsOpen && !is.IsOpen:
			if err := s.Notes().Finish(ctx, tx, is.ProjectID, is.Number); err != nil {
				return err
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	latest, err := s.latestScans(ctx, tx, keys)
	if err != nil {
		return err
	}
	return s.wantNotes(ctx, tx, slices.SortedFunc(maps.Values(latest), func(a, b core.Scan) int { return cmp.Compare(a.ID, b.ID) }))
}

// aimed is a commit whose scan may go into another branch than it was aimed at.
type aimed struct {
	ProjectID int64  `db:"project_id"`
	CommitSHA string `db:"commit_sha"`
	Branch    string `db:"branch"` // that was pushed, or empty
	Target    string `db:"target"` // of the open request with this head, else with this branch; empty where there is none
}

// aimScans finds the open requests of commits that were pushed, or that requests are about.
func (s *Store) aimScans(ctx context.Context, tx *sqlx.Tx, plan intake.Plan) error {
	opened := map[commitKey]bool{}
	var wanted []aimed
	for _, scan := range plan.Opened {
		opened[keyOf(&scan)] = true
		wanted = append(wanted, aimed{ProjectID: scan.ProjectID, CommitSHA: scan.CommitSHA, Branch: core.BranchOf(scan.Ref)})
	}
	for _, change := range plan.Changes {
		if key := (commitKey{change.Is.ProjectID, change.Is.HeadSHA}); !opened[key] {
			wanted = append(wanted, aimed{ProjectID: key.project, CommitSHA: key.sha})
		}
	}
	targets, err := s.targetsOf(ctx, tx, wanted)
	if err != nil || len(targets) == 0 {
		return err
	}
	latest, err := s.latestScans(ctx, tx, slices.Collect(maps.Keys(targets)))
	if err != nil {
		return err
	}
	for _, key := range slices.SortedFunc(maps.Keys(targets), commitKey.order) {
		if aim, changed := intake.Retarget(latest[key], targets[key], opened[key]); changed {
			if err := s.aimScan(ctx, tx, aim); err != nil {
				return fmt.Errorf("deciding for another branch: %w", err)
			}
		}
	}
	return nil
}

// targetsOf are the branches into which commits go, of those that go into any.
func (s *Store) targetsOf(ctx context.Context, tx *sqlx.Tx, wanted []aimed) (map[commitKey]string, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	given := sqldb.GivenOf("wanted", "project_id BIGINT, commit_sha TEXT, branch TEXT", wanted)
	newest := func(condition string) string {
		return `(SELECT r.target FROM requests r WHERE r.project_id = w.project_id AND r.is_open AND ` + condition + `
			ORDER BY r.updated_at DESC LIMIT 1)`
	}
	var found []aimed
	err := s.db.SelectGiven(ctx, tx, given, &found, `
		SELECT w.project_id, w.commit_sha, COALESCE(`+newest(`r.head_sha = w.commit_sha`)+`,
			`+newest(`NOT r.fork AND r.branch = w.branch AND r.branch <> ''`)+`, '') AS target FROM wanted w`)
	targets := map[commitKey]string{}
	for _, one := range found {
		if one.Target != "" {
			targets[commitKey{one.ProjectID, one.CommitSHA}] = one.Target
		}
	}
	return targets, err
}

// aimScan aims a scan at another branch. Scanners that ran here run once more, because other commits lie between; of reports from
// elsewhere only the comparison is made anew.
func (s *Store) aimScan(ctx context.Context, tx *sqlx.Tx, aim intake.Aim) error {
	if !aim.Anew {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET target_branch = ? WHERE id = ?`), aim.Target, aim.ScanID)
		return err
	}
	scan, err := s.lockForReport(ctx, tx, aim.ScanID)
	if err != nil {
		return err
	}
	scan.TargetBranch, scan.MergeBaseSHA = aim.Target, ""
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scans SET target_branch = ?, merge_base_sha = '', baseline_scan_id = NULL, deadline_at = ? WHERE id = ?`),
		aim.Target, s.nextDeadline(scan), scan.ID)
	if err == nil {
		err = s.askAnotherBase(ctx, tx, scan)
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scan_jobs SET state = 'pending', error = '', failures = 0, not_before = NULL, finished_at = NULL, lease_until = NULL,
			baseline_scan_id = NULL
		WHERE scan_id = ? AND attempt > 0 AND worker <> ? AND state IN ('running', 'completed', 'failed')`), scan.ID, core.Uploader)
	if err == nil {
		err = s.compareUploads(ctx, tx, scan)
	}
	if err != nil {
		return err
	}
	return s.settleScan(ctx, tx, scan.ID, nil)
}

// askMergeBase also revives a task that was given up: who asks again knows that the platform may answer now.
func (s *Store) askMergeBase(ctx context.Context, tx *sqlx.Tx, scan core.Scan) error {
	now := s.clock.Timestamp()
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO enrichment_tasks (kind, source_platform, scan_id, requested_at, next_attempt_at) VALUES ('merge_base', ?, ?, ?, ?)
		ON CONFLICT (scan_id, kind) WHERE metric_id IS NULL DO UPDATE SET given_up = FALSE, attempts = 0, lease_until = NULL, last_error = '',
			requested_at = excluded.requested_at, next_attempt_at = excluded.next_attempt_at
		WHERE enrichment_tasks.given_up`), scan.SourcePlatform, scan.ID, now, now)
	return err
}

// askAnotherBase asks anew for a scan that got another target: an answer that is on its way is about the former one.
func (s *Store) askAnotherBase(ctx context.Context, tx *sqlx.Tx, scan core.Scan) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM enrichment_tasks WHERE scan_id = ? AND kind = 'merge_base'`), scan.ID)
	if err != nil {
		return err
	}
	return s.askMergeBase(ctx, tx, scan)
}

// compareAtBase compares reports from elsewhere once more when it is known where the commit of a request left its target.
func (s *Store) compareAtBase(ctx context.Context, tx *sqlx.Tx, id int64) error {
	scan, err := s.lockScan(ctx, tx, id)
	if err == nil {
		err = s.compareUploads(ctx, tx, scan)
	}
	if err == nil && scan.Status.Ended() {
		err = s.settleScan(ctx, tx, id, nil)
	}
	return err
}

// adoptScans makes scans of commits from forks those of the project's own commits, and scans that were only compared with those of
// commits that somebody asked for. Scanners that did not look at them do so now.
func (s *Store) adoptScans(ctx context.Context, tx *sqlx.Tx, scans []core.Scan) error {
	for _, scan := range scans {
		was, err := s.lockScan(ctx, tx, scan.ID)
		if err != nil {
			return err
		}
		if !was.Fork && !was.ForComparison() {
			continue
		}
		scan.DeadlineAt = s.nextDeadline(was)
		if !was.ForComparison() {
			scan.Origin = was.Origin
		}
		_, err = tx.NamedExecContext(ctx, `
			UPDATE scans SET origin = :origin, fork = FALSE, refused = '', superseded_by = '', ref = :ref, branch = :branch, shared_refs = :shared_refs,
				commit_title = COALESCE(NULLIF(:commit_title, ''), commit_title), commit_author = COALESCE(NULLIF(:commit_author, ''), commit_author),
				before_sha = CASE WHEN `+notBeyond+` THEN :before_sha ELSE before_sha END, deadline_at = :deadline_at
			WHERE id = :id`, scan)
		if err == nil {
			_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE scan_jobs SET fork = FALSE WHERE scan_id = ?`), scan.ID)
		}
		if err == nil {
			_, err = tx.ExecContext(ctx, tx.Rebind(`
				UPDATE scan_jobs SET state = 'pending', error = '', coverage = '', finished_at = NULL
				WHERE scan_id = ? AND attempt = 0 AND worker = '' AND state IN ('completed', 'superseded')`), scan.ID)
		}
		if err == nil {
			err = s.settleScan(ctx, tx, scan.ID, nil)
		}
		if err != nil {
			return fmt.Errorf("adopting a commit: %w", err)
		}
	}
	return nil
}

// endClosed ends the scans of commits that nobody wants any more.
func (s *Store) endClosed(ctx context.Context, tx *sqlx.Tx, closings []intake.Closing) error {
	if len(closings) == 0 {
		return nil
	}
	keys := make([]commitKey, len(closings))
	for i, closing := range closings {
		keys[i] = commitKey{closing.Project, closing.Commit}
	}
	latest, err := s.latestScans(ctx, tx, keys)
	if err != nil {
		return err
	}
	return s.supersedeScans(ctx, tx, intake.Close(closings, func(c intake.Closing) core.Scan {
		return latest[commitKey{c.Project, c.Commit}]
	}))
}
