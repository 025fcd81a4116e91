package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
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
	scan.Origin = core.OriginRescan
	return s.AcceptCommit(ctx, scan, by)
}

// loadExisting reads the latest scans of the commits whose scans were not opened just now.
func loadExisting(ctx context.Context, tx *sqlx.Tx, items []*intake.Item, opened map[string]int64) (
	existing func(*core.Scan) core.Scan, err error) {
	var keys []commitKey
	for _, item := range items {
		if !item.Asks() {
			continue
		}
		if _, created := opened[item.Scan.ReferenceID]; !created {
			keys = append(keys, keyOf(item.Scan))
		}
	}
	latest, err := latestScans(ctx, tx, keys)
	return func(scan *core.Scan) core.Scan { return latest[keyOf(scan)] }, err
}

// joinScans adds to existing scans what they lack.
func joinScans(ctx context.Context, tx *sqlx.Tx, joins []core.Scan) error {
	for _, news := range joins {
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
		if err != nil {
			return err
		}
	}
	return nil
}

// supersede ends the jobs that have not started of the commits where the successors' branches stood before.
func (s *Store) supersede(ctx context.Context, tx *sqlx.Tx, successors []*intake.Item) error {
	before := func(scan *core.Scan) commitKey {
		return commitKey{scan.SourcePlatform, scan.ProjectName, scan.BeforeSHA}
	}
	var keys []commitKey
	for _, successor := range successors {
		keys = append(keys, before(successor.Scan))
	}
	latest, err := latestScans(ctx, tx, keys)
	if err != nil {
		return err
	}
	for _, ended := range intake.Supersede(successors, func(scan *core.Scan) core.Scan { return latest[before(scan)] }) {
		if err := s.supersedeScan(ctx, tx, ended); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) supersedeScan(ctx context.Context, tx *sqlx.Tx, scan intake.Superseded) error {
	ended, err := tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scan_jobs SET state = 'superseded', error = ?, finished_at = ?
		WHERE scan_id = ? AND state = 'pending'`), core.SupersededError(scan.By), s.clock.Timestamp(), scan.ScanID)
	if err != nil {
		return err
	}
	if n, err := ended.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET superseded_by = ? WHERE id = ?`),
		scan.By, scan.ScanID); err != nil {
		return err
	}
	return s.settleScan(ctx, tx, scan.ScanID, nil)
}

// restartScans runs jobs again of the scans that have ended too early, as they are after joinScans, which waits for other
// processes that change them.
func (s *Store) restartScans(ctx context.Context, tx *sqlx.Tx, restarts []intake.Restart) error {
	if len(restarts) == 0 {
		return nil
	}
	ids := make([]int64, len(restarts))
	for i, restart := range restarts {
		ids[i] = restart.ScanID
	}
	var scans []core.Scan
	if err := sqldb.SelectIn(ctx, tx, &scans, `SELECT id, status, superseded_by FROM scans WHERE id IN (?)`, ids); err != nil {
		return err
	}
	current := map[int64]core.Scan{}
	for _, scan := range scans {
		current[scan.ID] = scan
	}
	for _, restart := range restarts {
		if !restart.Due(current[restart.ScanID]) {
			continue
		}
		if err := s.restartScan(ctx, tx, restart); err != nil {
			return err
		}
	}
	return nil
}

// restartScan restarts jobs that were superseded and, where the scan came before its push, those that failed here.
func (s *Store) restartScan(ctx context.Context, tx *sqlx.Tx, restart intake.Restart) error {
	id := restart.ScanID
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
		id, restart.Failed, core.Uploader)
	if err != nil {
		return err
	}
	return s.settleScan(ctx, tx, id, nil)
}

// latestScans reads the latest attempts of the commits' scans.
func latestScans(ctx context.Context, tx *sqlx.Tx, keys []commitKey) (map[commitKey]core.Scan, error) {
	latest := map[commitKey]core.Scan{}
	for _, key := range keys {
		latest[key] = core.Scan{}
	}
	if len(latest) == 0 {
		return latest, nil
	}
	ids, args := scanOfEach("MAX", slices.Collect(maps.Keys(latest)))
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
