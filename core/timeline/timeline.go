// Package timeline tells what happened to a commit, from the delivery of its push to the commit status.
package timeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/approval"
)

// Record are the stored rows of a scan from the webhook to the commit status.
type Record struct {
	Scan       core.Scan
	Deliveries []core.KeptDelivery
	Jobs       []core.Job
	Statuses   []core.Status
	Posts      []core.StatusPost  // attempts to post them
	Holds      []core.Hold        // of the scan's project
	Triage     []core.TriageEvent // of its findings, without propagated decisions
	Audit      []core.AuditEvent  // other actions of people and programs
}

// Event is one thing that happened.
type Event struct {
	At      time.Time
	Stage   string // delivery, scan, job, gate, triage or status
	Text    string // a sentence
	Detail  string // the reason, as it was stated; may be empty
	Problem bool   // here it failed, or waits
}

// Events lists what happened to a scan's commit, in the order of time.
func (r Record) Events() []Event {
	var events []Event
	for _, d := range r.Deliveries {
		at := d.ReceivedAt
		if d.Outcome == core.ScanCreated && at.After(r.Scan.Timestamp) {
			at = r.Scan.Timestamp // the transaction stores the delivery after the scan
		}
		events = append(events, Event{at, "delivery", deliveryText(d), d.Reason, false})
	}
	opened := Event{At: r.Scan.Timestamp, Stage: "scan", Text: fmt.Sprintf("Scan %s opened (%s, attempt %d)", r.Scan.ReferenceID, r.Scan.Origin, r.Scan.Attempt)}
	if r.Scan.ForComparison() {
		opened.Detail = "only to compare a branch with it: the commit shows no status"
	}
	events = append(events, opened)
	for _, job := range r.Jobs {
		events = append(events, jobEvents(job, r.Scan)...)
	}
	if r.Scan.FinishedAt != nil {
		events = append(events, verdictEvent(r.Scan))
	}
	for _, event := range r.Triage {
		events = append(events, triageEvent(event))
	}
	for _, event := range r.Audit {
		events = append(events, auditEvent(event))
	}
	for _, status := range r.Statuses {
		waits := slices.ContainsFunc(r.Holds, func(h core.Hold) bool { return h.Covers(status) })
		events = append(events, statusEvent(status, waits))
	}
	for _, post := range r.Posts {
		events = append(events, postEvent(post))
	}
	for _, hold := range r.Holds {
		if slices.ContainsFunc(r.Statuses, hold.Covers) {
			events = append(events, holdEvent(hold))
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	return events
}

func deliveryText(d core.KeptDelivery) string {
	if d.Event == core.OriginReconcile {
		return fmt.Sprintf("Found by recover, no webhook had announced it: %s", d.Result())
	}
	return fmt.Sprintf("%s announced %q with %s: %s", d.Platform, d.Event, verificationText(d), d.Result())
}

// verificationText says how the call was verified.
func verificationText(d core.KeptDelivery) string {
	kind := "a valid signature"
	if d.VerifiedBy == "" {
		return kind
	}
	if !d.Signed {
		kind = "a valid token"
	}
	return kind + ", by " + d.VerifiedBy
}

func jobEvents(j core.Job, scan core.Scan) []Event {
	begin := Event{At: scan.Timestamp, Stage: "job", Text: j.Scanner + " has not started, nor has a report of it come"}
	if j.StartedAt != nil {
		begin = Event{At: *j.StartedAt, Stage: "job", Text: fmt.Sprintf("%s started (attempt %d)", j.Scanner, max(j.Attempt, 1))}
	}
	if j.Lapses > 0 {
		begin.Text += fmt.Sprintf("; it lost %s: %s", core.Plural(j.Lapses, "worker"), j.LostWorkers)
	}
	switch {
	case j.LeftToOthers():
		return []Event{{At: scan.Timestamp, Stage: "job", Text: j.Scanner + " does not run on code from forks"}}
	case j.FinishedAt != nil && j.State == core.JobCompleted:
		text := fmt.Sprintf("%s delivered its report; findings: %d, fixed: %d", j.Scanner, j.NumFindings, j.NumAbsent)
		end := Event{At: *j.FinishedAt, Stage: "job", Text: text}
		if c := j.Coverage(); c != nil {
			end.Text += fmt.Sprintf(", searched: %d", c.Searched)
			end.Detail = leftOut(*c)
		}
		return []Event{begin, end}
	case j.FinishedAt != nil:
		return []Event{begin, {*j.FinishedAt, "job", fmt.Sprintf("%s %s", j.Scanner, j.State), j.Error, j.State == core.JobFailed}}
	}
	begin.Detail, begin.Problem = j.Error, j.StartedAt == nil
	return []Event{begin}
}

// leftOut names what a scanner did not search though it can hold code.
func leftOut(c core.Coverage) string {
	var parts []string
	for _, left := range c.Left {
		if !left.Reason.MayHoldCode() {
			continue
		}
		part := fmt.Sprintf("%d not searched, %s", left.Count, left.Reason.Meaning())
		if len(left.Names) > 0 {
			part += ": " + strings.Join(left.Names, ", ")
			if hidden := left.Hidden(); hidden > 0 {
				part += fmt.Sprintf(" and %d more", hidden)
			}
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

func triageEvent(e core.TriageEvent) Event {
	decision, by := "not decided", fmt.Sprintf("%s (%s)", e.Author, e.Source)
	if proposer := approval.Proposer(e); proposer != "" {
		by += ", as " + proposer + " had proposed,"
	}
	if e.Decision != nil {
		decision = map[core.Triage]string{core.TruePositive: "real", core.FalsePositive: "a false positive"}[*e.Decision]
	}
	if said, proposes := approval.Proposed(e); proposes {
		text := fmt.Sprintf("%s ended that a dismissal of finding %d waits for a second person", e.Author, e.FindingID)
		if said.Reason != "" {
			text = fmt.Sprintf("%s proposed to dismiss finding %d, which waits for a second person: %s", e.Author, e.FindingID, said.Words())
		}
		return Event{At: e.Timestamp, Stage: "triage", Detail: e.Comment, Text: text}
	}
	if e.Withdrawn() {
		return Event{At: e.Timestamp, Stage: "triage", Detail: e.Comment, Text: fmt.Sprintf(
			"%s took a person's decision on finding %d back, which is now %s", e.Author, e.FindingID, decision)}
	}
	if e.Expired() {
		return Event{At: e.Timestamp, Stage: "triage", Text: fmt.Sprintf(
			"The risk of finding %d was accepted until now: it counts again, and is %s", e.FindingID, decision)}
	}
	if why := e.Grounds(); why.Reason != "" && why.Reason != core.AsFalsePositive {
		return Event{At: e.Timestamp, Stage: "triage", Detail: e.Comment,
			Text: fmt.Sprintf("%s dismissed finding %d: %s", by, e.FindingID, why.Words())}
	}
	return Event{At: e.Timestamp, Stage: "triage", Detail: e.Comment,
		Text: fmt.Sprintf("%s marked finding %d as %s", by, e.FindingID, decision)}
}

// auditEvent names who did something to a scan by hand, or uploaded a report.
func auditEvent(e core.AuditEvent) Event {
	step := Event{At: e.Timestamp, Stage: "scan", Text: fmt.Sprintf("%s: %s by %s", e.Action, e.Subject, e.Actor), Detail: e.Detail}
	switch e.Action {
	case core.AuditReport:
		step.Stage, step.Text = "job", fmt.Sprintf("%s brought the report of %s", e.Actor, e.Subject)
	case core.AuditReportReplaced:
		step.Stage, step.Text = "job", fmt.Sprintf("%s replaced the report of %s", e.Actor, e.Subject)
	case core.AuditReportFailed:
		step.Stage, step.Text = "job", fmt.Sprintf("%s said that a scanner failed: %s", e.Actor, e.Subject)
	case core.AuditScanOpened:
		step.Text = e.Actor + " named the commit, which no webhook had announced"
	case core.AuditOverride:
		step.Stage, step.Text = "status", fmt.Sprintf("%s: override: %s", e.Actor, e.Detail)
		step.Detail = ""
	case core.AuditButtonRefused:
		step.Text = e.Actor + " pressed a button of the check run, which was refused"
	case core.AuditRescan:
		step.Text = e.Actor + " had the commit scanned once more"
	}
	return step
}

// verdictEvent is the end of a scan, with the rule of the gate that decided it.
func verdictEvent(s core.Scan) Event {
	step := Event{At: *s.FinishedAt, Stage: "gate", Text: "No verdict: the scan failed", Detail: s.Error, Problem: true}
	if s.Verdict != nil {
		step.Text = fmt.Sprintf("Verdict as it stands: %s by %s: %s", *s.Verdict, s.VerdictReason, s.Summary)
		step.Problem, step.Detail = false, ""
	}
	return step
}

func statusEvent(s core.Status, waits bool) Event {
	event := Event{At: s.DesiredAt, Stage: "status", Text: fmt.Sprintf("%s should show %s: %s", s.Context, s.State, s.Description)}
	switch {
	case s.PostedRevision == s.Revision && s.ShownIn != "":
		event.Text += "; it is shown " + s.ShownIn
		return event
	case s.PostedRevision == s.Revision:
		return event
	case waits:
		event.Text += "; it is on hold until the token is repaired"
	case s.GivenUp:
		event.Text += "; posting was given up"
	case s.Attempts > 0:
		event.Text += fmt.Sprintf("; posting failed %d times, next attempt %s", s.Attempts, s.NextAttemptAt.UTC().Format(time.TimeOnly))
	case s.LastError != "":
		event.Text += "; not posted yet, next attempt " + s.NextAttemptAt.UTC().Format(time.TimeOnly)
	default:
		event.Text += "; not posted yet"
	}
	event.Detail, event.Problem = s.LastError, true
	return event
}

func postEvent(p core.StatusPost) Event {
	step := Event{At: p.At, Stage: "status", Detail: p.Answer, Problem: p.Outcome != core.Posted}
	what := fmt.Sprintf("%s %s: %s", p.Context, p.State, p.Description)
	switch p.Outcome {
	case core.Posted:
		step.Text = fmt.Sprintf("%s %s; it shows %s %s", p.SourcePlatform, answerText(p), p.Context, p.State)
	case core.PostOverwritten:
		step.Text = fmt.Sprintf("A status that is not ours stands on %s: %s", p.SourcePlatform, what)
	case core.PostGivenUp:
		step.Text = fmt.Sprintf("%s %s; posting was given up: %s", p.SourcePlatform, answerText(p), what)
	default:
		step.Text = fmt.Sprintf("%s %s; not posted: %s", p.SourcePlatform, answerText(p), what)
	}
	if p.Outcome == core.PostWaiting && p.Code == 0 {
		step.Text = fmt.Sprintf("Not posted to %s yet: %s", p.SourcePlatform, what)
	}
	if p.Times > 1 {
		step.Text += fmt.Sprintf(" (%d times, last %s)", p.Times, p.LastAt.UTC().Format(time.TimeOnly))
	}
	return step
}

func answerText(p core.StatusPost) string {
	if p.Code == 0 {
		return "gave no answer"
	}
	return fmt.Sprintf("answered %d after %s", p.Code, time.Duration(p.Milliseconds)*time.Millisecond)
}

func holdEvent(h core.Hold) Event {
	return Event{At: h.Since, Stage: "status", Detail: h.Reason, Problem: true,
		Text: fmt.Sprintf("%s takes no statuses of %s from us; they are kept, next attempt %s",
			h.SourcePlatform, h.Scope(), h.NextProbeAt.UTC().Format(time.DateTime))}
}
