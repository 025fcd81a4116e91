package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// lockScan reads a scan and keeps other jobs of it from settling at the same time: two that finish together would each
// see the other one running, and nobody would end the scan.
func (s *Store) lockScan(ctx context.Context, tx *sqlx.Tx, id int64) (core.Scan, error) {
	var scan core.Scan
	err := tx.GetContext(ctx, &scan, tx.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ? `+s.dialect.forUpdate), id)
	return scan, err
}

// putReport is the one room behind both doors: it replaces the findings of a job and ends it.
func (s *Store) putReport(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job, d *delivered) error {
	d.job, d.ids, d.told = job, nil, &core.ReportTally{Gate: s.policyOf(scan).Gate}
	var err error
	if d.compared, err = compare(ctx, tx, scan, d); err != nil {
		return err
	}
	if d.decided, err = decidedWords(ctx, tx, scan); err != nil {
		return err
	}
	if err := s.replaceFindings(ctx, tx, d); err != nil {
		return err
	}
	if err := s.recordCarried(ctx, tx, job, d.decided); err != nil {
		return err
	}
	if err := s.endJob(ctx, tx, d); err != nil {
		return err
	}
	if err := s.settleScan(ctx, tx, scan.ID, d.all()); err != nil || d.Failure != "" {
		return err
	}
	return s.compareAgain(ctx, tx, scan, job)
}

func (s *Store) endJob(ctx context.Context, tx *sqlx.Tx, d *delivered) error {
	job := d.job
	job.State, job.Error = endOf(d.Report)
	job.NumFindings, job.NumUnchanged, job.NumAbsent = d.Len(), d.compared.Unchanged, d.compared.Absent
	if job.State == core.JobFailed {
		job.NumAbsent = 0
	}
	now := s.clock()
	job.FinishedAt = &now
	_, err := tx.NamedExecContext(ctx, `
		UPDATE scan_jobs SET state = :state, error = :error, num_findings = :num_findings, num_unchanged = :num_unchanged,
			num_absent = :num_absent, started_at = COALESCE(started_at, :finished_at), finished_at = :finished_at,
			lease_until = NULL, baseline_scan_id = :baseline_scan_id
		WHERE id = :id`, job)
	return err
}

// endOf is how a report ends its job, and why where it fails it.
func endOf(report core.Report) (core.JobState, string) {
	if report.Failure != "" {
		return core.JobFailed, report.Failure
	}
	return core.JobCompleted, ""
}

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
	now := s.clock()
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
	return s.wantStatuses(ctx, tx, []core.Scan{scan})
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
	scan.Summary = core.Explain(scan.Summary, gate.Why(verdict, vulnerabilities))
	return nil
}

// policyOf is the scan's policy of today; a repository that has left the configuration keeps the strictest defaults.
func (s *Store) policyOf(scan core.Scan) core.Policy {
	policy, known := s.policies.For(scan.SourcePlatform, scan.ProjectName)
	if !known {
		policy.Gate = core.Gate{FailOn: core.High, NewOnly: true}
	}
	return policy
}
