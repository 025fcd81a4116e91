package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/store/sqldb"
)

// AdmitReport is nil when a repository takes the scanner's reports from outside. core.ErrNotFound when the repository is
// not configured; else the errors of core.Scanners.AdmitReport.
func (s *Store) AdmitReport(platform, project, scanner string) error {
	policy, known := s.policies.For(platform, project)
	if !known {
		return fmt.Errorf("%w: %s", core.ErrNotFound, notConfigured(platform, project))
	}
	return s.scanners.AdmitReport(policy, scanner)
}

// PutReport takes a scanner's report from outside and notes who brought it. The same scanner again replaces its findings.
// It returns the scan as it stands afterwards. core.ErrNotFound when there is no such scan, core.ErrConflict when the
// scanner runs here or ran here for this commit, core.ErrInvalid when the repository does not take its reports.
func (s *Store) PutReport(ctx context.Context, reference, scanner string, report core.Report) (core.Scan, error) {
	var scan core.Scan
	d := newReportBatch(report)
	err := s.writeIn(ctx, s.reporting, func(tx *sqlx.Tx) error {
		id, err := scanID(ctx, tx, reference)
		if err != nil {
			return err
		}
		if scan, err = s.lockForReport(ctx, tx, id); err != nil {
			return err
		}
		if err := s.AdmitReport(scan.SourcePlatform, scan.ProjectName, scanner); err != nil {
			return err
		}
		job, err := jobForReport(ctx, tx, scan, scanner)
		if err != nil {
			return err
		}
		if err := s.audit(ctx, tx, core.AuditOfReport(scan, job, report)); err != nil {
			return err
		}
		if err := s.putReport(ctx, tx, scan, job, d); err != nil {
			return err
		}
		return tx.GetContext(ctx, &scan, tx.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), id)
	})
	if err != nil {
		return core.Scan{}, fmt.Errorf("taking report of %s: %w", scanner, err)
	}
	return scan, nil
}

// jobForReport is the scanner's job as it was, or a new one. A job that a worker has, or ended, accepts no reports from
// outside, whatever the configuration has become.
func jobForReport(ctx context.Context, tx *sqlx.Tx, scan core.Scan, scanner string) (core.Job, error) {
	var job core.Job
	err := tx.GetContext(ctx, &job, tx.Rebind(`
		INSERT INTO scan_jobs (scan_id, scanner, worker) VALUES (?, ?, ?)
		ON CONFLICT (scan_id, scanner) DO UPDATE SET worker = excluded.worker
			WHERE scan_jobs.state IN ('pending', 'superseded') OR scan_jobs.worker IN ('', excluded.worker)
		RETURNING `+jobColumns), scan.ID, scanner, core.Uploader)
	if errors.Is(err, sql.ErrNoRows) {
		return job, fmt.Errorf("%w: %s ran here for this commit and takes no report for it from outside; "+
			"ask for a rescan, and bring the report for that", core.ErrConflict, scanner)
	}
	return job, err
}

// FinishJob ends a claimed job with its report, and with the last job the scan: findings, baseline, gate, verdict and
// commit status change in one transaction. A report with a Failure fails the job and keeps its findings. The same call
// again changes nothing, because the answer may have been lost. core.ErrConflict when the job was handed on.
func (s *Store) FinishJob(ctx context.Context, job core.Job, report core.Report) error {
	d := newReportBatch(report)
	err := s.write(ctx, func(tx *sqlx.Tx) error {
		scan, err := s.lockForReport(ctx, tx, job.ScanID)
		if err != nil {
			return err
		}
		closed, err := tx.NamedExecContext(ctx, `UPDATE scan_jobs SET lease_until = NULL WHERE `+ours, job)
		if err := sqldb.OneRow(closed, err, "the job was handed on"); err != nil {
			return unlessFinished(ctx, tx, job, report, err)
		}
		return s.putReport(ctx, tx, scan, job, d)
	})
	if err != nil {
		return fmt.Errorf("finishing job %d: %w", job.ID, err)
	}
	return nil
}

// unlessFinished is conflict, or nil where this very claim has ended the job with this report.
func unlessFinished(ctx context.Context, tx *sqlx.Tx, job core.Job, report core.Report, conflict error) error {
	job.State, job.Error = report.JobState()
	var finished int
	query, args, err := sqlx.Named(`SELECT COUNT(*) FROM scan_jobs
		WHERE id = :id AND worker = :worker AND attempt = :attempt AND state = :state AND error = :error`, job)
	if err == nil {
		err = tx.GetContext(ctx, &finished, tx.Rebind(query), args...)
	}
	if err == nil && finished == 0 {
		err = conflict
	}
	return err
}

// lockForReport locks a scan whose findings are about to change. The project comes first, as in triage. Of a run and
// the one that it is compared with, the later one sees the other.
func (s *Store) lockForReport(ctx context.Context, tx *sqlx.Tx, scan int64) (core.Scan, error) {
	err := s.db.ShareKey(ctx, tx, lockOfProject, ofScan, scan)
	if err == nil {
		err = s.db.LockKey(ctx, tx, lockOfProject+` || '@' || commit_sha`, ofScan, scan)
	}
	if err == nil {
		err = s.db.ShareKey(ctx, tx, lockOfProject+` || '@' || merge_base_sha`,
			ofScan+` AND merge_base_sha <> '' AND merge_base_sha <> commit_sha`, scan)
	}
	if err != nil {
		return core.Scan{}, err
	}
	return s.lockScan(ctx, tx, scan)
}

// putReport is the common way of both entry points: it loads what the report is compared with, replaces the findings of
// the job, ends it, and judges the scan.
func (s *Store) putReport(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job, d *reportBatch) error {
	past, err := loadPrevious(ctx, tx, scan, &job, d.Changes)
	if err != nil {
		return err
	}
	decided, err := decisionsIn(ctx, tx, scan)
	if err != nil {
		return err
	}
	d.compare(past, decided, s.policyOf(scan).Gate)
	job.Finish(d.Report, d.compared.Unchanged, d.compared.Absent, s.clock.Timestamp())
	d.job, d.ids = job, nil
	if err := s.replaceFindings(ctx, tx, d); err != nil {
		return err
	}
	if err := s.recordPropagated(ctx, tx, job, decided); err != nil {
		return err
	}
	if err := endJob(ctx, tx, job); err != nil {
		return err
	}
	if err := s.settleScan(ctx, tx, scan.ID, d.wholeTally()); err != nil || d.Failure != "" {
		return err
	}
	return s.compareAgain(ctx, tx, scan, job)
}

func endJob(ctx context.Context, tx *sqlx.Tx, job core.Job) error {
	_, err := tx.NamedExecContext(ctx, `
		UPDATE scan_jobs SET state = :state, error = :error, num_findings = :num_findings, num_unchanged = :num_unchanged,
			num_absent = :num_absent, started_at = COALESCE(started_at, :finished_at), finished_at = :finished_at,
			lease_until = NULL, baseline_scan_id = :baseline_scan_id
		WHERE id = :id`, job)
	return err
}

// reportBatch is a report while it becomes the findings of a job.
type reportBatch struct {
	core.Report
	examined match.Prepared
	job      core.Job
	compared *match.Comparison
	decided  map[string]core.TriageDecision // what holds in the project, by fingerprint
	ids      map[int]int64                  // of the findings that the job has already, by their number in the report
	tally    *core.ReportTally              // of the findings that were inserted
	scratch  core.Finding
}

// newReportBatch does what can be done before a transaction begins, and other transactions wait.
func newReportBatch(report core.Report) *reportBatch {
	return &reportBatch{Report: report, examined: match.Prepare(report)}
}

// compare matches the findings with those before, and takes over what was decided on them.
func (d *reportBatch) compare(past match.Previous, decided map[string]core.TriageDecision, gate core.Gate) {
	d.compared, d.decided, d.tally = d.examined.Compare(past), decided, &core.ReportTally{Gate: gate}
}

// finding is the i-th finding as it is to be stored, until the next one is asked for.
func (d *reportBatch) finding(i int) *core.Finding {
	f := d.At(i, &d.scratch)
	f.Tool = cmp.Or(f.Tool, d.job.Scanner)
	f.ID, f.ScanID, f.JobID = d.ids[i], d.job.ScanID, d.job.ID
	d.compared.Apply(i, f)
	core.PropagateTriage(f, d.decided)
	return f
}

// wholeTally returns the report's tally, or nil if stored findings or triage decisions also count.
func (d *reportBatch) wholeTally() *core.ReportTally {
	if len(d.decided) > 0 || len(d.ids) > 0 {
		return nil
	}
	return d.tally
}

// replaceFindings makes a job's findings those of its report. A finding that the job had before keeps its id, and with
// it its links and history. An equal report writes nothing.
func (s *Store) replaceFindings(ctx context.Context, tx *sqlx.Tx, d *reportBatch) error {
	if err := keepFindings(ctx, tx, d); err != nil {
		return err
	}
	var fresh []int
	for i := 0; len(d.ids) > 0 && i < d.Len(); i++ {
		if d.ids[i] == 0 {
			fresh = append(fresh, i)
		}
	}
	return s.db.Load(ctx, tx, sqldb.Bulk{
		Table: "findings", Columns: append([]string{"scan_id", "job_id", "fingerprint"}, reportedNames()...),
		Rows: d.Len() - len(d.ids),
		Row: func(i int, values []any) []any {
			if fresh != nil {
				i = fresh[i]
			}
			f := d.finding(i)
			d.tally.Add(f)
			values = append(values, f.ScanID, f.JobID, f.Fingerprint)
			for _, column := range reported {
				values = append(values, column.value(f))
			}
			return values
		},
	})
}

// reported are the columns that a report fills, of new findings and of those that it changes.
var reported = []struct {
	name  string
	value func(*core.Finding) any
}{
	{"tool", func(f *core.Finding) any { return f.Tool }},
	{"rule_id", func(f *core.Finding) any { return f.RuleID }},
	{"file", func(f *core.Finding) any { return f.File }},
	{"line", func(f *core.Finding) any { return f.Line }},
	{"end_line", func(f *core.Finding) any { return f.EndLine }},
	{"severity", func(f *core.Finding) any { return string(f.Severity) }},
	{"title", func(f *core.Finding) any { return f.Title }},
	{"message", func(f *core.Finding) any { return f.Message }},
	{"cve_id", func(f *core.Finding) any { return f.CVEID }},
	{"cwe", func(f *core.Finding) any { return f.CWE }},
	{"help_uri", func(f *core.Finding) any { return f.HelpURI }},
	{"snippet", func(f *core.Finding) any { return f.Snippet }},
	{"anchor", func(f *core.Finding) any { return f.Anchor }},
	{"baseline_state", func(f *core.Finding) any { return string(f.BaselineState) }},
	{"suppressed", func(f *core.Finding) any { return f.Suppressed }},
	{"triage_decision", func(f *core.Finding) any { return (*string)(f.TriageDecision) }},
}

func reportedNames() (names []string) {
	for _, column := range reported {
		names = append(names, column.name)
	}
	return names
}

// keepFindings updates what the job has already, records the ids and deletes what is no longer reported.
func keepFindings(ctx context.Context, tx *sqlx.Tx, d *reportBatch) error {
	gone, changed, err := compareFindings(ctx, tx, d)
	if err != nil {
		return err
	}
	for _, i := range changed {
		if err := updateFinding(ctx, tx, *d.finding(i)); err != nil {
			return err
		}
	}
	return deleteFindings(ctx, tx, gone)
}

// compareFindings records the ids of findings that the job has already, and returns the ids that are gone and the
// numbers of those that changed. It reads row by row, because there may be many.
func compareFindings(ctx context.Context, tx *sqlx.Tx, d *reportBatch) (gone []int64, changed []int, err error) {
	rows, err := tx.QueryxContext(ctx, tx.Rebind(`SELECT `+findingColumns+` FROM findings WHERE job_id = ?`), d.job.ID)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	var index map[string]int
	for rows.Next() {
		if index == nil {
			index, d.ids = d.index(), make(map[int]int64)
		}
		var before core.Finding
		if err := rows.StructScan(&before); err != nil {
			return nil, nil, err
		}
		i, ok := index[before.Fingerprint]
		if !ok {
			gone = append(gone, before.ID)
			continue
		}
		delete(index, before.Fingerprint)
		d.ids[i] = before.ID
		if !reportedAlike(before, *d.finding(i)) {
			changed = append(changed, i)
		}
	}
	return gone, changed, rows.Err()
}

// index finds the numbers of findings by their fingerprints.
func (d *reportBatch) index() map[string]int {
	index := make(map[string]int, d.Len())
	for i := range d.Len() {
		index[d.finding(i).Fingerprint] = i
	}
	return index
}

// reportedAlike tells whether a report states the same of a finding as before, whatever its triage is.
func reportedAlike(before, f core.Finding) bool {
	f.AIVerdict, f.AIConfidence, f.AIReasoning = before.AIVerdict, before.AIConfidence, before.AIReasoning
	f.RemediationPatch, f.RedTeamSuccess, f.PartialFingerprint = before.RemediationPatch, before.RedTeamSuccess, ""
	f.Surroundings, f.Code, f.CodeLine = before.Surroundings, before.Code, before.CodeLine
	return reflect.DeepEqual(before, f)
}

func updateFinding(ctx context.Context, tx *sqlx.Tx, f core.Finding) error {
	set := `code = CASE WHEN findings.file = :file AND findings.line = :line THEN code ELSE '' END`
	for _, column := range reported {
		set += `, ` + column.name + ` = :` + column.name
	}
	_, err := tx.NamedExecContext(ctx, `UPDATE findings SET `+set+` WHERE id = :id`, f)
	return err
}

func deleteFindings(ctx context.Context, tx *sqlx.Tx, ids []int64) error {
	for len(ids) > 0 {
		n := min(len(ids), sqldb.RowsPerStatement)
		if _, err := sqldb.ExecIn(ctx, tx, `DELETE FROM findings WHERE id IN (?)`, ids[:n]); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// recordPropagated adds to the history of a job's new findings what was decided about them in other scans.
func (s *Store) recordPropagated(ctx context.Context, tx *sqlx.Tx, job core.Job, decided map[string]core.TriageDecision) error {
	if len(decided) == 0 {
		return nil
	}
	var findings []core.Finding
	err := tx.SelectContext(ctx, &findings, tx.Rebind(`
		SELECT id, fingerprint FROM findings
		WHERE job_id = ? AND triage_decision IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM triage_events e WHERE e.finding_id = findings.id)`), job.ID)
	if err != nil {
		return err
	}
	events := make([]core.TriageEvent, len(findings))
	for i, f := range findings {
		decision := decided[f.Fingerprint]
		events[i] = core.TriageEvent{
			FindingID: decision.FindingID, Origin: decision.Source, Author: decision.Author, Decision: &decision.Decision,
			Comment: decision.Comment, Timestamp: s.clock.Timestamp(),
		}.PropagatedTo(f.ID)
	}
	return recordEvents(ctx, tx, events)
}
