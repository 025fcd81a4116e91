package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

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
				repo_url = CASE WHEN repo_url = '' THEN :repo_url ELSE repo_url END,
				ref = CASE WHEN ref = '' THEN :ref ELSE ref END,
				branch = CASE WHEN branch = '' THEN :branch ELSE branch END,
				default_branch = CASE WHEN default_branch = '' THEN :default_branch ELSE default_branch END,
				before_sha = CASE WHEN before_sha = '' OR :before_sha <> '' AND (
					origin = 'recover' AND ref = :ref OR :ref = 'refs/heads/' || default_branch) AND `+notBeyond+`
					THEN :before_sha ELSE before_sha END,
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
		ended.Rows = append(ended.Rows, []any{scan.ScanID, core.SupersededError(scan.By)})
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
	deadline := s.clock.Timestamp().Add(scan.DeadlineAt.Sub(scan.Timestamp))
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
