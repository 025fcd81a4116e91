package core

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core/patch"
)

// Limits of the texts of a triage update, in bytes.
const (
	maxComment   = 10 << 10
	maxAIVerdict = 64
	maxReasoning = 32 << 10
	maxPatch     = 256 << 10
)

// TriageSource is the origin of a triage update.
type TriageSource string

// The sources. Only the history has Propagated, which is a decision on the same finding in another scan, and ByExpiry.
const (
	ByPerson   TriageSource = "person"
	ByScanner  TriageSource = "scanner"
	ByAI       TriageSource = "ai"
	ByRedTeam  TriageSource = "red_team" // showed that the finding can be exploited
	ByExpiry   TriageSource = "expiry"   // the end of an accepted risk came
	Propagated TriageSource = "carried"
)

// weight orders sources: people and exploits outrank scanners and AIs.
func (s TriageSource) weight() int {
	if s == ByPerson || s == ByRedTeam {
		return 2
	}
	return 1
}

// Dismissal is why a finding is dismissed, and until when. Its db tags are columns of the table alert_decisions.
type Dismissal struct {
	Reason    Reason     `db:"reason"`     // empty where the decision says all: FalsePositive, or TruePositive that counts
	ExpiresAt *time.Time `db:"expires_at"` // of an accepted risk: when it counts again
}

// Words say why and until when: accepted risk until 2027-03-01.
func (d Dismissal) Words() string {
	if d.ExpiresAt == nil {
		return d.Reason.Words()
	}
	return d.Reason.Words() + " until " + d.ExpiresAt.UTC().Format(time.DateOnly)
}

// InUTC is the dismissal with its end as databases keep it.
func (d Dismissal) InUTC() Dismissal {
	if d.ExpiresAt != nil {
		end := d.ExpiresAt.UTC().Truncate(time.Microsecond)
		d.ExpiresAt = &end
	}
	return d
}

func (d Dismissal) equal(other Dismissal) bool {
	ends := d.ExpiresAt == nil && other.ExpiresAt == nil ||
		d.ExpiresAt != nil && other.ExpiresAt != nil && d.ExpiresAt.Equal(*other.ExpiresAt)
	return d.Reason == other.Reason && ends
}

// maxAcceptance is for how long a risk can be accepted at most.
const maxAcceptance = 5 * 365 * 24 * time.Hour

// check compares a dismissal with the decision to which it belongs.
func (d Dismissal) check(decision *Triage, source TriageSource) error {
	switch accepted := d.Reason == AcceptedRisk; {
	case d.Reason == "" && d.ExpiresAt == nil:
		return nil
	case d.Reason == "":
		return fmt.Errorf("%w: expires_at is the end of an accepted risk: add the reason %s, or leave it out", ErrInvalid, AcceptedRisk)
	case !slices.Contains(Reasons, d.Reason):
		return fmt.Errorf("%w: the reason %q is none of %v", ErrInvalid, d.Reason, Reasons)
	case decision == nil || *decision != d.Reason.Triage():
		return fmt.Errorf("%w: the reason %s goes with the decision %s: FP is for false positives only", ErrInvalid, d.Reason, d.Reason.Triage())
	case source == ByAI && d.Reason != AsFalsePositive:
		return fmt.Errorf("%w: an AI may say false_positive; %s is for people to say", ErrInvalid, d.Reason)
	case accepted && d.ExpiresAt == nil:
		return fmt.Errorf("%w: an accepted risk has an end: add expires_at, such as 2027-03-01T00:00:00Z", ErrInvalid)
	case !accepted && d.ExpiresAt != nil:
		return fmt.Errorf("%w: only an accepted risk has an end: leave expires_at out", ErrInvalid)
	}
	return nil
}

// checkEnd refuses an end that has come, or is far away.
func (d Dismissal) checkEnd(now time.Time) error {
	switch {
	case d.ExpiresAt == nil:
		return nil
	case !d.ExpiresAt.After(now):
		return fmt.Errorf("%w: the end of the accepted risk, %s, is not in the future", ErrInvalid, d.ExpiresAt.UTC().Format(time.RFC3339))
	case d.ExpiresAt.After(now.Add(maxAcceptance)):
		return fmt.Errorf("%w: a risk can be accepted for five years at most; then look at it again", ErrInvalid)
	}
	return nil
}

// TriageDecision is a source's decision on an alert. It holds in all scans of the project until the source replaces it. Its db
// tags are the columns of the table alert_decisions.
type TriageDecision struct {
	ID        int64        `db:"id"`
	ProjectID int64        `db:"project_id"`
	AlertID   int64        `db:"alert_id"`
	Source    TriageSource `db:"source"`
	Decision  Triage       `db:"decision"`
	Author    string       `db:"author"`
	Comment   string       `db:"comment"`
	FindingID int64        `db:"finding_id"` // the finding that was judged; it may have been deleted
	Timestamp time.Time    `db:"timestamp"`
	Batch     string       `db:"batch"` // of decisions that were made together, and are withdrawn together; empty for one alone

	ProposedBy string `db:"proposed_by"` // who proposed what Author approved; empty where one decided alone
	Dismissal
}

// Grounds are why the decision dismisses, and until when; zero where it does not.
func (d TriageDecision) Grounds() Dismissal { return groundsOf(&d.Decision, d.Dismissal) }

// groundsOf completes the dismissal of a decision.
func groundsOf(decision *Triage, d Dismissal) Dismissal {
	if decision != nil && *decision == FalsePositive {
		d.Reason = AsFalsePositive
	}
	return d
}

// PrevailingDecision returns the decision that counts, nil when there is none. decisions are in the order in which they were made.
// The latest of people and of the red team counts, else the latest of scanners and the AI. So a proven exploit counts
// until a person decides otherwise, and no machine overrides a person.
func PrevailingDecision(decisions []TriageDecision) *TriageDecision {
	var prevailing *TriageDecision
	for i := range decisions {
		if prevailing == nil || decisions[i].Source.weight() >= prevailing.Source.weight() {
			prevailing = &decisions[i]
		}
	}
	return prevailing
}

// DismissesAlone tells whether the decision keeps findings from counting, and no second person has agreed.
func (d TriageDecision) DismissesAlone() bool {
	return (d.Decision == FalsePositive || d.Reason != "") && d.ProposedBy == ""
}

// Feedback is a person's decision on a finding. Its db tags are the columns of the table feedbacks.
type Feedback struct {
	ID          int64     `db:"id"`
	FindingID   int64     `db:"finding_id"`
	UserVerdict Triage    `db:"user_verdict"`
	Comments    string    `db:"comments"`
	Author      string    `db:"author"`
	Timestamp   time.Time `db:"timestamp"`

	WithdrawnAt *time.Time `db:"withdrawn_at"` // nil unless it was withdrawn
	Dismissal
}

// Update is the feedback as a triage update.
func (f Feedback) Update() TriageUpdate {
	return TriageUpdate{
		Source: ByPerson, Author: f.Author, Comment: f.Comments, TriageDecision: SetTo(f.UserVerdict), Dismissal: f.Dismissal,
	}
}

// Withdrawal withdraws a person's decision on a finding.
type Withdrawal struct {
	FindingID  int64
	DecisionID int64 // of the decision to withdraw; 0 means the current one
	Author     string
	Comments   string
}

// Update is the withdrawal as a triage update.
func (w Withdrawal) Update() TriageUpdate {
	return TriageUpdate{
		Source: ByPerson, Author: w.Author, Comment: w.Comments, TriageDecision: Change[Triage]{Set: true},
	}
}

// Pick picks the decision to withdraw. It is the one that the author has seen, not one that somebody else made since
// then. ErrNotFound or ErrConflict.
func (w Withdrawal) Pick(decisions []TriageDecision) (TriageDecision, error) {
	i := slices.IndexFunc(decisions, func(d TriageDecision) bool { return d.Source == ByPerson })
	switch {
	case i < 0:
		return TriageDecision{}, fmt.Errorf("%w: no decision of a person stands on this finding, there is nothing to take back", ErrNotFound)
	case w.DecisionID != 0 && decisions[i].ID != w.DecisionID:
		return TriageDecision{}, fmt.Errorf("%w: %s has decided %s meanwhile; look at the finding again before you take that back",
			ErrConflict, decisions[i].Author, decisions[i].Decision)
	}
	return decisions[i], nil
}

// TriageEvent is an entry of an alert's history, which outlives its findings. Its db tags are the columns of the table
// triage_events.
type TriageEvent struct {
	ID        int64        `db:"id"`
	AlertID   int64        `db:"alert_id"`
	FindingID int64        `db:"finding_id"` // the finding that was judged; it may have been deleted
	Source    TriageSource `db:"source"`
	Author    string       `db:"author"`
	Changes   string       `db:"changes"`  // a JSON object with the names of the changed columns as keys
	Decides   bool         `db:"decides"`  // a decision was made or withdrawn; else only this finding changed
	Decision  *Triage      `db:"decision"` // of the finding from then on
	Comment   string       `db:"comment"`
	Timestamp time.Time    `db:"timestamp"`

	// Set where the event is told of another finding of the alert, see For.
	Origin         TriageSource `db:"-"` // the source of a propagated decision; else the same as Source
	PropagatedFrom *int64       `db:"-"` // the finding on which a propagated decision was made
}

// Proposing is what changes begin with that only say what waits for a second person.
const Proposing = `{"proposed":`

// For is the event in the history of one finding of the alert.
func (e TriageEvent) For(finding int64) TriageEvent {
	e.Origin = e.Source
	if e.FindingID == finding || e.Remarks() || strings.HasPrefix(e.Changes, Proposing) {
		return e
	}
	return e.propagatedTo(finding)
}

// propagatedTo is the event in the history of the same finding in another scan.
func (e TriageEvent) propagatedTo(finding int64) TriageEvent {
	from, changed := e.FindingID, map[string]any{"triage_decision": e.Decision} // a decision or null
	if e.Withdrawn() {
		changed["user_verdict"] = nil
	}
	e.said().note(changed)
	e.Source, e.PropagatedFrom, e.FindingID = Propagated, &from, finding
	changes, _ := json.Marshal(changed) // cannot fail
	e.Changes = string(changes)
	return e
}

// Withdrawn tells whether the event withdrew a person's decision.
func (e TriageEvent) Withdrawn() bool {
	var changes map[string]*Triage
	if e.Source != ByPerson && e.Origin != ByPerson || json.Unmarshal([]byte(e.Changes), &changes) != nil {
		return false
	}
	verdict, changed := changes["user_verdict"]
	return changed && verdict == nil
}

// Expired tells whether the end of an accepted risk came.
func (e TriageEvent) Expired() bool { return e.Source == ByExpiry || e.Origin == ByExpiry }

// Grounds are why the finding is dismissed from then on, as far as the event decided that; zero where it is not.
func (e TriageEvent) Grounds() Dismissal { return groundsOf(e.Decision, e.said()) }

// said is the reason that the changes name.
func (e TriageEvent) said() (d Dismissal) {
	var changes struct {
		Reason    Reason     `json:"reason"`
		ExpiresAt *time.Time `json:"expires_at"`
	}
	if json.Unmarshal([]byte(e.Changes), &changes) == nil && e.Decision != nil && *e.Decision == changes.Reason.Triage() {
		d = Dismissal{changes.Reason, changes.ExpiresAt}
	}
	return d
}

// note adds a dismissal to what changed.
func (d Dismissal) note(changed map[string]any) {
	if d.Reason != "" {
		changed["reason"] = d.Reason
	}
	if d.ExpiresAt != nil {
		changed["expires_at"] = *d.InUTC().ExpiresAt
	}
}

// Remark is a person's comment on an alert, which changes nothing; ErrInvalid for one that is empty or too long.
func Remark(alert, finding int64, decision *Triage, author, comment string, now time.Time) (TriageEvent, error) {
	comment = strings.TrimSpace(comment)
	if comment == "" {
		return TriageEvent{}, fmt.Errorf("%w: the comment is empty", ErrInvalid)
	}
	return TriageEvent{
		AlertID: alert, FindingID: finding, Source: ByPerson, Author: author, Changes: "{}", Decision: decision, Comment: comment, Timestamp: now,
	}, checkText("comments", comment, maxComment)
}

// Remarks tells whether the event is a comment that changed nothing.
func (e TriageEvent) Remarks() bool { return e.Changes == "{}" }

// TriageUpdate changes what is known about a finding. Fields that are not set stay as they are.
type TriageUpdate struct {
	Source  TriageSource // ByPerson, ByScanner, ByAI or ByExpiry
	Author  string
	Comment string

	TriageDecision   Change[Triage] // emptied by a person, it is withdrawn, and the machines' decision counts again
	ProposedBy       string         // who proposed what Author approves; empty where nobody did
	Dismissal                       // of the decision
	AIVerdict        Change[string]
	AIConfidence     Change[float64] // 0–1
	AIReasoning      Change[string]
	RemediationPatch Change[string] // a unified diff
	RedTeamSuccess   Change[bool]

	ended time.Time // ByExpiry: decisions that end by then are withdrawn
}

// Expiry withdraws the decisions on a finding whose end has come.
func Expiry(now time.Time) TriageUpdate {
	return TriageUpdate{Source: ByExpiry, Author: "scanhook", TriageDecision: Change[Triage]{Set: true}, ended: now}
}

// Check is nil for a valid update; ErrInvalid says what to correct.
func (u TriageUpdate) Check() error {
	if d := u.TriageDecision.Value; d != nil && *d != TruePositive && *d != FalsePositive {
		return fmt.Errorf("%w: %q is neither TP nor FP", ErrInvalid, *d)
	}
	if err := u.check(u.TriageDecision.Value, u.Source); err != nil {
		return err
	}
	if c := u.AIConfidence.Value; c != nil && (math.IsNaN(*c) || *c < 0 || *c > 1) {
		return fmt.Errorf("%w: ai_confidence %v is not between 0 and 1", ErrInvalid, *c)
	}
	for _, text := range []struct {
		name  string
		value *string
		limit int
	}{
		{"comments", &u.Comment, maxComment},
		{"ai_verdict", u.AIVerdict.Value, maxAIVerdict},
		{"ai_reasoning", u.AIReasoning.Value, maxReasoning},
		{"remediation_patch", u.RemediationPatch.Value, maxPatch},
	} {
		if text.value == nil {
			continue
		}
		if err := checkText(text.name, *text.value, text.limit); err != nil {
			return err
		}
	}
	if text := u.RemediationPatch.Value; text != nil {
		if err := patch.Check(*text); err != nil {
			return fmt.Errorf("%w: remediation_patch %w", ErrInvalid, err)
		}
	}
	return nil
}

// ErrUncommented is ErrInvalid for a decision that dismisses without a comment what needs one.
var ErrUncommented = fmt.Errorf("%w: what is Critical or known to be exploited (KEV) is dismissed with a comment only; say why it does not count", ErrInvalid)

// Uncommented is ErrUncommented for a decision on several alerts, n of which need a comment.
func Uncommented(n int) error {
	return fmt.Errorf("%w (%s of the selection; nothing was decided)", ErrUncommented, Plural(n, "alert"))
}

// Silent tells whether the update dismisses and does not say why. The reasoning of an AI says why.
func (u TriageUpdate) Silent() bool {
	why := u.Comment
	if u.Source == ByAI && u.AIReasoning.Value != nil {
		why += *u.AIReasoning.Value
	}
	return u.Dismisses() && strings.TrimSpace(why) == ""
}

// Dismisses tells whether the update keeps findings from counting.
func (u TriageUpdate) Dismisses() bool {
	decision := u.TriageDecision.Value
	return decision != nil && (*decision == FalsePositive || u.Reason != "")
}

// Triaged is a finding with what a triage update of it depends on.
type Triaged struct {
	Finding   Finding
	Scan      Scan
	Decisions []TriageDecision // in the order in which they were made
	Same      []Finding        // the same finding in the scans that the decision reaches, itself included
	Approval  Approval         // how many people dismiss it, by the scan's policy
}

// Any tells whether something holds for the finding in one of the scans that a decision reaches.
func (t Triaged) Any(holds func(Finding) bool) bool {
	return holds(t.Finding) || slices.ContainsFunc(t.Same, holds)
}

// TriageChange is what an update changes. The zero value changes nothing.
type TriageChange struct {
	Finding   Finding
	Decisions []TriageDecision // in place of the ones before
	Event     TriageEvent
	Audit     AuditEvent
	Decided   []int64 // findings that get the decision of Finding
	Scans     []int64 // to be judged again, the finding's own first
}

// Admit is nil for an update that may be made of a finding. ErrUncommented where it has to say why.
func (u TriageUpdate) Admit(t Triaged, now time.Time) error {
	if err := u.checkEnd(now); err != nil {
		return err
	}
	if u.Silent() && t.Any(Finding.NeedsComment) {
		return ErrUncommented
	}
	return nil
}

// Triage applies the update to a finding, and its decision to the same finding in other scans.
func (u TriageUpdate) Triage(t Triaged, now time.Time) (c TriageChange, err error) {
	if err := u.Admit(t, now); err != nil {
		return c, err
	}
	finding := t.Finding
	decisions, changed := u.Apply(&finding, t.Decisions)
	if len(changed) == 0 {
		return TriageChange{}, nil
	}
	decided := t.decide(&finding, decisions)
	changes, err := json.Marshal(changed)
	if err != nil {
		return TriageChange{}, err
	}
	c = TriageChange{Finding: finding, Decisions: decisions, Scans: []int64{t.Scan.ID}, Audit: u.AuditEvent(t.Scan, finding, changed)}
	c.Event = TriageEvent{
		AlertID: finding.AlertID, FindingID: finding.ID, Source: u.Source, Author: u.Author, Changes: string(changes),
		Decides: !slices.Equal(t.Decisions, decisions), Decision: finding.TriageDecision, Comment: u.Comment, Timestamp: now,
	}
	if !decided {
		return c, nil
	}
	reweighed := isReweighed(PrevailingDecision(t.Decisions), PrevailingDecision(decisions))
	for _, same := range t.Same {
		if !reweighed && equalValues(same.TriageDecision, finding.TriageDecision) {
			continue
		}
		c.Scans, c.Decided = append(c.Scans, same.ScanID), append(c.Decided, same.ID)
	}
	return c, nil
}

// isReweighed tells whether a decision counts more or less than before though it may be the same: an AI's decision was
// confirmed, or that was withdrawn, or what is real is dismissed for another reason or no more.
func isReweighed(before, after *TriageDecision) bool {
	was, is := Dismissal{}, Dismissal{}
	if before != nil {
		was = before.Dismissal
	}
	if after != nil {
		is = after.Dismissal
	}
	return !was.equal(is) || before != nil && after != nil && (before.Source == ByAI) != (after.Source == ByAI)
}

// Apply changes f, whose decisions so far are given in the order in which they were made. It returns the decisions
// afterwards, and what changed, by column name; an empty map when nothing did. The decision of f becomes the one that
// prevails.
func (u TriageUpdate) Apply(f *Finding, decisions []TriageDecision) (after []TriageDecision, changed map[string]any) {
	changed = map[string]any{}
	apply(changed, "ai_verdict", u.AIVerdict, &f.AIVerdict)
	apply(changed, "ai_confidence", u.AIConfidence, &f.AIConfidence)
	apply(changed, "ai_reasoning", u.AIReasoning, &f.AIReasoning)
	apply(changed, "remediation_patch", u.RemediationPatch, &f.RemediationPatch)
	apply(changed, "red_team_success", u.RedTeamSuccess, &f.RedTeamSuccess)
	after = u.applyExploit(f, slices.Clone(decisions))
	after = u.applyDecision(f, after, changed)
	f.TriageDecision = nil
	if prevailing := PrevailingDecision(after); prevailing != nil {
		f.TriageDecision = &prevailing.Decision
	}
	return after, changed
}

// apply changes one field. Of a long text it records only that it changed, because the finding has it.
func apply[T comparable](changed map[string]any, column string, change Change[T], field **T) {
	if !change.Set || equalValues(change.Value, *field) {
		return
	}
	*field = change.Value
	changed[column] = change.Value
	if text, ok := any(change.Value).(*string); ok && text != nil && len(*text) > maxComment {
		changed[column] = fmt.Sprintf("%d bytes", len(*text))
	}
}

// applyExploit adds or withdraws the red team's decision. A repeated exploit is ignored, so that it cannot override a
// later decision of a person. Only the finding that was exploited can lose the decision.
func (u TriageUpdate) applyExploit(f *Finding, decisions []TriageDecision) []TriageDecision {
	if !u.RedTeamSuccess.Set {
		return decisions
	}
	succeeded := u.RedTeamSuccess.Value != nil && *u.RedTeamSuccess.Value
	i := slices.IndexFunc(decisions, func(d TriageDecision) bool { return d.Source == ByRedTeam })
	switch {
	case succeeded && i < 0:
		exploited := TruePositive
		return u.replaceDecisions(f, decisions, ByRedTeam, &exploited)
	case !succeeded && i >= 0 && decisions[i].FindingID == f.ID:
		return u.replaceDecisions(f, decisions, ByRedTeam, nil, ByRedTeam)
	}
	return decisions
}

// applyDecision adds the decision of the source. A person's counts each time. A machine that repeats itself changes
// nothing.
func (u TriageUpdate) applyDecision(f *Finding, decisions []TriageDecision, changed map[string]any) []TriageDecision {
	decision := u.TriageDecision
	if !decision.Set {
		return decisions
	}
	if u.Reason == AsFalsePositive { // which FP says
		u.Reason = ""
	}
	switch u.Source {
	case ByExpiry:
		return slices.DeleteFunc(decisions, func(d TriageDecision) bool {
			ends := d.ExpiresAt != nil && !d.ExpiresAt.After(u.ended)
			if ends {
				changed["triage_decision"] = decision.Value
			}
			return ends
		})
	case ByPerson:
		changed["user_verdict"] = decision.Value
		u.note(changed)
		if u.ProposedBy != "" {
			changed["proposed_by"] = u.ProposedBy
		}
		return u.replaceDecisions(f, decisions, u.Source, decision.Value, u.Source)
	}
	i := slices.IndexFunc(decisions, func(d TriageDecision) bool { return d.Source.weight() == u.Source.weight() })
	switch {
	case i < 0 && decision.Value == nil:
		return decisions
	case i >= 0 && decision.Value != nil && decisions[i].Decision == *decision.Value && decisions[i].Source == u.Source &&
		decisions[i].Dismissal.equal(u.InUTC()):
		return decisions
	}
	changed["triage_decision"] = decision.Value
	u.note(changed)
	return u.replaceDecisions(f, decisions, u.Source, decision.Value, ByScanner, ByAI)
}

// replaceDecisions removes the decisions of some sources and adds one, unless it is nil.
func (u TriageUpdate) replaceDecisions(f *Finding, decisions []TriageDecision, source TriageSource, decision *Triage, of ...TriageSource) []TriageDecision {
	decisions = slices.DeleteFunc(decisions, func(d TriageDecision) bool { return slices.Contains(of, d.Source) })
	if decision == nil {
		return decisions
	}
	made := TriageDecision{
		AlertID: f.AlertID, Source: source, Decision: *decision, Author: u.Author, Comment: u.Comment, FindingID: f.ID,
	}
	if source == u.Source { // an exploit dismisses nothing
		made.Dismissal, made.ProposedBy = u.InUTC(), u.ProposedBy
	}
	return append(decisions, made)
}

// AuditEvent is the event of a triage update; changed is the result of Apply.
func (u TriageUpdate) AuditEvent(scan Scan, finding Finding, changed map[string]any) AuditEvent {
	event := AuditOf(scan, u.Author, AuditTriage)
	event.Subject = SubjectOf(finding)
	fields := []string{}
	for field, value := range changed {
		switch said := value.(type) {
		case *Triage:
			if said == nil {
				field += " withdrawn"
			} else {
				field += " " + string(*said)
			}
		case Reason:
			field += " " + string(said)
		case string: // proposed_by
			field += " " + said
		case time.Time:
			field += " " + said.Format(time.RFC3339)
		}
		fields = append(fields, field)
	}
	slices.Sort(fields)
	if event.Detail = string(u.Source) + " said " + strings.Join(fields, ", "); u.Source == ByExpiry {
		event.Detail = "expiry: the end of the accepted risk came, it counts again"
	}
	if u.Comment != "" {
		event.Detail += ": " + u.Comment
	}
	return event
}
