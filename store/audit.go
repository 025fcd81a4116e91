package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/store/sqldb"
)

var auditColumns = sqldb.ColumnsOf[core.AuditEvent]()

// audit notes who changed what, in the transaction that changes it.
func (s *Store) audit(ctx context.Context, tx *sqlx.Tx, event core.AuditEvent) error {
	event = event.Bounded()
	event.Timestamp = s.clock.Timestamp()
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO audit_events (timestamp, actor, action, project_id, source_platform, project_name, reference_id, subject, detail)
		VALUES (:timestamp, :actor, :action, :project_id, :source_platform, :project_name, :reference_id, :subject, :detail)`, event)
	return err
}

// auditReport notes who brought a report, which one it replaces, and whether that turned the verdict: before is its job as it was.
func (s *Store) auditReport(ctx context.Context, tx *sqlx.Tx, scan core.Scan, before core.Job, report core.Report, turned bool) error {
	event := core.AuditOfReport(scan, before, report)
	if before.FinishedAt != nil {
		var by []string
		err := tx.SelectContext(ctx, &by, tx.Rebind(`
			SELECT actor FROM audit_events WHERE reference_id = ? AND subject = ? ORDER BY id DESC LIMIT 1`),
			scan.ReferenceID, event.Bounded().Subject)
		if err != nil {
			return err
		}
		event = core.AuditOfReplacement(event, before, strings.Join(by, ""))
	}
	if turned {
		event.Action, event.Detail = core.AuditReportReplaced, event.Detail+core.TurnedVerdict
	}
	return s.audit(ctx, tx, event)
}

// pastReports is what is known of a job before another report of it.
type pastReports struct {
	number  int  // of the newest revision; 0 for none
	settled bool // the report has been taken already
	red     bool // an earlier one failed the gate, and none since has passed it; put by the caller of admitRevision
}

const (
	maxPastFindings = 1000 // of a report that was replaced, the most severe ones
	maxPastReports  = 20   // of a job, the newest, of which the findings are kept
)

var (
	revisionColumns = sqldb.ColumnsOf[core.Revision]()
	pastColumns     = sqldb.ColumnsOf[PastFinding]()
)

// newestRevision is the newest report of a job, or the newest in which the scanner did not fail; nil where there is none.
func newestRevision(ctx context.Context, tx *sqlx.Tx, job core.Job, completed bool) (*core.Revision, error) {
	holds := ``
	if completed {
		holds = ` AND failure = ''`
	}
	var list []core.Revision
	err := tx.SelectContext(ctx, &list, tx.Rebind(`
		SELECT `+revisionColumns+` FROM reports WHERE scan_id = ? AND scanner = ?`+holds+` ORDER BY revision DESC LIMIT 1`), job.ScanID, job.Scanner)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// admitRevision refuses a report that must not take the place of earlier ones, keeps what it replaces, and tells what came before.
func (s *Store) admitRevision(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job, report core.Report) (past pastReports, err error) {
	newest, err := newestRevision(ctx, tx, job, false)
	if err != nil {
		return past, err
	}
	last := newest
	switch {
	case newest == nil && job.State == core.JobCompleted && job.FinishedAt != nil: // by a version that kept no revisions
		last = &core.Revision{Scanner: job.Scanner, ReceivedAt: *job.FinishedAt, By: "an unknown caller"}
	case newest != nil && newest.Failure != "":
		if last, err = newestRevision(ctx, tx, job, true); err != nil {
			return past, err
		}
	}
	if past.settled, err = s.policyOf(scan).AdmitRevision(newest, last, report); err != nil || past.settled {
		return past, err
	}
	if newest == nil {
		return past, nil
	}
	past.number = newest.Number
	if err := keepPast(ctx, tx, job, newest.Number); err != nil {
		return past, fmt.Errorf("keeping what is replaced: %w", err)
	}
	return past, nil
}

// keepPast keeps the findings of a job as those of its newest report, which is about to be replaced. Those of very old ones go.
func keepPast(ctx context.Context, tx *sqlx.Tx, job core.Job, revision int) error {
	findings, err := findingsOfJob(ctx, tx, job.ID)
	if err != nil {
		return err
	}
	packed, err := packFindings(findings)
	if err != nil {
		return err
	}
	const ofJob = `scan_id = ? AND scanner = ?`
	_, err = sqldb.Exec(ctx, tx, `UPDATE reports SET findings = ? WHERE `+ofJob+` AND revision = ?`, packed, job.ScanID, job.Scanner, revision)
	if err == nil {
		_, err = sqldb.Exec(ctx, tx, `UPDATE reports SET findings = NULL WHERE `+ofJob+` AND revision <= ? AND findings IS NOT NULL`,
			job.ScanID, job.Scanner, revision-maxPastReports)
	}
	return err
}

// PastFinding is what is kept of a finding when its report is replaced.
type PastFinding struct {
	Tool       string        `db:"tool" json:"tool"`
	RuleID     string        `db:"rule_id" json:"rule_id"`
	Severity   core.Severity `db:"severity" json:"severity"`
	File       string        `db:"file" json:"file"`
	Line       int           `db:"line" json:"line"`
	Title      string        `db:"title" json:"title"`
	Message    string        `db:"message" json:"message"`
	CVEID      string        `db:"cve_id" json:"cve_id,omitempty"`
	Suppressed *string       `db:"suppressed" json:"suppressed,omitempty"` // why its scanner suppressed it; nil where it did not
}

// findingsOfJob are the most severe findings of a job.
func findingsOfJob(ctx context.Context, q sqlx.ExtContext, job int64) (list []PastFinding, err error) {
	err = sqlx.SelectContext(ctx, q, &list, q.Rebind(`
		SELECT `+pastColumns+` FROM findings WHERE job_id = ?
		ORDER BY `+severityRank+` DESC, id LIMIT ?`), job, maxPastFindings)
	return list, err
}

func packFindings(findings []PastFinding) ([]byte, error) {
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	err := json.NewEncoder(zipped).Encode(findings)
	if err == nil {
		err = zipped.Close()
	}
	return packed.Bytes(), err
}

func unpackFindings(packed []byte) (findings []PastFinding, err error) {
	zipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err == nil {
		err = json.NewDecoder(zipped).Decode(&findings)
	}
	return findings, err
}

// recorded is a report that was taken.
type recorded struct {
	core.Report
	after  int  // the number of the revision before; 0 for none
	turned bool // as of its job
}

// recordRevision keeps a report that was taken, and audits it. before is its job as it was; scan and after are the scan before and with it.
func (s *Store) recordRevision(ctx context.Context, tx *sqlx.Tx, scan, after core.Scan, before core.Job, of recorded) error {
	revision := core.RevisionOf(before, of.Report, of.after, s.clock.Timestamp())
	revision.Turned = of.turned && of.Failure == ""
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO reports (scan_id, scanner, revision, brought_by, bringer, received_at, digest, failure,
			num_findings, num_critical, num_high, num_medium, num_low, turned)
		VALUES (:scan_id, :scanner, :revision, :brought_by, :bringer, :received_at, :digest, :failure,
			:num_findings, :num_critical, :num_high, :num_medium, :num_low, :turned)`, revision)
	if err != nil {
		return fmt.Errorf("keeping the revision: %w", err)
	}
	return s.auditReport(ctx, tx, scan, before, of.Report, revision.Turned && after.Verdict != nil && *after.Verdict == core.Pass)
}

// ListRevisions returns the reports that were brought for a scan, the newest first.
func (s *Store) ListRevisions(ctx context.Context, scan core.Scan, limit int) ([]core.Revision, error) {
	list := []core.Revision{}
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+revisionColumns+` FROM reports WHERE scan_id = ? ORDER BY id DESC LIMIT ?`), scan.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("listing reports: %w", sqldb.Classify(err))
	}
	return list, nil
}

// PastReport is a report with its findings.
type PastReport struct {
	core.Revision
	Current  bool          // it is the one that counts
	Kept     bool          // its findings are known still
	Findings []PastFinding // the most severe ones, at most 1,000
}

// GetRevision returns a report of a scan by its number; core.ErrNotFound where the scan has none of that number.
func (s *Store) GetRevision(ctx context.Context, scan core.Scan, id int64) (PastReport, error) {
	var found struct {
		PastReport
		Packed []byte `db:"findings"`
		Job    int64  `db:"job_id"`
		Newest bool   `db:"newest"`
	}
	err := s.db.GetContext(ctx, &found, s.db.Rebind(`
		SELECT `+sqldb.Qualify("r", revisionColumns)+`, r.findings, COALESCE(j.id, 0) AS job_id,
			NOT EXISTS (SELECT 1 FROM reports o WHERE o.scan_id = r.scan_id AND o.scanner = r.scanner AND o.revision > r.revision) AS newest
		FROM reports r LEFT JOIN scan_jobs j ON j.scan_id = r.scan_id AND j.scanner = r.scanner WHERE r.id = ? AND r.scan_id = ?`), id, scan.ID)
	report := found.PastReport
	switch report.Current = found.Newest && found.Job != 0; {
	case err != nil:
	case report.Current:
		report.Kept = true
		report.Findings, err = findingsOfJob(ctx, s.db, found.Job)
	case found.Packed != nil:
		report.Kept = true
		report.Findings, err = unpackFindings(found.Packed)
	}
	if err != nil {
		return PastReport{}, fmt.Errorf("getting report %d: %w", id, sqldb.Classify(err))
	}
	return report, nil
}

// RecordAudit keeps an event that changes no other row.
func (s *Store) RecordAudit(ctx context.Context, event core.AuditEvent) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error { return s.audit(ctx, tx, event) })
	if err != nil {
		return fmt.Errorf("recording audit event: %w", err)
	}
	return nil
}

// EndSessions ends all sessions of a subject, and those of which nobody knows whose they are. The audit has who ended them.
func (s *Store) EndSessions(ctx context.Context, subject, by string) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock.Timestamp()
		var open []string
		err := tx.SelectContext(ctx, &open, tx.Rebind(`SELECT name FROM sessions WHERE subject = ? AND expires_at > ?`), subject, now)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM sessions WHERE subject IN (?, '')`), subject); err != nil {
			return err
		}
		of := subject
		if len(open) > 0 {
			of = open[0]
		}
		return s.audit(ctx, tx, core.AuditEvent{
			Actor: by, Action: core.AuditSessionsEnded, Subject: "of " + of, Detail: core.Plural(len(open), "session"),
		})
	})
	if err != nil {
		return fmt.Errorf("ending sessions: %w", err)
	}
	return nil
}

// PutConfiguration keeps the settings that Scanhook runs with, by key, and returns the keys that changed since the last
// start. Secrets come in a form that only shows whether they changed. The change is audited with the name of who
// started Scanhook; what a new database starts with is no change.
func (s *Store) PutConfiguration(ctx context.Context, by string, settings map[string]string) (changed []string, err error) {
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		before, err := listSettings(ctx, tx)
		if err != nil {
			return err
		}
		if changed = changedSettings(before, settings); len(changed) == 0 {
			return nil
		}
		if err := putSettings(ctx, tx, changed, settings); err != nil || len(before) == 0 {
			return err
		}
		return s.audit(ctx, tx, core.AuditEvent{
			Actor: by, Action: core.AuditConfiguration, Subject: fmt.Sprintf("%d settings", len(changed)),
			Detail: strings.Join(changed, ", "),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("keeping configuration: %w", err)
	}
	return changed, nil
}

// CompareConfiguration returns the keys of settings that are not those of the last PutConfiguration; none before the first.
func (s *Store) CompareConfiguration(ctx context.Context, settings map[string]string) (differ []string, err error) {
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		before, err := listSettings(ctx, tx)
		if len(before) > 0 {
			differ = changedSettings(before, settings)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("comparing configuration: %w", sqldb.Classify(err))
	}
	return differ, nil
}

// changedSettings lists the keys of settings that were added, removed or changed, in their order.
func changedSettings(before, after map[string]string) []string {
	changed := []string{}
	for key, value := range after {
		if was, known := before[key]; !known || was != value {
			changed = append(changed, key)
		}
	}
	for key := range before {
		if _, kept := after[key]; !kept {
			changed = append(changed, key)
		}
	}
	slices.Sort(changed)
	return changed
}

func listSettings(ctx context.Context, tx *sqlx.Tx) (map[string]string, error) {
	var list []struct {
		Name  string `db:"name"`
		Value string `db:"value"`
	}
	if err := tx.SelectContext(ctx, &list, `SELECT name, value FROM settings`); err != nil {
		return nil, err
	}
	settings := make(map[string]string, len(list))
	for _, row := range list {
		settings[row.Name] = row.Value
	}
	return settings, nil
}

// putSettings writes the changed ones in their order, so that two replicas that start at once do not wait for each
// other.
func putSettings(ctx context.Context, tx *sqlx.Tx, changed []string, settings map[string]string) error {
	for _, name := range changed {
		query, args := `DELETE FROM settings WHERE name = ?`, []any{name}
		if value, kept := settings[name]; kept {
			query = `INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
			args = append(args, value)
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(query), args...); err != nil {
			return err
		}
	}
	return nil
}

// AuditFilter chooses audit events; empty fields choose all.
type AuditFilter struct {
	Action  core.AuditAction
	Actor   string
	Project string // present full path, on any platform
	Before  int64  // only events with a smaller id; 0 begins with the newest
	Limit   int
}

// ListAudit returns who did what, the newest first. Those who administer only some projects see the events of these.
func (s *Store) ListAudit(ctx context.Context, filter AuditFilter) ([]core.AuditEvent, error) {
	project, err := s.projectsNamed(ctx, "", filter.Project)
	if err != nil {
		return nil, fmt.Errorf("listing audit events: %w", err)
	}
	var where sqldb.Conditions
	sees := seenBy(ctx, access.Administer)
	project.members = slices.DeleteFunc(project.members, func(p core.KeptProject) bool { return !sees.has(p) })
	if filter.Project == "" {
		shown, err := s.shownTo(ctx, sees)
		if err != nil {
			return nil, fmt.Errorf("listing audit events: %w", err)
		}
		shown.limit(&where, `project_id`)
	}
	where.Add(filter.Action != "", "action = ?", filter.Action)
	where.Add(filter.Actor != "", "actor = ?", filter.Actor)
	project.idsTo(&where)
	where.Add(filter.Before > 0, "id < ?", filter.Before)
	list := []core.AuditEvent{}
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+auditColumns+` FROM audit_events `+where.SQL()+`
		ORDER BY id DESC LIMIT ?`), append(where.Args, filter.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("listing audit events: %w", sqldb.Classify(err))
	}
	return list, nil
}
