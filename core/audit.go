package core

import (
	"fmt"
	"time"
)

// AuditAction is the kind of a change that somebody made.
type AuditAction string

// The actions. AuditTriage stands for every triage update, by people and by machines.
const (
	AuditTriage        AuditAction = "triage"
	AuditComment       AuditAction = "comment"        // on an alert, without a decision
	AuditExpected      AuditAction = "expected"       // an unusual pipeline run was marked as expected, or no longer
	AuditReport        AuditAction = "report"         // a scanner's report was uploaded
	AuditReportFailed  AuditAction = "report failed"  // an upload said that its scanner failed
	AuditScanOpened    AuditAction = "scan opened"    // of a commit that no webhook announced
	AuditRescan        AuditAction = "rescan"         // a commit is scanned again
	AuditScanDeleted   AuditAction = "scan deleted"   // with its findings
	AuditButtonRefused AuditAction = "button refused" // of a check run, which somebody pressed
	AuditOverride      AuditAction = "override"       // the status of a commit was turned green, or that ended
	AuditDeriveAgain   AuditAction = "derive again"   // a webhook call that was set aside
	AuditLogin         AuditAction = "login"          // a session on the pages began
	AuditLoginRefused  AuditAction = "login refused"  // an address tried wrong tokens
	AuditSessionsEnded AuditAction = "logged out"     // all sessions of somebody were ended
	AuditConfiguration AuditAction = "configuration"  // Scanhook started with other settings than before

	AuditReportReplaced AuditAction = "report replaced" // by another one of the same scanner and category
	AuditProjectDeleted AuditAction = "project deleted" // with everything
)

// AuditActions are all actions, in the order in which people look for them.
var AuditActions = []AuditAction{
	AuditTriage, AuditComment, AuditReport, AuditReportReplaced, AuditReportFailed, AuditConfiguration, AuditExpected, AuditScanOpened, AuditRescan,
	AuditOverride, AuditButtonRefused, AuditScanDeleted, AuditProjectDeleted, AuditDeriveAgain, AuditLogin, AuditLoginRefused, AuditSessionsEnded,
}

// maxAuditText is the length in bytes that a subject or a detail is cut to.
const maxAuditText = 2000

// AuditEvent says who did what. It is kept when its subject is deleted. Its db tags are the columns of the table
// audit_events.
type AuditEvent struct {
	ID             int64       `db:"id"`
	Timestamp      time.Time   `db:"timestamp"`
	Actor          string      `db:"actor"` // name of a token or a person; user@host of who started Scanhook
	Action         AuditAction `db:"action"`
	ProjectID      *int64      `db:"project_id"`      // nil for an event about no project
	SourcePlatform string      `db:"source_platform"` // of the project
	ProjectName    string      `db:"project_name"`    // as it was then
	ReferenceID    string      `db:"reference_id"`    // of the scan, or empty
	Subject        string      `db:"subject"`         // what was changed
	Detail         string      `db:"detail"`          // how
}

// AuditOf is an event about a scan's commit.
func AuditOf(scan Scan, actor string, action AuditAction) AuditEvent {
	return AuditEvent{
		Actor: actor, Action: action, ProjectID: &scan.ProjectID, SourcePlatform: scan.SourcePlatform, ProjectName: scan.ProjectName,
		ReferenceID: scan.ReferenceID, Subject: "commit " + ShortSHA(scan.CommitSHA),
	}
}

// SubjectOf names a finding in the audit.
func SubjectOf(f Finding) string {
	return fmt.Sprintf("finding %d (%s in %s:%d)", f.ID, f.RuleID, f.File, f.Line)
}

// AuditOfReport is the event of an uploaded report. The job is as it was before.
func AuditOfReport(scan Scan, before Job, report Report) AuditEvent {
	event := AuditOf(scan, report.By, AuditReport)
	event.Subject = before.Scanner + " for " + event.Subject
	event.Detail = Plural(report.Len(), "finding")
	if report.Digest != "" {
		event.Detail += ", SHA-256 " + report.Digest
	}
	if report.Failure != "" {
		event.Action, event.Detail = AuditReportFailed, event.Detail+": "+report.Failure
	}
	return event
}

// AuditOfReplacement is the event of a report with what it replaces: the one of an ended job as it was before, and who brought that,
// or empty.
func AuditOfReplacement(event AuditEvent, before Job, by string) AuditEvent {
	at := before.FinishedAt.UTC().Format(time.RFC3339)
	if by != "" {
		at += " by " + by
	}
	if before.State == JobCompleted {
		event.Detail += fmt.Sprintf("; replaces the report of %s with %s", at, Plural(before.NumFindings, "finding"))
	} else {
		event.Detail += fmt.Sprintf("; it had %s at %s: %s", before.State, at, before.Error)
	}
	if event.Action == AuditReport {
		event.Action = AuditReportReplaced
	}
	return event
}

// TurnedVerdict stands in the event of a report that took the place of one that failed the gate, and passes.
const TurnedVerdict = "; this turned its verdict from fail to pass"

// Revision is one of the reports that were brought for a job of a scan. Its db tags are the columns of the table reports.
type Revision struct {
	ID          int64     `db:"id"`
	ScanID      int64     `db:"scan_id"`
	Scanner     string    `db:"scanner"`  // the name of the job
	Number      int       `db:"revision"` // 1, and one more for each report of the job
	By          string    `db:"brought_by"`
	Bringer     Bringer   `db:"bringer"`
	ReceivedAt  time.Time `db:"received_at"`
	Digest      string    `db:"digest"`       // SHA-256 of the document, in hexadecimal; empty where a scanner failed
	Failure     string    `db:"failure"`      // why the scanner failed, or empty
	NumFindings int       `db:"num_findings"` // of any severity
	NumCritical int       `db:"num_critical"`
	NumHigh     int       `db:"num_high"`
	NumMedium   int       `db:"num_medium"`
	NumLow      int       `db:"num_low"`
	Turned      bool      `db:"turned"` // one before it failed the gate, and it does not
}

// RevisionOf is the report as the next revision after number.
func RevisionOf(job Job, report Report, number int, now time.Time) Revision {
	r := Revision{
		ScanID: job.ScanID, Scanner: job.Scanner, Number: number + 1, By: report.By, Bringer: report.Bringer, ReceivedAt: now,
		Digest: report.Digest, Failure: report.Failure, NumFindings: report.Len(),
	}
	var scratch Finding
	for i := range report.Len() {
		switch report.At(i, &scratch).Severity {
		case Critical:
			r.NumCritical++
		case High:
			r.NumHigh++
		case Medium:
			r.NumMedium++
		default:
			r.NumLow++
		}
	}
	return r
}

// Counts are the findings by severity, for people: "1 critical, 2 low".
func (r Revision) Counts() string {
	return listSeverities(map[Severity]int{Critical: r.NumCritical, High: r.NumHigh, Medium: r.NumMedium, Low: r.NumLow})
}

// AdmitRevision is nil where a report may take the place of those of its job: the newest, and the last in which the scanner did not fail,
// each nil where there is none. ErrConflict with what to do where another kind of caller brought that one, or a program of the
// configuration the newest, or where none is ever replaced. settled is true for the same document once more, as when the answer to it
// got lost.
func (p Policy) AdmitRevision(newest, last *Revision, next Report) (settled bool, err error) {
	for _, r := range []*Revision{newest, last} {
		guarded := r != nil && (r == last || r.Bringer == ByToken) && r.Bringer != ""
		if guarded && r.Bringer != next.Bringer {
			return false, fmt.Errorf("%w: the report of %s for this commit was brought with the token of a %s (%s), and only such a token replaces it: "+
				"send that, give the report a category of its own, or ask for a rescan and bring the report for that", ErrConflict, r.Scanner,
				r.Bringer.called(), r.By)
		}
	}
	switch {
	case last == nil:
		return false, nil
	case p.Replace != ReplaceNever:
		return false, nil
	case next.Failure == "" && next.Digest != "" && next.Digest == last.Digest:
		return true, nil
	}
	return false, fmt.Errorf("%w: %s has a report for this commit, of %s by %s, and replace is never for this repository: have somebody who may judge "+
		"findings ask for a rescan, and bring the report for that", ErrConflict, last.Scanner, last.ReceivedAt.UTC().Format(time.RFC3339), last.By)
}

func (b Bringer) called() string {
	if b == ByToken {
		return "program from the configuration"
	}
	return string(b)
}

// Bounded is the event with its texts cut to the stored length.
func (e AuditEvent) Bounded() AuditEvent {
	e.Subject, e.Detail = Clip(e.Subject, maxAuditText), Clip(e.Detail, maxAuditText)
	return e
}
