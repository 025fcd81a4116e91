package core

import (
	"fmt"
	"slices"
	"time"
)

// KeptDelivery is a webhook call as the log of deliveries keeps it. Its db tags are the columns of the table
// deliveries.
type KeptDelivery struct {
	ID          int64     `db:"id"`
	Platform    string    `db:"platform"`
	Key         string    `db:"delivery_key"` // what makes the call the same call when it is sent again
	Event       string    `db:"event"`        // the platform's own event name
	ProjectName string    `db:"project_name"`
	Outcome     Outcome   `db:"outcome"`
	Reason      string    `db:"reason"`
	ScanID      *int64    `db:"scan_id"`
	ReceivedAt  time.Time `db:"received_at"`
	VerifiedBy  string    `db:"verified_by"`           // name of the secret that verified the call
	Signed      bool      `db:"signed"`                // otherwise the call bore the secret as a plain token
	ReferenceID string    `db:"reference_id,computed"` // of the scan, or empty; only read
}

// Facts are all that is kept of a scan's way from the webhook to the commit status.
type Facts struct {
	Scan       Scan
	Deliveries []KeptDelivery
	Jobs       []Job
	Statuses   []Status
	Posts      []StatusPost  // attempts to post them
	Troubles   []Trouble     // of the scan's project
	Triage     []TriageEvent // what was said of its findings, carried words left out
	Audit      []AuditEvent  // what else people and programs did to it
}

// Step is one thing that happened.
type Step struct {
	At      time.Time
	Hop     string // delivery, scan, job, gate, triage or status
	Text    string // a sentence
	Detail  string // why, in the words of whoever said it; may be empty
	Trouble bool   // this is where it went wrong, or waits
}

// Story tells in order what happened to a scan's commit.
func (f Facts) Story() []Step {
	var steps []Step
	for _, d := range f.Deliveries {
		at := d.ReceivedAt
		if d.Outcome == ScanCreated && at.After(f.Scan.Timestamp) {
			at = f.Scan.Timestamp // it is kept last in the transaction that opens the scan
		}
		steps = append(steps, Step{at, "delivery", d.text(), d.Reason, false})
	}
	steps = append(steps, Step{f.Scan.Timestamp, "scan", fmt.Sprintf("Scan %s opened (%s, attempt %d)",
		f.Scan.ReferenceID, f.Scan.Origin, f.Scan.Attempt), "", false})
	for _, job := range f.Jobs {
		steps = append(steps, job.story(f.Scan)...)
	}
	if f.Scan.FinishedAt != nil {
		steps = append(steps, f.Scan.judgement())
	}
	for _, event := range f.Triage {
		steps = append(steps, event.story())
	}
	for _, event := range f.Audit {
		steps = append(steps, event.story())
	}
	for _, status := range f.Statuses {
		waits := slices.ContainsFunc(f.Troubles, func(t Trouble) bool { return t.Concerns(status) })
		steps = append(steps, status.story(waits))
	}
	for _, post := range f.Posts {
		steps = append(steps, post.story())
	}
	for _, trouble := range f.Troubles {
		if slices.ContainsFunc(f.Statuses, trouble.Concerns) {
			steps = append(steps, trouble.story())
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return a.At.Compare(b.At) })
	return steps
}

func (d KeptDelivery) text() string {
	if d.Event == Recovered {
		return fmt.Sprintf("Found by recover, no webhook had announced it: %s", d.Outcome)
	}
	return fmt.Sprintf("%s announced %q with %s: %s", d.Platform, d.Event, d.proof(), d.Outcome)
}

// proof says how the call was verified.
func (d KeptDelivery) proof() string {
	kind := "a valid signature"
	if d.VerifiedBy == "" {
		return kind
	}
	if !d.Signed {
		kind = "a valid token"
	}
	return kind + ", by " + d.VerifiedBy
}

func (j Job) story(scan Scan) []Step {
	begin := Step{At: scan.Timestamp, Hop: "job", Text: j.Scanner + " has not started, nor has a report of it come"}
	if j.StartedAt != nil {
		begin = Step{At: *j.StartedAt, Hop: "job", Text: fmt.Sprintf("%s started (attempt %d)", j.Scanner, max(j.Attempt, 1))}
	}
	if j.Lapses > 0 {
		begin.Text += fmt.Sprintf("; it lost %s: %s", Plural(j.Lapses, "worker"), j.LostWorkers)
	}
	switch {
	case j.FinishedAt != nil && j.State == JobCompleted:
		text := fmt.Sprintf("%s delivered its report; findings: %d, fixed: %d", j.Scanner, j.NumFindings, j.NumAbsent)
		return []Step{begin, {At: *j.FinishedAt, Hop: "job", Text: text}}
	case j.FinishedAt != nil:
		return []Step{begin, {*j.FinishedAt, "job", fmt.Sprintf("%s %s", j.Scanner, j.State), j.Error, j.State == JobFailed}}
	}
	begin.Detail, begin.Trouble = j.Error, j.StartedAt == nil
	return []Step{begin}
}

func (e TriageEvent) story() Step {
	decision := "not decided"
	if e.Decision != nil {
		decision = map[Triage]string{TruePositive: "real", FalsePositive: "a false positive"}[*e.Decision]
	}
	if e.Withdrawn() {
		return Step{At: e.Timestamp, Hop: "triage", Detail: e.Comment, Text: fmt.Sprintf(
			"%s took a person's decision on finding %d back, which is now %s", e.Author, e.FindingID, decision)}
	}
	return Step{At: e.Timestamp, Hop: "triage", Detail: e.Comment,
		Text: fmt.Sprintf("%s (%s) marked finding %d as %s", e.Author, e.Source, e.FindingID, decision)}
}

// story names who did something to a scan by hand, or brought a report.
func (e AuditEvent) story() Step {
	step := Step{At: e.Timestamp, Hop: "scan", Text: fmt.Sprintf("%s: %s by %s", e.Action, e.Subject, e.Actor), Detail: e.Detail}
	switch e.Action {
	case AuditReport:
		step.Hop, step.Text = "job", fmt.Sprintf("%s brought the report of %s", e.Actor, e.Subject)
	case AuditReportFailed:
		step.Hop, step.Text = "job", fmt.Sprintf("%s said that a scanner failed: %s", e.Actor, e.Subject)
	case AuditScanOpened:
		step.Text = e.Actor + " named the commit, which no webhook had announced"
	case AuditRescan:
		step.Text = e.Actor + " had the commit scanned once more"
	}
	return step
}

// judgement is the scan's end, with the rule that decided it.
func (s Scan) judgement() Step {
	step := Step{At: *s.FinishedAt, Hop: "gate", Text: "No verdict: the scan failed", Detail: s.Error, Trouble: true}
	if s.Verdict != nil {
		step.Text = fmt.Sprintf("Verdict as it stands: %s by %s: %s", *s.Verdict, s.VerdictReason, s.Summary)
		step.Trouble, step.Detail = false, ""
	}
	return step
}

func (s Status) story(waits bool) Step {
	wanted := Step{At: s.WantedAt, Hop: "status", Text: fmt.Sprintf("%s should show %s: %s", s.Context, s.State, s.Description)}
	switch {
	case s.PostedRevision == s.Revision:
		return wanted
	case waits:
		wanted.Text += "; it waits for the token to be mended"
	case s.GivenUp:
		wanted.Text += "; posting was given up"
	case s.Attempts > 0:
		wanted.Text += fmt.Sprintf("; posting failed %d times, next attempt %s", s.Attempts, s.NextAttemptAt.UTC().Format(time.TimeOnly))
	case s.LastError != "":
		wanted.Text += "; not posted yet, next attempt " + s.NextAttemptAt.UTC().Format(time.TimeOnly)
	default:
		wanted.Text += "; not posted yet"
	}
	wanted.Detail, wanted.Trouble = s.LastError, true
	return wanted
}
