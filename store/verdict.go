package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// findingsPerInsert keeps one statement below PostgreSQL's 65,535 and SQLite's 32,766 parameters.
const findingsPerInsert = 1000

// lockScan reads a scan and keeps other jobs of it from settling at the same time: two that finish together would each
// see the other one running, and nobody would end the scan.
func (s *Store) lockScan(ctx context.Context, tx *sqlx.Tx, id int64) (core.Scan, error) {
	var scan core.Scan
	err := tx.GetContext(ctx, &scan, tx.Rebind(`SELECT * FROM scans WHERE id = ? `+s.dialect.forUpdate), id)
	return scan, err
}

// putReport is the one room behind both doors: it replaces the findings of a job and ends it.
func (s *Store) putReport(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job, report core.Report) error {
	if err := s.chooseBaseline(ctx, tx, &scan); err != nil {
		return err
	}
	known, err := knownFingerprints(ctx, tx, scan, job.Scanner)
	if err != nil {
		return err
	}
	decided, err := decidedWords(ctx, tx, scan)
	if err != nil {
		return err
	}
	core.Fingerprint(report.Findings)
	absent := core.Compare(report.Findings, known)
	core.CarryTriage(report.Findings, decided)
	if err := replaceFindings(ctx, tx, job, report.Findings); err != nil {
		return err
	}
	if err := s.recordCarried(ctx, tx, job, decided); err != nil {
		return err
	}
	job.State, job.Error = core.JobCompleted, ""
	job.NumFindings, job.NumAbsent = len(report.Findings), absent
	if report.Failure != "" {
		job.State, job.Error, job.NumAbsent = core.JobFailed, report.Failure, 0
	}
	now := s.clock()
	job.FinishedAt = &now
	_, err = tx.NamedExecContext(ctx, `
		UPDATE scan_jobs SET state = :state, error = :error, num_findings = :num_findings, num_absent = :num_absent,
			started_at = COALESCE(started_at, :finished_at), finished_at = :finished_at, lease_until = NULL
		WHERE id = :id`, job)
	if err != nil {
		return err
	}
	return s.settleScan(ctx, tx, scan.ID)
}

// chooseBaseline picks, once per scan, the completed scan that this one is compared with: on the default branch the scan
// of the commit that was pushed onto, else the branch's previous one; elsewhere the last one of the default branch.
func (s *Store) chooseBaseline(ctx context.Context, tx *sqlx.Tx, scan *core.Scan) error {
	if scan.BaselineScanID != nil {
		return nil
	}
	base := scan.DefaultBranch
	if base == "" {
		base = scan.Branch
	}
	before := ""
	if scan.Branch == base {
		before = scan.BeforeSHA
	}
	var id int64
	err := tx.GetContext(ctx, &id, tx.Rebind(`
		SELECT id FROM scans
		WHERE source_platform = ? AND project_name = ? AND commit_sha <> ? AND status = 'completed'
			AND (branch = ? AND id < ? OR commit_sha = ?)
		ORDER BY CASE WHEN commit_sha = ? THEN 0 ELSE 1 END, id DESC
		LIMIT 1`),
		scan.SourcePlatform, scan.ProjectName, scan.CommitSHA, base, scan.ID, before, before)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	scan.BaselineScanID = &id
	_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET baseline_scan_id = ? WHERE id = ?`), id, scan.ID)
	return err
}

// knownFingerprints is what the scanner found in the baseline; nil when it did not complete there.
func knownFingerprints(ctx context.Context, tx *sqlx.Tx, scan core.Scan, scanner string) (map[string]bool, error) {
	if scan.BaselineScanID == nil {
		return nil, nil
	}
	var job int64
	err := tx.GetContext(ctx, &job, tx.Rebind(`
		SELECT id FROM scan_jobs WHERE scan_id = ? AND scanner = ? AND state = 'completed'`), *scan.BaselineScanID, scanner)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return fingerprints(ctx, tx, `SELECT fingerprint FROM findings WHERE job_id = ?`, job)
}

func fingerprints(ctx context.Context, tx *sqlx.Tx, query string, args ...any) (map[string]bool, error) {
	var list []string
	if err := tx.SelectContext(ctx, &list, tx.Rebind(query), args...); err != nil {
		return nil, err
	}
	set := make(map[string]bool, len(list))
	for _, fingerprint := range list {
		set[fingerprint] = true
	}
	return set, nil
}

func replaceFindings(ctx context.Context, tx *sqlx.Tx, job core.Job, findings []core.Finding) error {
	for i := range findings {
		findings[i].ScanID, findings[i].JobID = job.ScanID, job.ID
	}
	findings, err := updateTriaged(ctx, tx, job, findings)
	if err != nil {
		return err
	}
	for len(findings) > 0 {
		n := min(len(findings), findingsPerInsert)
		_, err := tx.NamedExecContext(ctx, `
			INSERT INTO findings (scan_id, job_id, tool, rule_id, file, line, end_line, severity, title, message,
				cve_id, cwe, help_uri, snippet, fingerprint, baseline_state, suppressed, triage_decision)
			VALUES (:scan_id, :job_id, :tool, :rule_id, :file, :line, :end_line, :severity, :title, :message,
				:cve_id, :cwe, :help_uri, :snippet, :fingerprint, :baseline_state, :suppressed, :triage_decision)`,
			findings[:n])
		if err != nil {
			return err
		}
		findings = findings[n:]
	}
	return nil
}

// settleScan derives the scan's state, verdict and commit status from its jobs and findings.
func (s *Store) settleScan(ctx context.Context, tx *sqlx.Tx, id int64) error {
	scan, err := s.lockScan(ctx, tx, id)
	if err != nil {
		return err
	}
	var jobs []core.Job
	if err := tx.SelectContext(ctx, &jobs, tx.Rebind(`SELECT * FROM scan_jobs WHERE scan_id = ? ORDER BY id`), id); err != nil {
		return err
	}
	now := s.clock()
	scan.Status, scan.Error = core.ScanStatusOf(jobs)
	scan.Verdict, scan.Summary, scan.FinishedAt = nil, "", nil
	scan.VerdictReason = ""
	scan.PutDeciding(nil, 0)
	if len(jobs) == 0 && !scan.DeadlineAt.After(now) {
		scan.Status, scan.Error = core.ScanFailed, core.DeadlineError(scan.DeadlineAt.Sub(scan.Timestamp))
	}
	if scan.Status.Ended() {
		scan.FinishedAt = &now
		if err := s.judge(ctx, tx, &scan, jobs); err != nil {
			return err
		}
	}
	_, err = tx.NamedExecContext(ctx, `
		UPDATE scans SET status = :status, error = :error,
			started_at = COALESCE(started_at, :finished_at), finished_at = :finished_at
		WHERE id = :id`, scan)
	if err != nil {
		return err
	}
	if err := keepVerdict(ctx, tx, scan); err != nil {
		return err
	}
	return s.wantStatuses(ctx, tx, []core.Scan{scan})
}

// dismissed is true for a finding that counts as neither new nor known.
const dismissed = `(suppressed IS NOT NULL OR COALESCE(triage_decision, '') = 'FP')`

// judge asks the gate about an ended scan. A failed scan has a summary, for what it did find, but no verdict.
func (s *Store) judge(ctx context.Context, tx *sqlx.Tx, scan *core.Scan, jobs []core.Job) error {
	var tallies []core.Tally
	err := tx.SelectContext(ctx, &tallies, tx.Rebind(`
		SELECT severity, baseline_state, dismissed, SUM(alike) AS n,
			MAX(`+likelihood+`) AS max_epss, MAX(`+kevRank+`) AS kev
		FROM (SELECT severity, baseline_state, `+dismissed+` AS dismissed, cve_id, COUNT(*) AS alike
			FROM findings WHERE scan_id = ?
			GROUP BY 1, 2, 3, 4) counted
		LEFT JOIN epss_data e ON e.cve_id = counted.cve_id
		GROUP BY severity, baseline_state, dismissed`), scan.ID)
	if err != nil {
		return fmt.Errorf("counting findings: %w", err)
	}
	fixed := 0
	for _, job := range jobs {
		fixed += job.NumAbsent
	}
	scan.Summary = core.Summarize(tallies, fixed)
	if scan.Status == core.ScanCompleted {
		return s.decide(ctx, tx, scan, tallies)
	}
	return nil
}

// decide gives a completed scan its verdict, and its summary the reason where the numbers in it do not tell.
func (s *Store) decide(ctx context.Context, tx *sqlx.Tx, scan *core.Scan, tallies []core.Tally) error {
	gate := s.policyOf(*scan).Gate
	verdict := gate.Judge(tallies)
	scan.Verdict, scan.VerdictReason = &verdict, gate.DecidedBy(tallies)
	if err := listDeciding(ctx, tx, scan, gate); err != nil {
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
