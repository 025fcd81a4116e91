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
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/store/decisions"
	"github.com/scanhook/scanhook/store/particulars"
	"github.com/scanhook/scanhook/store/sqldb"
)

// AdmitReport is nil when a repository takes the scanner's reports from outside. core.ErrNotFound when the repository is
// not configured; else the errors of core.Scanners.AdmitReport.
func (s *Store) AdmitReport(platform, project, scanner string) error {
	policy, known := s.policies.For(platform, project)
	if !known {
		return fmt.Errorf("%w: %s", core.ErrNotFound, intake.NotConfigured(platform, project))
	}
	return s.scanners.AdmitReport(policy, scanner)
}

// PutReport takes the reports of a scanner from outside, one for each category, and notes who brought them. The same scanner and
// category again replaces its findings. It returns the scan as it stands afterwards. core.ErrNotFound when there is no such scan,
// core.ErrConflict when the scanner runs here or ran here for this commit, core.ErrInvalid when the repository does not take its reports.
func (s *Store) PutReport(ctx context.Context, reference, scanner string, reports ...core.Report) (core.Scan, error) {
	var scan core.Scan
	batches := make([]*reportBatch, len(reports))
	for i, report := range reports {
		batches[i] = newReportBatch(report)
	}
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
		jobs, err := s.jobsForReports(ctx, tx, scan, scanner, reports)
		if err != nil {
			return err
		}
		scan, err = s.putReports(ctx, tx, scan, jobs, batches) // when all jobs are there, so that the scan ends with the last one
		return err
	})
	if err != nil {
		return core.Scan{}, fmt.Errorf("taking report of %s: %w", scanner, err)
	}
	return scan, nil
}

// putReports takes the reports of jobs, and returns the scan as it is with them.
func (s *Store) putReports(ctx context.Context, tx *sqlx.Tx, scan core.Scan, jobs []core.Job, batches []*reportBatch) (after core.Scan, err error) {
	for i, d := range batches {
		if d.past, err = s.admitRevision(ctx, tx, scan, jobs[i], d.Report); err != nil {
			return after, err
		}
		if d.past.settled {
			continue
		}
		if d.past.red, err = s.wasRed(ctx, tx, scan, jobs[i]); err != nil {
			return after, err
		}
		if err := s.putReport(ctx, tx, scan, jobs[i], d); err != nil {
			return after, err
		}
	}
	err = tx.GetContext(ctx, &after, tx.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), scan.ID)
	for i, d := range batches {
		if err == nil && !d.past.settled {
			err = s.recordRevision(ctx, tx, scan, after, jobs[i], recorded{d.Report, d.past.number, d.job.Turned})
		}
	}
	return after, err
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

// putReport is the common way of both entry points: it loads what the report is compared with, replaces the findings of
// the job, ends it, and judges the scan.
func (s *Store) putReport(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job, d *reportBatch) error {
	late, err := lateRuns(ctx, tx, scan, job.Scanner)
	if err != nil {
		return fmt.Errorf("finding runs that had to do without this one: %w", err)
	}
	if d.later, err = late.findings(ctx, tx); err != nil {
		return fmt.Errorf("reading what came later: %w", err)
	}
	gate, onMain, err := s.gateOf(ctx, tx, scan)
	if err != nil {
		return err
	}
	past, err := s.compareReport(ctx, tx, scan, &job, d, gate)
	if err != nil {
		return err
	}
	d.tally.Default = onMain
	job.Finish(d.Report, d.unchanged(), past.absent(d.compared.Absent), s.clock.Timestamp())
	job.NumFindings = d.Len()
	d.job, d.ids, d.hashed = job, nil, nil
	if err := s.replaceFindings(ctx, tx, scan, d); err != nil {
		return err
	}
	if job.Turned, err = d.turns(ctx, tx, job, gate, onMain); err != nil {
		return err
	}
	d.job = job
	if err := endJob(ctx, tx, job); err != nil {
		return err
	}
	if err := s.settleScan(ctx, tx, scan.ID, d.wholeTally()); err != nil || d.Failure != "" {
		return err
	}
	return s.compareAgain(ctx, tx, scan, d, late)
}

// compareAgain compares runs with the one that they had to do without, which has just been completed, and judges their scans again.
// d is its report.
func (s *Store) compareAgain(ctx context.Context, tx *sqlx.Tx, scan core.Scan, d *reportBatch, late lateList) error {
	if len(late) == 0 {
		return nil
	}
	brought := d.later.Alerts()
	taken := slices.DeleteFunc(slices.Clone(d.alerts), func(alert int64) bool {
		_, later := slices.BinarySearch(brought, alert)
		return !later
	})
	if err := seeFirst(ctx, tx, scan, d.author(scan), taken); err != nil {
		return err
	}
	return s.compareRuns(ctx, tx, late, map[int64]core.Scan{scan.ID: scan})
}

// compareRuns chooses the baselines of runs once more, makes their comparisons again, and judges their scans and those that follow from
// them, and further ones.
func (s *Store) compareRuns(ctx context.Context, tx *sqlx.Tx, runs lateList, touched map[int64]core.Scan) error {
	lost := make([][]int64, len(runs))
	for i, run := range runs {
		m, err := s.compareLate(ctx, tx, run)
		if err == nil {
			lost[i] = m.lost
			err = s.follow(ctx, tx, m, touched)
		}
		if err != nil {
			return fmt.Errorf("comparing a scan again: %w", err)
		}
	}
	ids := slices.Sorted(maps.Keys(touched))
	for _, id := range ids {
		if err := s.showHeads(ctx, tx, touched[id]); err != nil {
			return fmt.Errorf("showing open alerts: %w", err)
		}
	}
	for i, run := range runs {
		if err := s.closeUnseenOf(ctx, tx, run.Scan, lost[i]); err != nil {
			return fmt.Errorf("closing alerts: %w", err)
		}
	}
	return s.judgeCompared(ctx, tx, ids)
}

// compareUploads compares reports from elsewhere once more, with what their commit is compared with now.
func (s *Store) compareUploads(ctx context.Context, tx *sqlx.Tx, scan core.Scan) error {
	jobs, err := jobsOf(ctx, tx, scan)
	if err != nil {
		return err
	}
	var runs lateList
	for _, job := range jobs {
		if job.Worker == core.Uploader && job.State == core.JobCompleted {
			runs = append(runs, lateRun{job, scan})
		}
	}
	if len(runs) == 0 {
		return nil
	}
	return s.compareRuns(ctx, tx, runs, map[int64]core.Scan{})
}

// label is what a finding is through commits.
type label struct {
	alert int64
	print string
}

// renaming tells which labels findings have instead of others.
type renaming map[label]label

// closed is the renaming for runs that may also have a label that another one became: it becomes the one that is free now, so that no
// two findings have one label.
func (r renaming) closed() renaming {
	was := make(renaming, len(r))
	for before, now := range r {
		was[now] = before
	}
	all := maps.Clone(r)
	for _, now := range r {
		if _, moves := r[now]; moves {
			continue
		}
		free := now
		for before, came := was[free]; came; before, came = was[free] {
			free = before
		}
		all[now] = free
	}
	return all
}

// standing is what a comparison tells of a stored finding.
type standing struct {
	ID             int64              `db:"id"`
	AlertID        int64              `db:"alert_id"`
	Fingerprint    string             `db:"fingerprint"`
	BaselineState  core.BaselineState `db:"baseline_state"`
	MatchedBy      string             `db:"matched_by"`
	Unresolved     bool               `db:"unresolved"`
	TriageDecision string             `db:"triage_decision"` // empty for none
}

func standingOf(f *core.Finding) standing {
	told := standing{f.ID, f.AlertID, f.Fingerprint, f.BaselineState, f.MatchedBy, f.Unresolved, ""}
	if f.TriageDecision != nil {
		told.TriageDecision = string(*f.TriageDecision)
	}
	return told
}

func (t standing) label() label { return label{t.AlertID, t.Fingerprint} }

const standingColumns = "id BIGINT, alert_id BIGINT, fingerprint TEXT, baseline_state TEXT, matched_by TEXT, unresolved BOOLEAN, triage_decision TEXT"

// rematch is a run that is compared again, with all that is stored of it.
type rematch struct {
	*reportBatch
	run     lateRun
	past    previous
	before  map[int]standing       // of the findings that it has, by their number
	left    map[int64]core.Finding // that it has of its former baseline because they were not searched, by their alerts
	renamed renaming
	lost    []int64 // alerts that no finding of the run has any more
	differs bool    // the comparison tells something else than the one before
}

// compareLate makes the comparison of a run again.
func (s *Store) compareLate(ctx context.Context, tx *sqlx.Tx, run lateRun) (*rematch, error) {
	m, err := loadRematch(ctx, tx, run)
	if err != nil {
		return nil, err
	}
	gate, _, err := s.gateOf(ctx, tx, run.Scan)
	if err != nil {
		return nil, err
	}
	m.job.BaselineScanID = nil
	if m.past, err = s.compareReport(ctx, tx, run.Scan, &m.job, m.reportBatch, gate); err != nil {
		return nil, err
	}
	if err := s.carryDecisions(ctx, tx, m); err != nil {
		return nil, fmt.Errorf("carrying decisions: %w", err)
	}
	if _, err := s.giveAlerts(ctx, tx, run.Scan, m.reportBatch); err != nil {
		return nil, err
	}
	return m, s.saveRematch(ctx, tx, m)
}

// loadRematch loads a run as a report, without what it has of its former baseline only.
func loadRematch(ctx context.Context, tx *sqlx.Tx, run lateRun) (*rematch, error) {
	var rows []core.Finding
	err := tx.SelectContext(ctx, &rows, tx.Rebind(`SELECT `+findingColumns+` FROM findings WHERE job_id = ? ORDER BY id`), run.ID)
	if err != nil {
		return nil, err
	}
	m := &rematch{run: run, before: make(map[int]standing), left: make(map[int64]core.Finding), renamed: make(renaming)}
	report, ids := core.Report{Coverage: run.Coverage()}, make(map[int]int64)
	unsearched, outside := report.Coverage.Unsearched(), report.Outside()
	for _, f := range rows {
		in := func(files func(string) bool) bool { return files != nil && files(f.File) }
		if f.MatchedBy == string(match.ByKeeping) && !f.IsPast() && (in(unsearched) || in(outside)) {
			m.left[f.AlertID] = f
			continue
		}
		n := len(report.Findings)
		m.before[n], ids[n] = standingOf(&f), f.ID
		f.TriageDecision = nil // what holds is told by the alert
		report.Findings = append(report.Findings, f)
	}
	m.reportBatch = &reportBatch{Report: report, examined: match.PrepareAgain(report.Findings), job: run.Job, ids: ids}
	return m, nil
}

// carryDecisions lets what was decided on an alert hold for the one that its finding turns out to be, also in the run that has that,
// unless something was decided on that too.
func (s *Store) carryDecisions(ctx context.Context, tx *sqlx.Tx, m *rematch) error {
	given, found := sqldb.Given{Name: "moved", Columns: "was BIGINT, alert_id BIGINT"}, make(renaming)
	for i, was := range m.before {
		if is := m.alerts[i]; was.BaselineState == core.New && is != 0 && is != was.AlertID && was.TriageDecision != "" {
			given.Rows = append(given.Rows, []any{was.AlertID, is})
			now := standingOf(m.finding(i)).label()
			found[now] = now
		}
	}
	if len(given.Rows) == 0 {
		return nil
	}
	columns := strings.Join(slices.DeleteFunc(strings.Split(decisions.Columns, ", "), func(column string) bool {
		return column == "id" || column == "alert_id"
	}), ", ")
	_, err := s.db.ExecGiven(ctx, tx, given, `
		INSERT INTO alert_decisions (alert_id, `+columns+`)
		SELECT w.alert_id, `+sqldb.Qualify("d", columns)+` FROM moved w JOIN alert_decisions d ON d.alert_id = w.was
		WHERE NOT EXISTS (SELECT 1 FROM alert_decisions own WHERE own.alert_id = w.alert_id AND own.source = d.source)
		ORDER BY d.id`)
	if err == nil {
		m.decided, err = decisions.In(ctx, tx, m.run.ProjectID, s.policyOf(m.run.Scan).Approval)
	}
	if err == nil {
		err = s.rename(ctx, tx, m, lateRun{Job: core.Job{ID: m.past.base.JobID, ScanID: m.past.base.ScanID}}, found)
	}
	return err
}

// saveRematch writes what the comparison changes about a run.
func (s *Store) saveRematch(ctx context.Context, tx *sqlx.Tx, m *rematch) error {
	if err := s.putKept(ctx, tx, m); err != nil {
		return fmt.Errorf("keeping findings that were not searched: %w", err)
	}
	if err := s.putStandings(ctx, tx, m); err != nil {
		return err
	}
	known, inTree, err := keepHistory(ctx, tx, m)
	if err != nil {
		return fmt.Errorf("keeping findings in history: %w", err)
	}
	m.differs = m.differs || known > 0
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scan_jobs SET baseline_scan_id = ?, num_findings = ?, num_unchanged = ?, num_absent = ? WHERE id = ?`),
		m.job.BaselineScanID, m.Len()+known, m.unchanged()+known, m.past.absent(m.compared.Absent)-inTree, m.job.ID)
	return err
}

// putKept lets a run have the findings of its baseline that were not searched in it, instead of those of its former one.
func (s *Store) putKept(ctx context.Context, tx *sqlx.Tx, m *rematch) error {
	var came []int64
	for n, f := range m.kept {
		i := m.Report.Len() + n
		if had, known := m.left[f.AlertID]; known {
			m.before[i], m.ids[i] = standingOf(&had), had.ID
			delete(m.left, f.AlertID)
		} else {
			came = append(came, f.ID)
		}
	}
	gone := slices.Collect(maps.Values(m.left))
	m.differs = len(came)+len(gone) > 0
	if err := deleteFindings(ctx, tx, gone); err != nil {
		return err
	}
	for chunk := range slices.Chunk(came, sqldb.RowsPerStatement) {
		if err := particulars.Copy(ctx, tx, m.job.ID, chunk); err != nil {
			return err
		}
	}
	return s.insertFindings(ctx, tx, m.reportBatch)
}

// putStandings updates the findings of a run of which the comparison tells something else than the one before.
func (s *Store) putStandings(ctx context.Context, tx *sqlx.Tx, m *rematch) error {
	var changed []standing
	has := make(map[int64]bool, len(m.alerts))
	for i, was := range m.before {
		is := standingOf(m.finding(i))
		if has[is.AlertID] = true; is != was {
			changed = append(changed, is)
		}
		if is.label() != was.label() {
			m.renamed[was.label()] = is.label()
		}
	}
	for was := range m.renamed {
		if !has[was.alert] {
			m.lost = append(m.lost, was.alert)
		}
	}
	if slices.Sort(m.lost); len(changed) == 0 {
		return nil
	}
	m.differs = true
	_, err := s.db.ExecGiven(ctx, tx, sqldb.GivenOf("told", standingColumns, changed), `
		UPDATE findings SET alert_id = w.alert_id, fingerprint = w.fingerprint, baseline_state = w.baseline_state,
			matched_by = w.matched_by, unresolved = w.unresolved, triage_decision = NULLIF(w.triage_decision, '')
		FROM told w WHERE findings.id = w.id`)
	if err != nil {
		return err
	}
	return particulars.Rename(ctx, s.db, tx, m.job.ID, m.renamed.prints())
}

func (r renaming) prints() map[string]string {
	prints := make(map[string]string, len(r))
	for was, is := range r {
		if was.print != is.print {
			prints[was.print] = is.print
		}
	}
	return prints
}

// keepHistory lets a run of a scanner that searches commits have the findings of its base that it does not have any more: they are in
// history. It returns how many they are, and how many of them are in the tree of the base.
func keepHistory(ctx context.Context, tx *sqlx.Tx, m *rematch) (known, inTree int, err error) {
	if m.Coverage == nil || !m.Coverage.Commits || !m.past.found {
		return 0, 0, nil
	}
	var gone []core.Finding
	err = tx.SelectContext(ctx, &gone, tx.Rebind(`
		SELECT id, rule_id, snippet, commit_sha FROM findings WHERE job_id = ? AND alert_id NOT IN (
			SELECT alert_id FROM findings WHERE job_id = ?)`), m.past.base.JobID, m.job.ID)
	if err != nil || len(gone) == 0 {
		return 0, 0, err
	}
	elsewhere, err := codeOf(ctx, tx, m.job.ID, true)
	if err != nil {
		return 0, 0, err
	}
	var ids []int64
	for _, f := range gone {
		if elsewhere[codeKey{f.RuleID, f.Snippet}] {
			continue
		}
		if ids = append(ids, f.ID); !f.IsPast() {
			inTree++
		}
	}
	return len(ids), inTree, copyToHistory(ctx, tx, m.job, ids, m.past.base.CommitSHA)
}

// follow lets the runs that were compared with a run, and those that were compared with these, have the labels that its findings have
// now, and on the default branch what is unresolved after it. It notes their scans.
func (s *Store) follow(ctx context.Context, tx *sqlx.Tx, m *rematch, touched map[int64]core.Scan) error {
	touched[m.run.ScanID] = m.run.Scan
	if !m.differs {
		return nil
	}
	renamed := m.renamed.closed()
	bases, seen := lateList{m.run}, map[int64]bool{m.run.ID: true} // requests both ways make runs each other's baseline
	for ; len(bases) > 0 && len(seen) <= maxLate; bases = bases[1:] {
		after, err := comparedTo(ctx, tx, bases[0])
		if err != nil {
			return err
		}
		after = slices.DeleteFunc(after, func(run lateRun) bool { return seen[run.ID] })
		for _, run := range after {
			seen[run.ID] = true
			if err := s.rename(ctx, tx, m, run, renamed); err != nil {
				return err
			}
			if err := s.markUnresolved(ctx, tx, run.ID, run.Scan, bases[0].complete()); err != nil {
				return err
			}
			touched[run.ScanID] = run.Scan
		}
		bases = append(bases, after...)
	}
	return nil
}

// comparedTo are the runs that were compared with a run.
func comparedTo(ctx context.Context, tx *sqlx.Tx, base lateRun) (lateList, error) {
	var jobs []core.Job
	err := tx.SelectContext(ctx, &jobs, tx.Rebind(`
		SELECT `+jobColumns+` FROM scan_jobs WHERE baseline_scan_id = ? AND scanner = ? AND state = 'completed' ORDER BY scan_id LIMIT ?`),
		base.ScanID, base.Scanner, maxLate)
	if err != nil {
		return nil, err
	}
	return withScans(ctx, tx, jobs)
}

// rename gives the findings of a run other labels. m is the run from which these come.
func (s *Store) rename(ctx context.Context, tx *sqlx.Tx, m *rematch, run lateRun, labels renaming) error {
	if len(labels) == 0 {
		return nil
	}
	worst, err := worstOf(ctx, tx, run, labels)
	if err != nil {
		return err
	}
	given := sqldb.Given{Name: "moved", Columns: "was BIGINT, alert_id BIGINT, fingerprint TEXT, triage_decision TEXT"}
	for was, is := range labels {
		like := worst[was.alert]
		like.AlertID = is.alert
		m.decided.Propagate(&like)
		given.Rows = append(given.Rows, []any{was.alert, is.alert, is.print, standingOf(&like).TriageDecision})
	}
	n, err := s.db.ExecGiven(ctx, tx, given, `
		UPDATE findings SET alert_id = w.alert_id, fingerprint = w.fingerprint, triage_decision = NULLIF(w.triage_decision, '')
		FROM moved w WHERE findings.alert_id = w.was AND findings.scan_id = ? AND findings.job_id + 0 = ?`, run.ScanID, run.ID)
	if err != nil || n == 0 {
		return err
	}
	return particulars.Rename(ctx, s.db, tx, run.ID, labels.prints())
}

// worstOf are, by alert, how severe the findings of a run are at most that get other labels, and whether one is known to be exploited. Who
// may dismiss them depends on it.
func worstOf(ctx context.Context, tx *sqlx.Tx, run lateRun, labels renaming) (map[int64]core.Finding, error) {
	var moved []int64
	for was := range labels {
		moved = append(moved, was.alert)
	}
	worst := make(map[int64]core.Finding, len(moved))
	for chunk := range slices.Chunk(moved, sqldb.RowsPerStatement) {
		var list []core.Finding
		err := sqldb.SelectIn(ctx, tx, &list, `
			SELECT findings.alert_id, findings.severity, COALESCE(e.kev, FALSE) AS kev
			FROM findings LEFT JOIN epss_data e ON e.cve_id = findings.cve_id
			WHERE findings.scan_id = ? AND findings.job_id + 0 = ? AND findings.alert_id IN (?)`, run.ScanID, run.ID, chunk)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			like := worst[f.AlertID]
			if like.KEV = like.KEV || f.KEV; f.Severity.Rank() >= like.Severity.Rank() {
				like.Severity = f.Severity
			}
			worst[f.AlertID] = like
		}
	}
	return worst, nil
}

// showHeads makes the open alerts of the heads that stand at the commit of a completed scan those that the scan has now.
func (s *Store) showHeads(ctx context.Context, tx *sqlx.Tx, scan core.Scan) error {
	if scan.Status != core.ScanCompleted {
		return nil
	}
	refs, err := s.headsAt(ctx, tx, scan)
	for _, ref := range refs {
		if err == nil {
			err = s.showOpenAt(ctx, tx, scan, ref)
		}
	}
	return err
}
