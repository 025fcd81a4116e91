package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
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
	scan.Origin = core.OriginRescan
	return s.AcceptCommit(ctx, scan, by)
}

// joinScans points the items whose commit has a scan already to the latest attempt of that scan.
func (s *Store) joinScans(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	joining := map[commitKey][]*intake{}
	for _, item := range batch {
		if item.scan == nil || item.created || !item.open() {
			continue
		}
		key := keyOf(item.scan)
		joining[key] = append(joining[key], item)
	}
	latest, err := latestScans(ctx, tx, slices.Collect(maps.Keys(joining)))
	if err != nil {
		return err
	}
	for key, items := range joining {
		for _, item := range items {
			if err := joinScan(ctx, tx, item, latest[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// joinScan adds to the existing scan what it lacks: that another branch points at the commit, and the metadata of the
// push where the scan was made without one.
func joinScan(ctx context.Context, tx *sqlx.Tx, item *intake, existing core.Scan) error {
	news := item.scan
	item.receipt = core.Receipt{Outcome: core.ScanExists, Reference: existing.ReferenceID}
	elsewhere := news.Branch != existing.Branch && news.Branch != "" && existing.Branch != ""
	item.informed = news.BeforeSHA != "" && existing.BeforeSHA == "" ||
		news.NumChangedFiles != nil && existing.NumChangedFiles == nil
	news.ID = existing.ID
	if !item.informed && (!elsewhere || existing.SharedRefs) {
		return nil
	}
	news.SharedRefs = elsewhere || existing.SharedRefs
	_, err := tx.NamedExecContext(ctx, `
		UPDATE scans SET
			shared_refs = shared_refs OR :shared_refs,
			project_ref = CASE WHEN project_ref = '' THEN :project_ref ELSE project_ref END,
			repo_url = CASE WHEN repo_url = '' THEN :repo_url ELSE repo_url END,
			branch = CASE WHEN branch = '' THEN :branch ELSE branch END,
			default_branch = CASE WHEN default_branch = '' THEN :default_branch ELSE default_branch END,
			before_sha = CASE WHEN before_sha = '' THEN :before_sha ELSE before_sha END,
			num_changed_files = COALESCE(num_changed_files, :num_changed_files),
			changed_files_truncated = CASE WHEN num_changed_files IS NULL THEN :changed_files_truncated
				ELSE changed_files_truncated END
		WHERE id = :id`, news)
	return err
}

// supersede ends the jobs that have not started of the commits where the new scans' branches stood before. A scan that
// was made without its push, by a pipeline that was faster, counts as new when the push comes. Only the direct
// predecessor is touched: platforms deliver out of order, and a late push must not end the scan of a newer one.
func (s *Store) supersede(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	successors := map[commitKey][]*core.Scan{}
	for i, item := range batch {
		scan := item.scan
		announced := (item.created || item.informed) && item.policy.Supersede && core.IsCommitSHA(scan.BeforeSHA)
		// Gitea's test button pushes a commit onto itself, which must not end the commit's own scan.
		if announced && scan.BeforeSHA != scan.CommitSHA && !setBack(scan, batch[i+1:]) {
			key := commitKey{scan.SourcePlatform, scan.ProjectName, scan.BeforeSHA}
			successors[key] = append(successors[key], scan)
		}
	}
	latest, err := latestScans(ctx, tx, slices.Collect(maps.Keys(successors)))
	if err != nil {
		return err
	}
	outdated := slices.SortedFunc(maps.Values(latest), func(a, b core.Scan) int { return cmp.Compare(a.ID, b.ID) })
	for _, scan := range outdated {
		for _, successor := range slices.Backward(successors[keyOf(&scan)]) {
			if successor.Branch != scan.Branch || scan.Status.Ended() || scan.SharedRefs {
				continue
			}
			if err := s.supersedeScan(ctx, tx, scan, successor.CommitSHA); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// setBack tells whether a later item of the batch sets the branch back to where it stood before the scan.
func setBack(scan *core.Scan, later []*intake) bool {
	return slices.ContainsFunc(later, func(item *intake) bool {
		return item.scan != nil && item.open() && item.scan.Branch == scan.Branch && item.scan.CommitSHA == scan.BeforeSHA &&
			item.scan.SourcePlatform == scan.SourcePlatform && item.scan.ProjectName == scan.ProjectName
	})
}

func (s *Store) supersedeScan(ctx context.Context, tx *sqlx.Tx, scan core.Scan, successor string) error {
	ended, err := tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scan_jobs SET state = 'superseded', error = ?, finished_at = ?
		WHERE scan_id = ? AND state = 'pending'`), core.SupersededError(successor), s.clock.Timestamp(), scan.ID)
	if err != nil {
		return err
	}
	if n, err := ended.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET superseded_by = ? WHERE id = ?`),
		successor, scan.ID); err != nil {
		return err
	}
	return s.settleScan(ctx, tx, scan.ID, nil)
}

// restartEnded restarts jobs that ended too early: a newer push had superseded a scan, and a push names its commit
// again (a second branch at the same commit, or a branch that was set back to it); or an upload or a pipeline opened
// the scan before the push, and its jobs failed because the commit was not there yet.
func (s *Store) restartEnded(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	var ids []int64
	informed := map[int64]bool{}
	for _, item := range batch {
		if item.scan != nil && isPush(item.scan.Origin) && item.receipt.Outcome == core.ScanExists {
			ids = append(ids, item.scan.ID)
			informed[item.scan.ID] = informed[item.scan.ID] || item.informed
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var ended []core.Scan
	err := sqldb.SelectIn(ctx, tx, &ended, `
		SELECT id, superseded_by FROM scans WHERE id IN (?) AND (superseded_by <> '' OR status = 'failed') ORDER BY id`, ids)
	if err != nil {
		return err
	}
	for _, scan := range ended {
		if scan.SupersededBy == "" && !informed[scan.ID] {
			continue
		}
		if err := s.restartScan(ctx, tx, scan.ID, informed[scan.ID]); err != nil {
			return err
		}
	}
	return nil
}

func isPush(origin string) bool { return origin == "push" || origin == core.OriginReconcile }

// restartScan restarts jobs that were superseded and, where the scan came before its push, those that failed here.
func (s *Store) restartScan(ctx context.Context, tx *sqlx.Tx, id int64, early bool) error {
	scan, err := s.lockScan(ctx, tx, id)
	if err != nil {
		return err
	}
	deadline := s.clock.Timestamp().Add(scan.DeadlineAt.Sub(scan.Timestamp))
	_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET superseded_by = '', deadline_at = ? WHERE id = ?`), deadline, id)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scan_jobs SET state = 'pending', error = '', failures = 0, not_before = NULL, finished_at = NULL
		WHERE scan_id = ? AND (state = 'superseded' OR ? AND state = 'failed' AND worker <> ?)`),
		id, early, core.Uploader)
	if err != nil {
		return err
	}
	return s.settleScan(ctx, tx, id, nil)
}

// latestScans reads the latest attempts of the commits' scans.
func latestScans(ctx context.Context, tx *sqlx.Tx, keys []commitKey) (map[commitKey]core.Scan, error) {
	latest := map[commitKey]core.Scan{}
	if len(keys) == 0 {
		return latest, nil
	}
	ids, args := scanOfEach("MAX", keys)
	var scans []core.Scan
	err := tx.SelectContext(ctx, &scans, tx.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id IN (`+ids+`)`), args...)
	for _, scan := range scans {
		latest[keyOf(&scan)] = scan
	}
	return latest, err
}

// scanOfEach finds the number of each commit's scan: MIN is the first attempt, MAX the latest. It is the extreme of an
// expression, because an engine would otherwise look for the commit among all numbers.
func scanOfEach(pick string, keys []commitKey) (query string, args []any) {
	for _, key := range keys {
		args = append(args, key.platform, key.project, key.sha)
	}
	return `
		WITH wanted (source_platform, project_name, commit_sha) AS (VALUES ` + sqldb.Tuples(len(keys), 3) + `)
		SELECT (SELECT ` + pick + `(s.id + 0) FROM scans s WHERE ` + sameCommit("s", "w") + `) FROM wanted w`, args
}

type commitKey struct{ platform, project, sha string }

func keyOf(scan *core.Scan) commitKey {
	return commitKey{scan.SourcePlatform, scan.ProjectName, scan.CommitSHA}
}

func (k commitKey) args() []any { return []any{k.sha, k.platform + "/" + k.project} }

// ofCommit selects the scans s of a commit, by the args of its key. The project is an expression: a column would offer
// a second index, and an engine without statistics would read all scans of the project as readily as those of the
// commit.
const ofCommit = `s.commit_sha = ? AND s.source_platform || '/' || s.project_name = ?`

// sameCommit is ofCommit for two rows.
func sameCommit(a, b string) string {
	return a + `.commit_sha = ` + b + `.commit_sha AND ` + projectOf(a) + ` = ` + projectOf(b)
}

// projectOf is an expression that no index of a table leads to.
func projectOf(row string) string { return row + `.source_platform || '/' || ` + row + `.project_name` }

// wholeProject identifies the project of a row where a project's scans are read in their order, and wholeProjectKey is its
// value. It is an expression, so that one index serves it and nothing else: of two indexes that begin with the same columns
// an engine without statistics takes the wrong one. Statements bound it on one side only and stop by a LIMIT: between two
// bounds PostgreSQL expects few rows, and collects all of them before it sorts.
func wholeProject(row string) string {
	return row + `.project_name || '@' || ` + row + `.source_platform`
}

func wholeProjectKey(scan core.Scan) string { return scan.ProjectName + "@" + scan.SourcePlatform }

// latestAttempt is true for a scan whose commit was not scanned once more.
var latestAttempt = `(SELECT COUNT(*) FROM scans later WHERE ` + sameCommit("later", "s") + ` AND later.attempt > s.attempt) = 0`

// ofSameCommit joins the attempts twin of one scan, each of which examines the same commit.
var ofSameCommit = `JOIN scans named ON ` + sameCommit("twin", "named") + ` WHERE named.id = ?`
