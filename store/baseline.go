package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/intern"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/store/sqldb"
)

// loadPrevious loads what the findings of a job are matched with, and sets the job's baseline. changes are those since a
// commit, which count if that is the baseline's; they may be nil.
func loadPrevious(
	ctx context.Context, tx *sqlx.Tx, scan core.Scan, job *core.Job, changes *core.Changes,
) (past match.Previous, err error) {
	base, err := baselineOf(ctx, tx, scan, *job)
	if err != nil {
		return past, fmt.Errorf("choosing the baseline: %w", err)
	}
	if err := linkNames(ctx, tx, scan.SourcePlatform, scan.ProjectName, base.proven); err != nil {
		return past, fmt.Errorf("recording the project's former name: %w", err)
	}
	if base.found() {
		job.BaselineScanID = &base.ScanID
		if past.Baseline, err = selectBaseline(ctx, tx, base.NumFindings,
			`SELECT fingerprint, anchor, file, line FROM findings WHERE job_id = ?`, base.JobID); err != nil {
			return past, fmt.Errorf("reading the baseline: %w", err)
		}
		if err := nameBaseline(ctx, tx, scan, base.ScanID); err != nil {
			return past, fmt.Errorf("naming the baseline: %w", err)
		}
		if changes != nil && changes.Base == base.CommitSHA {
			past.Changes = changes
		}
	}
	if past.SameBranch, err = newOnBranch(ctx, tx, scan, base.names, *job); err != nil {
		return past, fmt.Errorf("reading the branch's last run: %w", err)
	}
	return past, nil
}

// newOnBranch loads what was new in the last complete run on the scan's branch: while the branch moves on and its
// baseline does not have such a finding yet, it stays the same finding and keeps its triage.
func newOnBranch(
	ctx context.Context, tx *sqlx.Tx, scan core.Scan, names []string, job core.Job) (known match.Baseline, err error) {
	if branch, _, err := comparedWith(ctx, tx, scan); err != nil || branch == scan.Branch {
		return known, err
	}
	if scan.Branch == "" {
		return known, nil
	}
	run, _, err := newestRun(ctx, tx, scan, names, job.Scanner,
		atCommit(scan.BeforeSHA, `s.branch = ? AND s.id < ?`, scan.Branch, scan.ID),
		onBranch(scan.Branch, scan.ID))
	if err != nil || !run.found() {
		return known, err
	}
	return selectBaseline(ctx, tx, 0, `
		SELECT fingerprint, anchor, file, line FROM findings WHERE job_id = ? AND baseline_state = 'new'`, run.JobID)
}

// nameBaseline lets the scan name the newest of its jobs' baselines.
func nameBaseline(ctx context.Context, tx *sqlx.Tx, scan core.Scan, chosen int64) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scans SET baseline_scan_id = ? WHERE id = ? AND COALESCE(baseline_scan_id, 0) < ?`), chosen, scan.ID, chosen)
	return err
}

// baseline is the run that a job is compared with, if there is one.
type baseline struct {
	completeRun
	names  []string // under which the project was scanned, its own first
	proven []string // of these, the former ones that are not recorded yet
}

// baselineOf chooses, once per job, the run of its scanner to compare it with. Only complete runs count, each scanner's
// for itself: one that failed in the newest scan is compared with an older one.
//
// On the default branch it is that of the commit that was pushed onto, elsewhere that of the commit where the branch
// left the default branch; where there is none, the default branch's last one before the commit was first seen.
func baselineOf(ctx context.Context, q sqlx.ExtContext, scan core.Scan, job core.Job) (b baseline, err error) {
	predicates, err := baselinePredicates(ctx, q, scan, job)
	if err != nil {
		return b, err
	}
	if b.names, err = linkedNames(ctx, q, scan); err != nil {
		return b, err
	}
	if meant, err := b.choose(ctx, q, scan, job, predicates); meant || err != nil {
		return b, err
	}
	if b.proven, err = provenNames(ctx, q, scan, b.names); err != nil || len(b.proven) == 0 {
		return b, err
	}
	b.names = append(b.names, b.proven...)
	_, err = b.choose(ctx, q, scan, job, predicates)
	return b, err
}

// choose tells whether it has found a run of the commit that is meant.
func (b *baseline) choose(
	ctx context.Context, q sqlx.ExtContext, scan core.Scan, job core.Job, predicates []predicate) (meant bool, err error) {
	run, matched, err := newestRun(ctx, q, scan, b.names, job.Scanner, predicates...)
	b.completeRun = run
	return run.found() && matched < len(predicates)-1, err
}

// maxNames bounds how many names of one project are looked at.
const maxNames = 10

// linkedNames are the recorded names under which a scan's project was scanned, its own first.
func linkedNames(ctx context.Context, q sqlx.ExtContext, scan core.Scan) ([]string, error) {
	names := []string{scan.ProjectName}
	for i := 0; i < len(names); i++ {
		var former []string
		err := sqlx.SelectContext(ctx, q, &former, q.Rebind(`
			SELECT former_name FROM former_names WHERE source_platform = ? AND project_name = ? ORDER BY former_name`),
			scan.SourcePlatform, names[i])
		if err != nil {
			return nil, err
		}
		for _, name := range former {
			if len(names) < maxNames && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// provenNames are further names that a scan's project had before: its platform knew them by the id that stays, one of
// the first commits under the present name came onto one that was scanned under the former, and no scan has used the
// former name since. The id alone would let everybody who knows the secret of some repository claim another one.
func provenNames(ctx context.Context, q sqlx.ExtContext, scan core.Scan, known []string) (names []string, err error) {
	if scan.ProjectRef == "" {
		return nil, nil
	}
	first, onto, err := beginning(ctx, q, scan)
	if err != nil || len(onto) == 0 {
		return nil, err
	}
	query, args, err := sqlx.In(`
		WITH onto (commit_sha) AS (VALUES `+sqldb.Tuples(len(onto), 1)+`),
		former (name) AS (SELECT (
			SELECT MIN(f.project_name) FROM scans f
			WHERE f.commit_sha = onto.commit_sha AND f.source_platform || '' = ? AND f.project_ref = ? AND f.project_name NOT IN (?)
				AND `+newestOfProject+` < ?) FROM onto)
		SELECT name FROM former WHERE name IS NOT NULL`,
		append(onto, scan.SourcePlatform, scan.ProjectRef, known, first)...)
	if err != nil {
		return nil, err
	}
	err = sqlx.SelectContext(ctx, q, &names, q.Rebind(query), args...)
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), maxNames)], err
}

// newestOfProject is the number of the newest scan of the project of a scan f.
var newestOfProject = `(SELECT later.id FROM scans later
	WHERE ` + wholeProject("later") + ` <= ` + wholeProject("f") + `
	ORDER BY ` + wholeProject("later") + ` DESC, later.id DESC LIMIT 1)`

// beginning is the first scan under a project's present name, and the commits onto which its first ones came.
func beginning(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (first int64, onto []any, err error) {
	var early []core.Scan
	err = sqlx.SelectContext(ctx, q, &early, q.Rebind(`
		SELECT id, source_platform, project_name, project_ref, before_sha, merge_base_sha FROM scans s
		WHERE `+wholeProject("s")+` >= ? ORDER BY `+wholeProject("s")+`, id LIMIT 20`), wholeProjectKey(scan))
	seen := map[string]bool{}
	for i, s := range early {
		if wholeProjectKey(s) != wholeProjectKey(scan) {
			break
		}
		if i == 0 {
			first = s.ID
		}
		for _, commit := range []string{s.BeforeSHA, s.MergeBaseSHA} {
			if s.ProjectRef == scan.ProjectRef && core.IsCommitSHA(commit) && !seen[commit] {
				seen[commit], onto = true, append(onto, commit)
			}
		}
	}
	return first, onto, err
}

// baselinePredicates end with the one that any commit of the branch satisfies.
func baselinePredicates(ctx context.Context, q sqlx.ExtContext, scan core.Scan, job core.Job) (predicates []predicate, err error) {
	branch, commit, err := comparedWith(ctx, q, scan)
	if err != nil {
		return nil, err
	}
	first, err := firstSeen(ctx, q, scan)
	if err != nil {
		return nil, err
	}
	if job.BaselineScanID != nil {
		predicates = append(predicates, thatScan(*job.BaselineScanID, `s.commit_sha = ? OR s.branch = ? AND s.id < ?`,
			commit, branch, first))
	}
	if commit != "" {
		predicates = append(predicates, atCommit(commit, `TRUE`))
	}
	return append(predicates, onBranch(branch, first)), nil
}

// firstSeen is the number of the first scan of a scan's commit: a rescan is compared as that was.
func firstSeen(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (id int64, err error) {
	if scan.Attempt <= 1 {
		return scan.ID, nil
	}
	err = sqlx.GetContext(ctx, q, &id, q.Rebind(`
		SELECT MIN(s.id + 0) FROM scans s WHERE `+ofCommit), keyOf(&scan).args()...)
	return id, err
}

// comparedWith names the branch whose runs a scan is compared with, and the commit of it that is meant, or "".
func comparedWith(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (branch, commit string, err error) {
	if branch = scan.DefaultBranch; branch == "" {
		branch, err = defaultBranch(ctx, q, scan)
	}
	switch {
	case err != nil:
		return "", "", err
	case branch == "" || branch == scan.Branch:
		return scan.Branch, scan.BeforeSHA, nil
	}
	return branch, scan.MergeBaseSHA, nil
}

// GetBaseline returns the commit that a job's findings will be compared with, as things stand; core.ErrNotFound when
// there is none.
func (s *Store) GetBaseline(ctx context.Context, scan core.Scan, job core.Job) (sha string, err error) {
	base, err := baselineOf(ctx, s.db, scan, job)
	if err == nil && !base.found() {
		err = fmt.Errorf("%w: %s has not completed a scan to compare with", core.ErrNotFound, job.Scanner)
	}
	if err != nil {
		return "", fmt.Errorf("getting baseline: %w", sqldb.Classify(err))
	}
	return base.CommitSHA, nil
}

// RecordMergeBase keeps the commit where the scan's branch left the default branch.
func (s *Store) RecordMergeBase(ctx context.Context, scan core.Scan, sha string) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET merge_base_sha = ? WHERE id = ?`), sha, scan.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("recording merge base: %w", err)
	}
	return nil
}

// maxLate is how many branches, the newest, are compared again with the commit where they left the default branch.
const maxLate = 200

// lateRun is a run on a branch that had to do without the run that it should have been compared with.
type lateRun struct {
	JobID  int64 `db:"job_id"`
	ScanID int64 `db:"scan_id"`
}

// compareAgain compares branches with the run that has just been completed, of the commit where they left the default
// branch. Where both are announced at one time, a branch may be scanned first, and what it has from that commit is not
// new.
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
// default branch there. The project is an expression, because an engine without statistics would otherwise read all its
// scans.
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

// compareLate marks findings as unchanged that the base has under the same fingerprint. A finding whose code has
// changed since stays new.
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

// completeRun is one scanner's complete run, with which another run of it can be compared.
type completeRun struct {
	ScanID      int64  `db:"scan_id"`
	JobID       int64  `db:"job_id"`
	CommitSHA   string `db:"commit_sha"`
	NumFindings int    `db:"num_findings"`
}

func (r completeRun) found() bool { return r.ScanID > 0 }

// predicate is a condition in SQL, with its arguments, for a scan s of a project, and the order in which to search.
// Each can be answered by one index alone, so that no engine reads the whole project for it.
type predicate struct {
	sql, order string
	args       func(platform, project string) []any
}

// thatScan matches a scan by its number.
func thatScan(id int64, condition string, args ...any) predicate {
	return predicate{`s.id = ? AND ` + projectOf("s") + ` = ? AND (` + condition + `)`, `s.id + 0 DESC`,
		func(platform, project string) []any { return append([]any{id, platform + "/" + project}, args...) }}
}

// atCommit matches the newest scan of a commit.
func atCommit(sha, condition string, args ...any) predicate {
	return predicate{ofCommit + ` AND (` + condition + `)`, `s.id + 0 DESC`,
		func(platform, project string) []any { return append(commitKey{platform, project, sha}.args(), args...) }}
}

// onBranch matches the newest scan of a branch before the one with the number, of a commit that the branch had reached.
func onBranch(branch string, before int64) predicate {
	return predicate{
		`s.source_platform = ? AND s.project_name = ? AND s.branch >= ? AND (s.branch, s.id) < (?, ?) AND NOT s.stale`,
		`s.branch DESC, s.id DESC`,
		func(platform, project string) []any { return []any{platform, project, branch, branch, before} },
	}
}

// newestRun finds a scanner's newest complete run of another commit of the scan's project, whose names are given, by
// the first of several predicates on the run's scan s that matches one, and returns its index.
func newestRun(
	ctx context.Context, q sqlx.ExtContext, scan core.Scan, names []string, scanner string, predicates ...predicate,
) (newest completeRun, matched int, err error) {
	for i, match := range predicates {
		for _, name := range names {
			scan.ProjectName = name
			run, err := runLike(ctx, q, scan, scanner, match)
			if err != nil {
				return completeRun{}, 0, err
			}
			if run.ScanID > newest.ScanID {
				newest = run
			}
		}
		if newest.found() {
			return newest, i, nil
		}
	}
	return completeRun{}, 0, nil
}

// runLike returns the zero completeRun where there is none. It reads an index from its new end and stops at the first
// run. One query that puts several predicates in order would read the whole branch, and so would PostgreSQL with a
// join, or if it expected complete runs to be rare: it takes "= 1" for rare, "<> 0" for common.
func runLike(
	ctx context.Context, q sqlx.ExtContext, scan core.Scan, scanner string, match predicate) (run completeRun, err error) {
	const jobs = `FROM scan_jobs j WHERE j.scan_id = s.id AND j.scanner = ? AND j.state = 'completed'`
	args := append([]any{scanner, scanner, scan.CommitSHA}, match.args(scan.SourcePlatform, scan.ProjectName)...)
	err = sqlx.GetContext(ctx, q, &run, q.Rebind(`
		SELECT s.id AS scan_id, s.commit_sha, (SELECT j.id `+jobs+`) AS job_id, (SELECT j.num_findings `+jobs+`) AS num_findings
		FROM scans s
		WHERE s.commit_sha <> ? AND `+match.sql+` AND (SELECT COUNT(*) `+jobs+`) <> 0
		ORDER BY `+match.order+` LIMIT 1`), append(args, scanner)...)
	if errors.Is(err, sql.ErrNoRows) {
		return completeRun{}, nil
	}
	return run, err
}

// selectBaseline reads about so many earlier findings: fingerprint, anchor, file and line.
func selectBaseline(ctx context.Context, tx *sqlx.Tx, about int, query string, args ...any) (match.Baseline, error) {
	rows, err := tx.QueryContext(ctx, tx.Rebind(query), args...)
	if err != nil {
		return match.Baseline{}, err
	}
	defer func() { _ = rows.Close() }()
	known, kept := match.NewBaseline(about), intern.Texts{}
	for rows.Next() {
		var fingerprint, anchor, file sql.RawBytes
		var line int
		if err := rows.Scan(&fingerprint, &anchor, &file, &line); err != nil {
			return match.Baseline{}, err
		}
		known.Add(match.BaselineFinding{
			Fingerprint: kept.Copy(fingerprint), Anchor: string(anchor), File: kept.Name(file), Line: line,
		})
	}
	return known, rows.Err()
}
