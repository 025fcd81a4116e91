package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// openFor is how long a branch that nobody pushes to is taken for open.
const openFor = 30 * 24 * time.Hour

// heads are the scans that tell how the projects' branches stand: the latest completed one of each default branch, and of
// each other branch that was scanned since a time.
const heads = `
	SELECT MAX(id) AS id FROM scans
	WHERE status = 'completed' AND branch <> '' AND NOT overtaken AND (branch = default_branch OR timestamp >= ?)
	GROUP BY source_platform, project_name, branch`

// rememberRisks keeps what was known, before an import, of the CVEs that heads name. epss_moves is the work that the
// import leaves behind: a CVE stays in it with what was known when it was last judged.
func rememberRisks(ctx context.Context, tx *sqlx.Tx, importID int64, since time.Time) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO epss_moves (cve_id, import_id, was_probability, was_kev)
		SELECT named.cve_id, ?, COALESCE(e.probability, 0), COALESCE(e.kev, FALSE)
		FROM (SELECT DISTINCT f.cve_id FROM (`+heads+`) head JOIN findings f ON f.scan_id = head.id
			WHERE f.cve_id <> '') named
		LEFT JOIN epss_data e ON e.cve_id = named.cve_id
		WHERE TRUE
		ON CONFLICT (cve_id) DO UPDATE SET import_id = excluded.import_id`), importID, since)
	return err
}

// forgetUnmoved leaves the CVEs of which something else is known after the import.
func forgetUnmoved(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, `
		DELETE FROM epss_moves
		WHERE was_probability = COALESCE((SELECT e.probability FROM epss_data e WHERE e.cve_id = epss_moves.cve_id), 0)
			AND was_kev = COALESCE((SELECT e.kev FROM epss_data e WHERE e.cve_id = epss_moves.cve_id), FALSE)`)
	return err
}

// ReevaluateHeads asks the gate again about the heads that name CVEs which imports have moved, and wants new commit
// statuses for those whose verdict turned, which it counts. Each is a transaction of its own; when one fails, the next
// call starts over.
func (s *Store) ReevaluateHeads(ctx context.Context) (turned int, err error) {
	var newest sql.NullInt64
	if err := s.db.GetContext(ctx, &newest, `SELECT MAX(import_id) FROM epss_moves`); err != nil || !newest.Valid {
		return 0, classify(err)
	}
	scans, err := s.movedHeads(ctx)
	if err != nil {
		return 0, fmt.Errorf("finding scans to judge again: %w", classify(err))
	}
	for _, id := range scans {
		changed, err := s.judgeAgain(ctx, id)
		if err != nil {
			return turned, fmt.Errorf("judging scan %d again: %w", id, err)
		}
		if changed {
			turned++
		}
	}
	err = s.transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM epss_moves WHERE import_id <= ?`), newest.Int64)
		return err
	})
	return turned, err
}

// movedHeads leaves out the scan of a commit that is being scanned once more: the commit status belongs to the latest
// attempt.
func (s *Store) movedHeads(ctx context.Context) (scans []int64, err error) {
	err = s.db.SelectContext(ctx, &scans, s.db.Rebind(`
		SELECT DISTINCT head.id
		FROM (`+heads+`) head
		JOIN scans s ON s.id = head.id
		JOIN findings f ON f.scan_id = head.id
		JOIN epss_moves m ON m.cve_id = f.cve_id
		WHERE NOT EXISTS (SELECT 1 FROM scans later
			WHERE later.source_platform = s.source_platform AND later.project_name = s.project_name
				AND later.commit_sha = s.commit_sha AND later.attempt > s.attempt)
		ORDER BY head.id`), s.clock().Add(-openFor))
	return scans, err
}

// judgeAgain tells whether the verdict of a scan turned. One that did not keeps its text.
func (s *Store) judgeAgain(ctx context.Context, id int64) (turned bool, err error) {
	err = s.transact(ctx, func(tx *sqlx.Tx) error {
		scan, err := s.lockScan(ctx, tx, id)
		if err != nil || scan.Status != core.ScanCompleted {
			return err
		}
		verdict, summary := scan.Verdict, scan.Summary
		var jobs []core.Job
		err = tx.SelectContext(ctx, &jobs, tx.Rebind(`SELECT `+jobColumns+` FROM scan_jobs WHERE scan_id = ?`), id)
		if err != nil {
			return err
		}
		if err := s.judge(ctx, tx, &scan, jobs, nil); err != nil {
			return err
		}
		if turned = verdict == nil || *verdict != *scan.Verdict; !turned {
			scan.Summary = summary
			return keepVerdict(ctx, tx, scan)
		}
		if err := keepVerdict(ctx, tx, scan); err != nil {
			return err
		}
		return s.wantStatuses(ctx, tx, []core.Scan{scan})
	})
	if turned && err == nil {
		s.changed.Ring()
	}
	return turned, err
}

// risks are the vulnerabilities that the findings of a scan that count for the gate name, the likeliest first.
func risks(ctx context.Context, tx *sqlx.Tx, scan core.Scan, gate core.Gate) ([]core.Risk, error) {
	var list []core.Risk
	err := tx.SelectContext(ctx, &list, tx.Rebind(`
		SELECT named.cve_id, COALESCE(e.probability, 0) AS probability, COALESCE(e.kev, FALSE) AS kev,
			COALESCE(m.was_probability, e.probability) AS was_probability, COALESCE(m.was_kev, e.kev) AS was_kev
		FROM (SELECT DISTINCT cve_id FROM findings
			WHERE scan_id = ? AND cve_id <> '' AND NOT `+dismissed+` AND (baseline_state <> 'unchanged' OR NOT ?)) named
		LEFT JOIN epss_data e ON e.cve_id = named.cve_id
		LEFT JOIN epss_moves m ON m.cve_id = named.cve_id
		WHERE e.cve_id IS NOT NULL OR m.cve_id IS NOT NULL
		ORDER BY kev DESC, probability DESC, named.cve_id`), scan.ID, gate.NewOnly)
	return list, err
}
