package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// settleScan derives the scan's state, verdict and commit status from its jobs and findings. tally sums up the findings of
// the job that has just ended, if nothing else is known of them; or nil.
func (s *Store) settleScan(ctx context.Context, tx *sqlx.Tx, id int64, tally *core.ReportTally) error {
	scan, err := s.lockScan(ctx, tx, id)
	if err != nil {
		return err
	}
	jobs, err := jobsOf(ctx, tx, scan)
	if err != nil {
		return err
	}
	now := s.clock.Timestamp()
	scan.Settle(jobs, s.isOverdue(scan, now), now)
	if scan.Status.Ended() {
		if err := s.judge(ctx, tx, &scan, jobs, tally); err != nil {
			return err
		}
	}
	if err := putVerdict(ctx, tx, scan); err != nil { // before the end, which puts it into the indexes of ended scans
		return err
	}
	_, err = tx.NamedExecContext(ctx, `
		UPDATE scans SET status = :status, error = :error,
			started_at = COALESCE(started_at, :finished_at), finished_at = :finished_at
		WHERE id = :id`, scan)
	if err != nil {
		return err
	}
	return s.putStatuses(ctx, tx, []core.Scan{scan})
}

// judged is a scan to judge again.
type judged struct {
	core.Scan
	Latest bool `db:"latest"`
	Head   bool `db:"head"`
}

// branchHead is true for the newest scan of a branch.
const branchHead = `COALESCE((SELECT newer.id FROM scans newer
	WHERE newer.source_platform = s.source_platform AND newer.project_name = s.project_name
		AND newer.branch >= s.branch AND newer.branch <= s.branch AND NOT newer.stale
	ORDER BY newer.branch DESC, newer.id DESC LIMIT 1), 0) <= s.id`

// judgeAll judges scans again that have ended, which it locks in one order for all transactions. The status of the
// first one is put first.
func (s *Store) judgeAll(ctx context.Context, tx *sqlx.Tx, ids []int64, first int64) error {
	var scans []judged
	err := sqldb.SelectIn(ctx, tx, &scans, `
		SELECT `+sqldb.Qualify("s", scanColumns)+`, `+latestAttempt+` AS latest, `+branchHead+` AS head
		FROM scans s WHERE s.id IN (?)
		ORDER BY s.id `+s.db.ForUpdate, ids)
	if err != nil {
		return err
	}
	var own, others []core.Scan
	for _, scan := range scans {
		changed, err := s.judgeOnce(ctx, tx, &scan.Scan)
		switch {
		case err != nil:
			return err
		case scan.Latest && scan.ID == first:
			own = append(own, scan.Scan)
		case scan.Latest && (scan.Head || changed):
			others = append(others, scan.Scan)
		}
	}
	if err := s.putStatuses(ctx, tx, own); err != nil {
		return err
	}
	return s.putStatuses(ctx, tx, others)
}

// judgeOnce tells whether the verdict of a scan changed. A scan that has not ended is left to its jobs.
func (s *Store) judgeOnce(ctx context.Context, tx *sqlx.Tx, scan *core.Scan) (changed bool, err error) {
	if !scan.Status.Ended() {
		return false, nil
	}
	jobs, err := jobsOf(ctx, tx, *scan)
	if err != nil {
		return false, err
	}
	before := scan.Verdict
	if err := s.judge(ctx, tx, scan, jobs, nil); err != nil {
		return false, err
	}
	changed = before != nil && scan.Verdict != nil && *before != *scan.Verdict
	return changed, putVerdict(ctx, tx, *scan)
}

// openFor is how long a branch without pushes counts as open.
const openFor = 30 * 24 * time.Hour

// ReevaluateHeads judges the heads again that name CVEs which imports have changed, and puts new commit statuses for
// those whose verdict changed, which it counts. Each is a transaction of its own; when one fails, the next call starts
// over.
func (s *Store) ReevaluateHeads(ctx context.Context) (turned int, err error) {
	var newest sql.NullInt64
	if err := s.db.GetContext(ctx, &newest, `SELECT MAX(import_id) FROM epss_changes`); err != nil || !newest.Valid {
		return 0, sqldb.Classify(err)
	}
	scans, err := s.changedHeads(ctx)
	if err != nil {
		return 0, fmt.Errorf("finding scans to judge again: %w", sqldb.Classify(err))
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
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM epss_changes WHERE import_id <= ?`), newest.Int64)
		return err
	})
	return turned, err
}

// judgeAgain tells whether the verdict of a scan changed. Otherwise the scan keeps its summary.
func (s *Store) judgeAgain(ctx context.Context, id int64) (changed bool, err error) {
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		scan, err := s.lockScan(ctx, tx, id)
		if err != nil || scan.Status != core.ScanCompleted {
			return err
		}
		jobs, err := jobsOf(ctx, tx, scan)
		if err != nil {
			return err
		}
		verdict, summary := scan.Verdict, scan.Summary
		if err := s.judge(ctx, tx, &scan, jobs, nil); err != nil {
			return err
		}
		if changed = verdict == nil || *verdict != *scan.Verdict; !changed {
			scan.Summary = summary
		}
		if err := putVerdict(ctx, tx, scan); err != nil || !changed {
			return err
		}
		return s.putStatuses(ctx, tx, []core.Scan{scan})
	})
	if changed && err == nil {
		s.changed.Ring()
	}
	return changed, err
}

// changedHeads omits the scan of a commit that is being scanned once more: the commit status belongs to the latest
// attempt.
func (s *Store) changedHeads(ctx context.Context) (scans []int64, err error) {
	err = s.db.SelectContext(ctx, &scans, s.db.Rebind(`
		SELECT DISTINCT head.id
		FROM (`+heads+`) head
		JOIN scans s ON s.id = head.id
		JOIN findings f ON f.scan_id = head.id
		JOIN epss_changes m ON m.cve_id = f.cve_id
		WHERE NOT EXISTS (SELECT 1 FROM scans later
			WHERE later.source_platform = s.source_platform AND later.project_name = s.project_name
				AND later.commit_sha = s.commit_sha AND later.attempt > s.attempt)
		ORDER BY head.id`), s.clock.Timestamp().Add(-openFor))
	return scans, err
}

// heads are the scans that represent the projects' branches: the latest completed one of each default branch, and of
// each other branch that was scanned since a time.
const heads = `
	SELECT MAX(id) AS id FROM scans
	WHERE status = 'completed' AND branch <> '' AND NOT stale AND (branch = default_branch OR timestamp >= ?)
	GROUP BY source_platform, project_name, branch`

// judge loads the groups of an ended scan's findings, has them judged, and finds those that decided the verdict. A tally
// of all findings spares reading them, if the gate asks for nothing else.
func (s *Store) judge(ctx context.Context, tx *sqlx.Tx, scan *core.Scan, jobs []core.Job, tally *core.ReportTally) error {
	fixed, findings := 0, 0
	for _, job := range jobs {
		fixed, findings = fixed+job.NumAbsent, findings+job.NumFindings
	}
	gate := s.policyOf(*scan).Gate
	if tally != nil && !gate.AsksRisk() && findings <= tally.Len() {
		scan.Judge(gate, tally.Groups(), fixed)
		return putTallied(ctx, tx, scan, tally)
	}
	if findings == 0 { // as of scans that a newer push supersedes
		scan.Judge(gate, nil, fixed)
		return nil
	}
	groups, err := findingGroups(ctx, tx, *scan, gate)
	if err != nil {
		return fmt.Errorf("counting findings: %w", err)
	}
	scan.Judge(gate, groups, fixed)
	if err := putDeciding(ctx, tx, scan, gate, groups); err != nil {
		return fmt.Errorf("listing deciding findings: %w", err)
	}
	return nil
}

// gateFacts are the columns of core.FindingGroup that belong to a finding itself.
const gateFacts = `severity, baseline_state, suppressed IS NOT NULL AS suppressed, COALESCE(triage_decision, '') AS decision,
	CASE WHEN triage_decision = 'FP' THEN ` + byAI + ` ELSE FALSE END AS only_ai,
	COALESCE(red_team_success, FALSE) AS exploited`

// riskFacts are those of its CVE, as they are now and as they were before the last import. Subqueries look each up by key,
// whatever an engine knows or believes of the tables.
func riskFacts(cve string) string {
	now := func(column string) string {
		return `(SELECT ` + column + ` FROM epss_data e WHERE e.cve_id = ` + cve + `)`
	}
	was := func(column string) string {
		return `(SELECT ` + column + ` FROM epss_changes m WHERE m.cve_id = ` + cve + `)`
	}
	return `COALESCE(` + now(`probability`) + `, 0) AS probability, COALESCE(` + now(`kev`) + `, FALSE) AS kev,
		COALESCE(` + was(`was_probability`) + `, ` + now(`probability`) + `, 0) AS was_probability,
		COALESCE(` + was(`was_kev`) + `, ` + now(`kev`) + `, FALSE) AS was_kev`
}

// findingGroups counts the findings of a scan. The CVE matters where the gate asks for risks, and for what an AI dismissed.
func findingGroups(ctx context.Context, tx *sqlx.Tx, scan core.Scan, gate core.Gate) (groups []core.FindingGroup, err error) {
	cve := `CASE WHEN triage_decision = 'FP' THEN cve_id ELSE '' END`
	if gate.AsksRisk() {
		cve = `cve_id`
	}
	err = tx.SelectContext(ctx, &groups, tx.Rebind(`
		SELECT severity, baseline_state, suppressed, decision, only_ai, exploited, cve_id, n, `+riskFacts(`counted.cve_id`)+`
		FROM (SELECT `+gateFacts+`, `+cve+` AS cve_id, COUNT(*) AS n
			FROM findings WHERE scan_id = ?
			GROUP BY 1, 2, 3, 4, 5, 6, 7) counted`), scan.ID)
	return groups, err
}

// decidingPage is how many findings are read first to find those that decided a verdict.
const decidingPage = 4 * core.MaxDeciding

// putDeciding finds which of a failed scan's findings fail the gate, the most severe first, among those with the severities
// and baseline states of the groups that do.
func putDeciding(ctx context.Context, tx *sqlx.Tx, scan *core.Scan, gate core.Gate, groups []core.FindingGroup) error {
	if scan.Verdict == nil || *scan.Verdict != core.Fail {
		return nil
	}
	total := 0
	var severities []core.Severity
	var states []core.BaselineState
	for _, group := range groups {
		if gate.Fails(group) {
			total += group.N
			severities, states = append(severities, group.Severity), append(states, group.BaselineState)
		}
	}
	slices.Sort(severities)
	slices.Sort(states)
	var ids []int64
	for limit, more := decidingPage, true; more && len(ids) < min(total, core.MaxDeciding); limit *= 10 {
		var list []struct {
			core.FindingGroup
			ID int64 `db:"id"`
		}
		err := sqldb.SelectIn(ctx, tx, &list, `
			SELECT id, cve_id, 1 AS n, `+gateFacts+`, `+riskFacts(`findings.cve_id`)+`
			FROM findings WHERE scan_id = ? AND severity IN (?) AND baseline_state IN (?)
			ORDER BY `+severityRank+` DESC, id LIMIT ?`,
			scan.ID, slices.Compact(severities), slices.Compact(states), limit)
		if err != nil {
			return err
		}
		ids, more = ids[:0], len(list) == limit
		for _, finding := range list {
			if len(ids) < core.MaxDeciding && gate.Fails(finding.FindingGroup) {
				ids = append(ids, finding.ID)
			}
		}
	}
	scan.PutDeciding(ids, total)
	return nil
}

// putTallied is putDeciding for findings of which only the ids are unknown.
func putTallied(ctx context.Context, tx *sqlx.Tx, scan *core.Scan, tally *core.ReportTally) error {
	if scan.Verdict == nil || *scan.Verdict != core.Fail {
		return nil
	}
	at := make(map[string]int, len(tally.First))
	prints := make([]string, len(tally.First))
	for n, d := range tally.First {
		at[d.Fingerprint], prints[n] = n, d.Fingerprint
	}
	var rows []core.Finding
	err := sqldb.SelectIn(ctx, tx, &rows, `SELECT id, fingerprint FROM findings WHERE scan_id = ? AND fingerprint IN (?)`,
		scan.ID, prints)
	if err != nil {
		return err
	}
	ids := make([]int64, len(tally.First))
	for _, row := range rows {
		ids[at[row.Fingerprint]] = row.ID
	}
	scan.PutDeciding(ids, tally.Deciding)
	return nil
}

// putVerdict writes what judge has put into scan.
func putVerdict(ctx context.Context, tx *sqlx.Tx, scan core.Scan) error {
	_, err := tx.NamedExecContext(ctx, `
		UPDATE scans SET verdict = :verdict, verdict_reason = :verdict_reason, deciding = :deciding,
			num_deciding = :num_deciding, summary = :summary
		WHERE id = :id`, scan)
	return err
}
