// Package approval is the rule of dismissals that need a second person: what one person says of such a finding waits as a proposal until
// another one agrees.
package approval

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

// Proposal is a person's dismissal of an alert that waits for a second person. It decides nothing. Its db tags are the columns of the table
// proposals.
type Proposal struct {
	ID        int64       `db:"id"`
	ProjectID int64       `db:"project_id"`
	AlertID   int64       `db:"alert_id"`
	FindingID int64       `db:"finding_id"` // the finding that was judged; it may have been deleted
	Decision  core.Triage `db:"decision"`
	Author    string      `db:"author"`
	Comment   string      `db:"comment"`
	Timestamp time.Time   `db:"timestamp"`
	Batch     string      `db:"batch"` // of proposals that were made together, and are taken back together; empty for one alone
	core.Dismissal
}

// Grounds are why the proposal would dismiss, and until when.
func (p Proposal) Grounds() core.Dismissal {
	return core.TriageDecision{Decision: p.Decision, Dismissal: p.Dismissal}.Grounds()
}

// By tells whether somebody made the proposal, and so cannot approve it.
func (p Proposal) By(name string) bool { return strings.EqualFold(p.Author, name) }

// Admit is nil where the proposal is the one that somebody has seen, by its id: core.ErrNotFound where none waits, core.ErrConflict where
// another one does.
func (p *Proposal) Admit(seen int64) error {
	switch {
	case p == nil:
		return fmt.Errorf("%w: no dismissal of this finding waits for a second person; look at the finding again", core.ErrNotFound)
	case p.ID != seen:
		return fmt.Errorf("%w: %s has proposed something else meanwhile; look at the finding again before you say something about it",
			core.ErrConflict, p.Author)
	}
	return nil
}

// Approve is the word of a second person that makes the proposal a decision.
func (p *Proposal) Approve(finding, seen int64, author, comment string) (core.Feedback, error) {
	if err := p.Admit(seen); err != nil {
		return core.Feedback{}, err
	}
	if p.By(author) {
		return core.Feedback{}, fmt.Errorf("%w: you have proposed this dismissal: a second person has to approve it", core.ErrForbidden)
	}
	if strings.TrimSpace(comment) == "" {
		comment = p.Comment
	}
	return core.Feedback{FindingID: finding, UserVerdict: p.Decision, Comments: comment, Author: author, Dismissal: p.Dismissal}, nil
}

// Weigh is what an update of a finding comes to where its dismissal may need a second person: the update that holds, and the proposal that
// waits from then on in place of waiting, which is nil for none. The person who agrees with what another one proposes makes it hold, and
// whoever says something else takes its place. Programs do not count as people: a scanner's dismissal is refused, and of what an AI says
// only the opinion is kept.
func Weigh(u core.TriageUpdate, t core.Triaged, waiting *Proposal, now time.Time) (core.TriageUpdate, *Proposal, error) {
	dismisses := u.Dismisses()
	switch needs := dismisses && t.Any(t.Approval.Needs); {
	case u.TriageDecision.Value == nil || u.Source != core.ByPerson && !needs:
		return u, waiting, nil
	case u.Source == core.ByAI:
		u.TriageDecision, u.Dismissal = core.Change[core.Triage]{}, core.Dismissal{}
		return u, waiting, nil
	case u.Source != core.ByPerson:
		return u, waiting, fmt.Errorf("%w: two people dismiss this finding, see approval in the configuration: leave triage_decision out, and give "+
			"the decision as a person's feedback", core.ErrInvalid)
	case dismisses && waiting != nil && !waiting.By(u.Author) && waiting.agrees(u):
		u.ProposedBy, u.Dismissal = waiting.Author, waiting.Dismissal
		if strings.TrimSpace(u.Comment) == "" {
			u.Comment = waiting.Comment
		}
		return u, nil, nil
	case !needs:
		return u, nil, nil
	}
	if err := u.Admit(t, now); err != nil {
		return u, waiting, err
	}
	proposal := &Proposal{
		ProjectID: t.Scan.ProjectID, AlertID: t.Finding.AlertID, FindingID: t.Finding.ID, Decision: *u.TriageDecision.Value, Author: u.Author,
		Comment: u.Comment, Timestamp: now, Dismissal: u.InUTC(),
	}
	u.TriageDecision, u.Dismissal = core.Change[core.Triage]{}, core.Dismissal{}
	return u, proposal, nil
}

// agrees tells whether an update says what the proposal does, ends of accepted risks by their day.
func (p Proposal) agrees(u core.TriageUpdate) bool {
	said := core.TriageDecision{Decision: *u.TriageDecision.Value, Dismissal: u.Dismissal}
	return said.Decision == p.Decision && said.Grounds().Words() == p.Grounds().Words()
}

// Propagate sets the decision that was made about the same finding in other scans of the project. The keys of decided are alerts. What an AI
// dismissed does not reach a finding that only people may dismiss, nor what one person dismissed a finding that needs a second one.
func Propagate(f *core.Finding, decided map[int64]core.TriageDecision, by core.Approval) {
	decision, ok := decided[f.AlertID]
	switch {
	case decision.DismissesAlone() && by.Needs(*f):
		f.TriageDecision = nil
	case ok && (decision.Source != core.ByAI || decision.Decision != core.FalsePositive || f.AIMayDismiss()):
		f.TriageDecision = &decision.Decision
	}
}

// Proposed is for what reason an event of a history proposed a dismissal, or zero where it took a proposal back. Neither decides.
func Proposed(e core.TriageEvent) (said core.Dismissal, proposes bool) {
	if !strings.HasPrefix(e.Changes, core.Proposing) {
		return said, false
	}
	var changes saying
	if json.Unmarshal([]byte(e.Changes), &changes) == nil && changes.Proposed != nil {
		said = core.Dismissal{Reason: *changes.Proposed, ExpiresAt: changes.ExpiresAt}
	}
	return said, true
}

// Proposer is who proposed what an event of a history approved; empty for another one.
func Proposer(e core.TriageEvent) string {
	var changes struct {
		By string `json:"proposed_by"`
	}
	_ = json.Unmarshal([]byte(e.Changes), &changes) // what is no object approved nothing
	return changes.By
}

// Event is the entry of the alert's history that tells of the proposal.
func (p Proposal) Event(t core.Triaged) core.TriageEvent {
	reason := p.Grounds().Reason
	return event(t, p.Author, p.Comment, saying{&reason, p.ExpiresAt}, p.Timestamp)
}

// Refusal is the entry that tells that somebody took the proposal back, or refused it.
func Refusal(t core.Triaged, author, comment string, now time.Time) core.TriageEvent {
	return event(t, author, comment, saying{}, now)
}

// saying are the changes of an event, which begin as core.Proposing says.
type saying struct {
	Proposed  *core.Reason `json:"proposed"`
	ExpiresAt *time.Time   `json:"expires_at,omitempty"`
}

func event(t core.Triaged, author, comment string, changes saying, now time.Time) core.TriageEvent {
	text, _ := json.Marshal(changes) // cannot fail
	return core.TriageEvent{
		AlertID: t.Finding.AlertID, FindingID: t.Finding.ID, Source: core.ByPerson, Author: author, Changes: string(text), Decides: true,
		Decision: t.Finding.TriageDecision, Comment: comment, Timestamp: now,
	}
}

// Audit is the entry of the audit for a proposal.
func (p Proposal) Audit(t core.Triaged) core.AuditEvent {
	return p.audit(t, p.Author, p.Comment, "proposed to dismiss it: "+p.Grounds().Words()+"; it counts until a second person approves that")
}

// AuditRefusal is the entry for somebody who took the proposal back, or refused it.
func (p Proposal) AuditRefusal(t core.Triaged, author, comment string) core.AuditEvent {
	detail := "refused what " + p.Author + " proposed: " + p.Grounds().Words()
	if p.By(author) {
		detail = "took their proposal back: " + p.Grounds().Words()
	}
	return p.audit(t, author, comment, detail)
}

func (p Proposal) audit(t core.Triaged, author, comment, detail string) core.AuditEvent {
	event := core.AuditOf(t.Scan, author, core.AuditTriage)
	event.Subject = core.SubjectOf(t.Finding)
	if event.Detail = detail; comment != "" {
		event.Detail += ": " + comment
	}
	return event
}
