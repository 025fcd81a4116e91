package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/approval"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/api/paging"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/decisions"
)

// maxTriageBody bounds a PATCH: JSON can take several bytes for one byte of a remediation patch.
const maxTriageBody = 2 << 20

// RegisterTriage describes the operations on one finding.
func (a *API) RegisterTriage(api huma.API) {
	read := operation(access.ReadScans, http.MethodGet, "/findings/{id}", "get-finding", "One finding, and whose decision on it holds")
	register(a, api, read, a.getFinding)

	patch := operation(access.Judge, http.MethodPatch, "/findings/{id}", "patch-finding",
		"What a scanner, an AI or a red team knows about a finding; omitted fields stay as they are, null clears one")
	patch.Description = "A decision reaches the same finding in other scans of the project, and the commit statuses " +
		"that it changes. A person's feedback overrides triage_decision; red_team_success makes it TP until a person " +
		"gives feedback after it. " + aboutReasons
	patch.Errors = append(patch.Errors, http.StatusRequestEntityTooLarge)
	patch.MaxBodyBytes = maxTriageBody
	register(a, api, patch, a.patchFinding)

	feedback := operation(access.Judge, http.MethodPost, "/findings/{id}/feedback", "give-feedback",
		"A person's decision on a finding: it holds in the whole project until a person decides again")
	feedback.Description = aboutReasons
	feedback.DefaultStatus = http.StatusCreated
	register(a, api, feedback, a.giveFeedback)

	withdraw := operation(access.Judge, http.MethodDelete, "/findings/{id}/feedback", "withdraw-feedback",
		"Withdraws a person's decision on a finding, in the whole project")
	withdraw.Description = "What machines and the red team have decided holds again as it did before, and they can decide " +
		"again; if they have not, the finding is undecided. A machine's own decision is withdrawn with PATCH and a " +
		"triage_decision of null."
	withdraw.Errors = append(withdraw.Errors, http.StatusNotFound, http.StatusConflict)
	withdraw.DefaultStatus = http.StatusOK
	register(a, api, withdraw, a.withdrawFeedback)

	a.registerProposals(api)

	history := operation(access.ReadScans, http.MethodGet, "/findings/{id}/history", "list-history",
		"Who decided what about a finding, the oldest first")
	register(a, api, history, a.listHistory)
}

// registerProposals describes what becomes of dismissals that need a second person.
func (a *API) registerProposals(api huma.API) {
	list := operation(access.Read, http.MethodGet, "/proposals", "list-proposals",
		"Dismissals that wait for a second person, the newest first")
	list.Description = aboutApproval
	register(a, api, list, a.listProposals)

	approve := operation(access.Judge, http.MethodPost, "/findings/{id}/approval", "approve-proposal",
		"Approves a dismissal that waits: it holds from then on")
	approve.Description = aboutApproval + " Who proposed it is answered 403."
	approve.Errors = append(approve.Errors, http.StatusConflict)
	approve.DefaultStatus = http.StatusOK
	register(a, api, approve, a.approveProposal)

	refuse := operation(access.Judge, http.MethodDelete, "/findings/{id}/approval", "refuse-proposal",
		"Refuses a dismissal that waits, or takes one's own back")
	refuse.Errors = append(refuse.Errors, http.StatusConflict)
	refuse.DefaultStatus = http.StatusOK
	register(a, api, refuse, a.refuseProposal)
}

const aboutApproval = "Where approval in the configuration asks for two people, what the first one says is a proposal, and the finding goes on to count. " +
	"A second person approves it, by naming it or with the same decision as feedback; another decision takes its place."

const aboutReasons = "A reason dismisses the finding: the gate does not count it. FP stands for false positives only; what is dismissed for " +
	"another reason is real, TP. An accepted risk has an end, expires_at, and counts again from then on. What is Critical or known to be exploited (KEV) " +
	"is dismissed with comments only (an AI's ai_reasoning is one); without, the answer is 422 and nothing is decided. " +
	"Where approval asks for two people, the answer has a proposal, which decides nothing until another person approves it."

// Dismissing is part of the body of a decision.
type Dismissing struct {
	Reason    string     `json:"reason,omitempty" enum:"false_positive,accepted_risk,used_in_tests,wont_fix,revoked" doc:"why it is dismissed: false_positive with FP, the others with TP"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"of an accepted risk, which must have one: when it counts again" example:"2027-03-01T00:00:00Z"`
}

func (d Dismissing) dismissal() core.Dismissal {
	return core.Dismissal{Reason: core.Reason(d.Reason), ExpiresAt: d.ExpiresAt}
}

// FindingID is part of the input of every operation on one finding.
type FindingID struct {
	ID int64 `path:"id" minimum:"1"`
}

// decisionView is the decision that holds for a finding.
type decisionView struct {
	ID        int64     `json:"id" doc:"for withdrawing just this one"`
	Source    string    `json:"source" enum:"person,scanner,ai,red_team"`
	Author    string    `json:"author" doc:"name of the token with which it was made"`
	Proposed  string    `json:"proposed_by" doc:"who proposed what the author approved; empty where one person decided alone"`
	Comment   string    `json:"comment"`
	FindingID int64     `json:"finding_id" doc:"on which it was made: this one, or the same finding in another scan"`
	Timestamp time.Time `json:"timestamp"`

	dismissalView
}

// dismissalView is why a decision dismisses.
type dismissalView struct {
	Reason    *string    `json:"reason" enum:"false_positive,accepted_risk,used_in_tests,wont_fix,revoked" doc:"why it is dismissed; null where it is not"`
	ExpiresAt *time.Time `json:"expires_at" doc:"when an accepted risk counts again; null for others"`
}

func viewDismissal(why core.Dismissal) dismissalView {
	return dismissalView{present(string(why.Reason)), why.ExpiresAt}
}

type findingDetail struct {
	findingView
	DecidedBy *decisionView `json:"decided_by" doc:"null without a triage_decision"`
	Proposal  *proposalView `json:"proposal" doc:"a dismissal that waits for a second person; null for none"`
	Scan      string        `json:"scan" doc:"reference_id"`
	Project   string        `json:"project_name"`
	Commit    string        `json:"commit_sha"`
	Status    string        `json:"status" doc:"of the scan" enum:"pending,processing,completed,failed"`
	Verdict   *string       `json:"verdict" doc:"of the scan, with this decision" enum:"pass,fail"`
	Summary   string        `json:"summary" doc:"of the scan"`

	Details  *details.Details `json:"details,omitempty" doc:"what the report says besides; only where one finding is asked for, like rule_help"`
	RuleHelp *details.Help    `json:"rule_help,omitempty" doc:"what the rule is about"`
}

type findingOutput struct{ Body findingDetail }

// answerFinding is the answer of every operation on one finding.
func answerFinding(found store.Triaged, err error) (*findingOutput, error) {
	if err != nil {
		return nil, err
	}
	scan := found.Scan
	out := &findingOutput{findingDetail{
		findingView: viewFinding(found.Finding), Scan: scan.ReferenceID, Project: scan.ProjectName,
		Commit: scan.CommitSHA, Status: string(scan.Status), Verdict: text(scan.Verdict), Summary: scan.Summary,
	}}
	by, decision := found.Decision, found.Finding.TriageDecision
	if by != nil && decision != nil && *decision == by.Decision {
		out.Body.DecidedBy = viewDecision(*by)
	}
	if found.Waiting != nil {
		proposal := viewProposal(*found.Waiting)
		out.Body.Proposal = &proposal
	}
	return out, nil
}

// proposalView is a dismissal that waits for a second person.
type proposalView struct {
	ID        int64     `json:"id" doc:"for approving or refusing just this one"`
	Verdict   string    `json:"user_verdict" enum:"TP,FP"`
	Author    string    `json:"author" doc:"who cannot approve it"`
	Comment   string    `json:"comment"`
	FindingID int64     `json:"finding_id" doc:"on which it was made: this one, or the same finding in another scan"`
	Timestamp time.Time `json:"timestamp"`

	dismissalView
}

func viewProposal(p approval.Proposal) proposalView {
	return proposalView{p.ID, string(p.Decision), p.Author, p.Comment, p.FindingID, p.Timestamp, viewDismissal(p.Grounds())}
}

// waitingView is a proposal with its alert.
type waitingView struct {
	proposalView
	Platform string `json:"source_platform"`
	Project  string `json:"project_name"`
	Number   int    `json:"number" doc:"of the alert within the project"`
	Severity string `json:"severity" enum:"Critical,High,Medium,Low"`
	Title    string `json:"title"`
	RuleID   string `json:"rule_id"`
	File     string `json:"file" doc:"where it was seen last"`
	Line     int    `json:"line" doc:"1-based; 0 where unknown"`
}

func viewWaiting(w decisions.Waiting) waitingView {
	return waitingView{
		viewProposal(w.Proposal), w.Platform, w.Project, w.Number, string(w.Severity), w.Title, w.RuleID, w.File, w.Line,
	}
}

func (a *API) listProposals(ctx context.Context, in *paging.Input) (*paging.Output[waitingView], error) {
	return paging.List(*in, func(before int64, limit int) ([]decisions.Waiting, error) {
		return a.Store.ListProposals(ctx, before, limit)
	}, viewWaiting, func(w decisions.Waiting) int64 { return w.ID })
}

type approveInput struct {
	FindingID
	Body struct {
		Proposal int64  `json:"proposal" minimum:"1" doc:"id of the one that you have seen; 409 if another one waits"`
		Comments string `json:"comments,omitempty" maxLength:"10240" doc:"without, those of the proposal"`
	}
}

func (a *API) approveProposal(ctx context.Context, in *approveInput) (*findingOutput, error) {
	found, err := a.Store.ApproveProposal(ctx, store.Opinion{
		FindingID: in.ID, ProposalID: in.Body.Proposal, Author: author(ctx), Comments: in.Body.Comments,
	})
	return answerFinding(found, err)
}

type refuseInput struct {
	FindingID
	Proposal int64  `query:"proposal" required:"true" minimum:"1" doc:"id of the one that you have seen; 409 if another one waits"`
	Comments string `query:"comments" maxLength:"2000"`
}

func (a *API) refuseProposal(ctx context.Context, in *refuseInput) (*findingOutput, error) {
	found, err := a.Store.RefuseProposal(ctx, store.Opinion{
		FindingID: in.ID, ProposalID: in.Proposal, Author: author(ctx), Comments: in.Comments,
	})
	return answerFinding(found, err)
}

func viewDecision(by core.TriageDecision) *decisionView {
	return &decisionView{by.ID, string(by.Source), by.Author, by.ProposedBy, by.Comment, by.FindingID, by.Timestamp, viewDismissal(by.Grounds())}
}

func (a *API) getFinding(ctx context.Context, in *FindingID) (*findingOutput, error) {
	found, err := a.Store.GetFinding(ctx, in.ID)
	answer, err := answerFinding(found, err)
	if err != nil {
		return nil, err
	}
	one := []core.Finding{found.Finding}
	said, err := a.Store.ListDetails(ctx, one)
	if err != nil {
		return nil, err
	}
	help, err := a.Store.ListHelp(ctx, one)
	if d, known := said[in.ID]; known {
		answer.Body.Details = &d
	}
	if h := help.Of(found.Finding); !h.IsZero() {
		answer.Body.RuleHelp = &h
	}
	return answer, err
}

type patchFindingInput struct {
	FindingID
	Body struct {
		Dismissing
		TriageDecision   optional[core.Triage] `json:"triage_decision,omitempty" enum:"TP,FP"`
		Comments         string                `json:"comments,omitempty" maxLength:"10240" doc:"why"`
		AIVerdict        optional[string]      `json:"ai_verdict,omitempty" maxLength:"64"`
		AIConfidence     optional[float64]     `json:"ai_confidence,omitempty" minimum:"0" maximum:"1"`
		AIReasoning      optional[string]      `json:"ai_reasoning,omitempty" maxLength:"32768"`
		RemediationPatch optional[string]      `json:"remediation_patch,omitempty" maxLength:"262144" doc:"a unified diff"`
		RedTeamSuccess   optional[bool]        `json:"red_team_success,omitempty" doc:"true: it could be exploited"`
	}
}

// patchFinding attributes an update to an AI if it has fields that only an AI sets.
func (a *API) patchFinding(ctx context.Context, in *patchFindingInput) (*findingOutput, error) {
	update := core.TriageUpdate{
		Source: core.ByScanner, Author: author(ctx), Comment: in.Body.Comments,
		TriageDecision: in.Body.TriageDecision.Change, AIVerdict: in.Body.AIVerdict.Change,
		AIConfidence: in.Body.AIConfidence.Change, AIReasoning: in.Body.AIReasoning.Change,
		RemediationPatch: in.Body.RemediationPatch.Change, RedTeamSuccess: in.Body.RedTeamSuccess.Change,
		Dismissal: in.Body.dismissal(),
	}
	if said := update.Reason.Triage(); said != "" && !update.TriageDecision.Set {
		update.TriageDecision = core.SetTo(said)
	}
	if update.AIVerdict.Set || update.AIConfidence.Set || update.AIReasoning.Set {
		update.Source = core.ByAI
	}
	found, err := a.Store.PatchFinding(ctx, in.ID, update)
	return answerFinding(found, err)
}

type feedbackInput struct {
	FindingID
	Body struct {
		Dismissing
		UserVerdict string `json:"user_verdict" enum:"TP,FP" doc:"true or false positive"`
		Comments    string `json:"comments,omitempty" maxLength:"10240"`
	}
}

func (a *API) giveFeedback(ctx context.Context, in *feedbackInput) (*findingOutput, error) {
	found, err := a.Store.RecordFeedback(ctx, core.Feedback{
		FindingID: in.ID, UserVerdict: core.Triage(in.Body.UserVerdict), Comments: in.Body.Comments, Author: author(ctx),
		Dismissal: in.Body.dismissal(),
	})
	return answerFinding(found, err)
}

type withdrawInput struct {
	FindingID
	Word     int64  `query:"word" minimum:"1" doc:"id of the decision to withdraw, as in decided_by; 409 if another one holds"`
	Comments string `query:"comments" maxLength:"2000"`
}

func (a *API) withdrawFeedback(ctx context.Context, in *withdrawInput) (*findingOutput, error) {
	found, err := a.Store.WithdrawFeedback(ctx, core.Withdrawal{
		FindingID: in.ID, DecisionID: in.Word, Author: author(ctx), Comments: in.Comments,
	})
	return answerFinding(found, err)
}

// eventView is an entry of a finding's history.
type eventView struct {
	ID          int64           `json:"id"`
	Source      string          `json:"source" enum:"person,scanner,ai,expiry,carried"`
	Origin      string          `json:"origin" enum:"person,scanner,ai,red_team,expiry" doc:"of a decision that was carried"`
	CarriedFrom *int64          `json:"carried_from" doc:"the finding, of another scan, on which it was made"`
	Author      string          `json:"author"`
	Changes     json.RawMessage `json:"changes" doc:"the new values, by field"`
	Decision    *string         `json:"triage_decision" enum:"TP,FP" doc:"the finding's from then on"`
	Comment     string          `json:"comment"`
	Timestamp   time.Time       `json:"timestamp"`

	dismissalView
}

func viewEvent(e core.TriageEvent) eventView {
	return eventView{
		ID: e.ID, Source: string(e.Source), Origin: string(e.Origin), CarriedFrom: e.PropagatedFrom, Author: e.Author,
		Changes: json.RawMessage(e.Changes), Decision: text(e.Decision), Comment: e.Comment, Timestamp: e.Timestamp,
		dismissalView: viewDismissal(e.Grounds()),
	}
}

type historyInput struct {
	FindingID
	paging.Input
}

func (a *API) listHistory(ctx context.Context, in *historyInput) (*paging.Output[eventView], error) {
	if _, err := a.Store.GetFinding(ctx, in.ID); err != nil {
		return nil, err
	}
	return paging.List(in.Input, func(after int64, limit int) ([]core.TriageEvent, error) {
		return a.Store.ListTriage(ctx, in.ID, after, limit)
	}, viewEvent, func(e core.TriageEvent) int64 { return e.ID })
}

// optional is a field of a PATCH: if it is omitted it stays as it is, null clears it.
type optional[T comparable] struct{ core.Change[T] }

// UnmarshalJSON is called for fields that the body has, null included.
func (o *optional[T]) UnmarshalJSON(data []byte) error {
	o.Set = true
	return json.Unmarshal(data, &o.Value)
}

// Schema describes the field as its value, or null.
func (optional[T]) Schema(registry huma.Registry) *huma.Schema {
	schema := *registry.Schema(reflect.TypeFor[T](), true, "")
	schema.Nullable = true
	return &schema
}
