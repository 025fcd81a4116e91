package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// settleScan derives the scan's state, verdict and commit status from its jobs and findings. told sums up the findings
// of the job that has just ended, where their report is all that there is to say about them; or nil.
func (s *Store) settleScan(ctx context.Context, tx *sqlx.Tx, id int64, told *core.ReportTally) error {
	scan, err := s.lockScan(ctx, tx, id)
	if err != nil {
		return err
	}
	var jobs []core.Job
	err = tx.SelectContext(ctx, &jobs, tx.Rebind(`SELECT `+jobColumns+` FROM scan_jobs WHERE scan_id = ? ORDER BY id`), id)
	if err != nil {
		return err
	}
	now := s.clock.Timestamp()
	scan.Status, scan.Error = core.ScanStatusOf(jobs)
	scan.Verdict, scan.Summary, scan.FinishedAt = nil, "", nil
	scan.VerdictReason = ""
	scan.PutDeciding(nil, 0)
	if len(jobs) == 0 && s.isOverdue(scan, now) {
		scan.Status, scan.Error = core.ScanFailed, core.DeadlineError(scan.DeadlineAt.Sub(scan.Timestamp))
	}
	if scan.Status.Ended() {
		scan.FinishedAt = &now
		if err := s.judge(ctx, tx, &scan, jobs, told); err != nil {
			return err
		}
	}
	if err := keepVerdict(ctx, tx, scan); err != nil { // before the end, which puts it into the indexes of ended scans
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

// judgeAll asks the gate again about scans that have ended, which it locks in one order for everybody. The commit of
// the first one hears of it first.
func (s *Store) judgeAll(ctx context.Context, tx *sqlx.Tx, ids []int64, first int64) error {
	query, args, err := sqlx.In(`
		SELECT `+sqldb.Qualify("s", scanColumns)+`, `+latestAttempt+` AS latest, `+branchHead+` AS head
		FROM scans s WHERE s.id IN (?)
		ORDER BY s.id `+s.db.ForUpdate, ids)
	if err != nil {
		return err
	}
	var scans []judged
	if err := tx.SelectContext(ctx, &scans, tx.Rebind(query), args...); err != nil {
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
	var jobs []core.Job
	err = tx.SelectContext(ctx, &jobs, tx.Rebind(`
		SELECT `+jobColumns+` FROM scan_jobs WHERE scan_id = ? ORDER BY id`), scan.ID)
	if err != nil {
		return false, err
	}
	before := scan.Verdict
	if err := s.judge(ctx, tx, scan, jobs, nil); err != nil {
		return false, err
	}
	changed = before != nil && scan.Verdict != nil && *before != *scan.Verdict
	return changed, keepVerdict(ctx, tx, *scan)
}

// judgeAgain tells whether the verdict of a scan turned. One that did not keeps its text.
func (s *Store) judgeAgain(ctx context.Context, id int64) (turned bool, err error) {
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
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
		return s.putStatuses(ctx, tx, []core.Scan{scan})
	})
	if turned && err == nil {
		s.changed.Ring()
	}
	return turned, err
}

// judge asks the gate about an ended scan. A failed scan has a summary, for what it did find, but no verdict. Where
// told sums up all its findings, and the gate asks for nothing else, they are not read once more.
func (s *Store) judge(ctx context.Context, tx *sqlx.Tx, scan *core.Scan, jobs []core.Job, told *core.ReportTally) error {
	fixed, findings := 0, 0
	for _, job := range jobs {
		fixed, findings = fixed+job.NumAbsent, findings+job.NumFindings
	}
	gate := s.policyOf(*scan).Gate
	if told != nil && (gate.AsksRisk() || findings > told.Len()) {
		told = nil
	}
	tallies, err := tally(ctx, tx, *scan, gate, told)
	if err != nil {
		return fmt.Errorf("counting findings: %w", err)
	}
	scan.Summary = core.Summarize(tallies, fixed)
	if scan.Status == core.ScanCompleted {
		return s.decide(ctx, tx, scan, tallies, told)
	}
	return nil
}

// tally counts findings for the gate. What is known of their CVEs is looked up only for a gate that asks.
func tally(
	ctx context.Context, tx *sqlx.Tx, scan core.Scan, gate core.Gate, told *core.ReportTally,
) (tallies []core.Tally, err error) {
	if told != nil {
		return told.Tallies, nil
	}
	query := `
		SELECT severity, baseline_state, ` + dismissed + ` AS dismissed, COUNT(*) AS n
		FROM findings WHERE scan_id = ?
		GROUP BY 1, 2, 3`
	if gate.AsksRisk() {
		query = `
		SELECT severity, baseline_state, dismissed, SUM(alike) AS n,
			MAX(` + likelihood + `) AS max_epss, MAX(` + kevRank + `) AS kev
		FROM (SELECT severity, baseline_state, ` + dismissed + ` AS dismissed, cve_id, COUNT(*) AS alike
			FROM findings WHERE scan_id = ?
			GROUP BY 1, 2, 3, 4) counted
		LEFT JOIN epss_data e ON e.cve_id = counted.cve_id
		GROUP BY severity, baseline_state, dismissed`
	}
	err = tx.SelectContext(ctx, &tallies, tx.Rebind(query), scan.ID)
	return tallies, err
}

// decide gives a completed scan its verdict, and its summary the reason where the numbers in it do not tell.
func (s *Store) decide(
	ctx context.Context, tx *sqlx.Tx, scan *core.Scan, tallies []core.Tally, told *core.ReportTally,
) error {
	gate := s.policyOf(*scan).Gate
	verdict := gate.Judge(tallies)
	scan.Verdict, scan.VerdictReason = &verdict, gate.DecidedBy(tallies)
	if err := listDeciding(ctx, tx, scan, gate, told); err != nil {
		return fmt.Errorf("listing deciding findings: %w", err)
	}
	if !gate.ByRisk(tallies) {
		return nil
	}
	vulnerabilities, err := risks(ctx, tx, *scan, gate)
	if err != nil {
		return fmt.Errorf("listing vulnerabilities: %w", err)
	}
	scan.Summary = core.AppendReason(scan.Summary, gate.Why(verdict, vulnerabilities))
	return nil
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
		LEFT JOIN epss_changes m ON m.cve_id = named.cve_id
		WHERE e.cve_id IS NOT NULL OR m.cve_id IS NOT NULL
		ORDER BY kev DESC, probability DESC, named.cve_id`), scan.ID, gate.NewOnly)
	return list, err
}

// policyOf is the scan's policy of today; a repository that has left the configuration keeps the strictest defaults.
func (s *Store) policyOf(scan core.Scan) core.Policy {
	policy, known := s.policies.For(scan.SourcePlatform, scan.ProjectName)
	if !known {
		policy.Gate = core.Gate{FailOn: core.High, NewOnly: true}
	}
	return policy
}

// listDeciding keeps with a failed scan which findings the gate fails it for: core.Gate's rules in SQL, for a scan may
// have more findings than are worth reading.
func listDeciding(
	ctx context.Context, tx *sqlx.Tx, scan *core.Scan, gate core.Gate, told *core.ReportTally,
) error {
	scan.PutDeciding(nil, 0)
	switch {
	case *scan.Verdict != core.Fail:
		return nil
	case told != nil:
		return putTallied(ctx, tx, scan, told)
	}
	var rows []struct {
		ID    int64 `db:"id"`
		Total int   `db:"total"`
	}
	err := tx.SelectContext(ctx, &rows, tx.Rebind(`
		SELECT findings.id, COUNT(*) OVER () AS total
		FROM findings
		LEFT JOIN epss_data e ON e.cve_id = findings.cve_id
		WHERE findings.scan_id = ? AND NOT `+dismissed+` AND (findings.baseline_state <> 'unchanged' OR NOT ?)
			AND (? AND `+severityRank+` >= ? OR ? AND e.kev OR ? AND e.probability >= ?)
		ORDER BY `+severityRank+` DESC, findings.id
		LIMIT ?`),
		scan.ID, gate.NewOnly, gate.FailOn != core.Never, gate.FailOn.Rank(), gate.KEV, gate.EPSS > 0, gate.EPSS,
		core.MaxDeciding)
	if err != nil || len(rows) == 0 {
		return err
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	scan.PutDeciding(ids, rows[0].Total)
	return nil
}

// putTallied is listDeciding for findings of which only the ids are not known.
func putTallied(ctx context.Context, tx *sqlx.Tx, scan *core.Scan, told *core.ReportTally) error {
	at := make(map[string]int, len(told.First))
	prints := make([]string, len(told.First))
	for n, d := range told.First {
		at[d.Fingerprint], prints[n] = n, d.Fingerprint
	}
	query, args, err := sqlx.In(`SELECT id, fingerprint FROM findings WHERE scan_id = ? AND fingerprint IN (?)`,
		scan.ID, prints)
	if err != nil {
		return err
	}
	var rows []core.Finding
	if err := tx.SelectContext(ctx, &rows, tx.Rebind(query), args...); err != nil {
		return err
	}
	ids := make([]int64, len(told.First))
	for _, row := range rows {
		ids[at[row.Fingerprint]] = row.ID
	}
	scan.PutDeciding(ids, told.Deciding)
	return nil
}

// keepVerdict writes what judge has put into scan.
func keepVerdict(ctx context.Context, tx *sqlx.Tx, scan core.Scan) error {
	_, err := tx.NamedExecContext(ctx, `
		UPDATE scans SET verdict = :verdict, verdict_reason = :verdict_reason, deciding = :deciding,
			num_deciding = :num_deciding, summary = :summary
		WHERE id = :id`, scan)
	return err
}

// dismissed is true for a row of findings that counts as neither new nor known.
const dismissed = `(findings.suppressed IS NOT NULL
	OR COALESCE(findings.triage_decision, '') = 'FP' AND NOT (` + beyondAI + ` AND ` + byAI + `))`

// beyondAI is core.MayAIDismiss, negated. It is asked at each verdict, because a vulnerability can become known to be
// exploited after an AI dismissed it, and because decisions are carried to other scans.
const beyondAI = `(findings.severity = 'Critical' OR COALESCE(findings.red_team_success, FALSE)
	OR EXISTS (SELECT 1 FROM epss_data exploited WHERE exploited.cve_id = findings.cve_id AND exploited.kev))`

// byAI is true where nobody but an AI says FP.
const byAI = `COALESCE((SELECT MAX(CASE w.source WHEN 'ai' THEN 1 ELSE 2 END)
	FROM triage_decisions w
	JOIN scans own ON own.source_platform = w.source_platform AND own.project_name = w.project_name
	WHERE own.id = findings.scan_id AND w.fingerprint = findings.fingerprint AND w.decision = 'FP'), 0) = 1`

// falsePositives finds those of a scan by the index of its findings, in which the decision is the fourth column.
const falsePositives = `findings.baseline_state IN ('new', 'unchanged', 'absent')
	AND findings.severity IN ('Critical', 'High', 'Medium', 'Low') AND findings.triage_decision = 'FP'`
