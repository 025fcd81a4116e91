package api

import (
	"context"
	_ "embed"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/api/paging"
	"github.com/scanhook/scanhook/store"
)

// RegisterFindings describes the list of findings.
func (a *API) RegisterFindings(api huma.API) {
	register(a, api, operation(access.ReadScans, http.MethodGet, "/scans/{ref}/findings", "list-findings",
		"Findings of a scan, the gravest or riskiest first; with baseline_state=absent those that it fixed"), a.listFindings)
}

type listFindingsInput struct {
	ScanRef
	paging.Input
	Severity      string `query:"severity" enum:"Critical,High,Medium,Low"`
	BaselineState string `query:"baseline_state" enum:"new,unchanged,absent"`
	Tool          string `query:"tool" maxLength:"500"`
	File          string `query:"file" maxLength:"4000"`
	RuleID        string `query:"rule_id" maxLength:"500"`
	Sort          string `query:"sort" enum:"severity,risk" default:"severity" doc:"risk: KEV, then EPSS, then severity"`
}

// riskCursor begins the cursors of lists that are sorted by risk, so that no other list accepts them.
const riskCursor = "risk"

// resume reads the cursor into the filter.
func (in *listFindingsInput) resume(f *store.FindingFilter) error {
	keys := []any{&f.AfterRank, &f.AfterID}
	if f.ByRisk = in.Sort == riskCursor; f.ByRisk {
		var kind string
		keys = append([]any{&kind, &f.AfterKEV, &f.AfterProbability}, keys...)
	}
	err := paging.Decode(in.Cursor, keys...)
	if err == nil && (f.AfterRank < 0 || f.AfterRank > core.Critical.Rank()) {
		err = paging.ErrCursor
	}
	return err
}

func (in *listFindingsInput) next(last core.Finding) string {
	if in.Sort != riskCursor {
		return paging.Cursor(last.Severity.Rank(), last.ID)
	}
	probability := 0.0
	if last.EPSSProbability != nil {
		probability = *last.EPSSProbability
	}
	return paging.Cursor(riskCursor, last.KEV, probability, last.Severity.Rank(), last.ID)
}

func (a *API) listFindings(ctx context.Context, in *listFindingsInput) (*paging.Output[findingView], error) {
	filter := store.FindingFilter{
		Severity: core.Severity(in.Severity), BaselineState: core.BaselineState(in.BaselineState),
		Tool: in.Tool, File: in.File, RuleID: in.RuleID, Limit: in.Limit + 1,
	}
	if err := in.resume(&filter); err != nil {
		return nil, err
	}
	scan, err := a.Store.AwaitScan(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	findings, err := a.Store.ListFindings(ctx, scan, filter)
	if err != nil {
		return nil, err
	}
	return paging.Page(findings, in.Limit, viewFinding, in.next), nil
}

// findingView is a finding as the API shows it.
type findingView struct {
	ID               int64    `json:"id"`
	Alert            int      `json:"alert" doc:"number of its alert in the project: the same finding through all commits"`
	Tool             string   `json:"tool"`
	RuleID           string   `json:"rule_id"`
	File             string   `json:"file"`
	Line             int      `json:"line" doc:"1-based; 0 where unknown"`
	EndLine          int      `json:"end_line,omitempty"`
	Commit           string   `json:"commit_sha,omitempty" doc:"the commit that brought a finding in history, which is no longer in the tree; none for others"`
	Severity         string   `json:"severity" enum:"Critical,High,Medium,Low"`
	Title            string   `json:"title"`
	Message          string   `json:"message"`
	CVEID            string   `json:"cve_id,omitempty"`
	VulnerabilityIDs []string `json:"vulnerability_ids,omitempty" doc:"all ids of a vulnerability that has several; cve_id is the riskiest"`
	CWE              string   `json:"cwe,omitempty"`
	HelpURI          string   `json:"help_uri,omitempty"`
	Snippet          string   `json:"snippet,omitempty"`
	Fingerprint      string   `json:"fingerprint"`
	BaselineState    string   `json:"baseline_state" enum:"new,unchanged,absent"`
	MatchedBy        string   `json:"matched_by,omitempty" doc:"why it counts as an earlier finding: the evidence; none for one that does not, or that an older version stored" enum:"fingerprint,advisory,place,line,tool,secret,code,message,renamed,context,commit,history,edited,alert,kept"`
	Unresolved       bool     `json:"unresolved,omitempty" doc:"it failed the default branch before, and is neither fixed nor decided on by a person"`
	Suppressed       *string  `json:"suppressed" doc:"why the scanner itself hides it"`
	TriageDecision   *string  `json:"triage_decision" enum:"TP,FP"`
	Dismissed        bool     `json:"dismissed" doc:"it does not count: suppressed, or dismissed by somebody who may; an AI alone may not for Critical, known exploited and proven ones"`
	Reason           *string  `json:"reason" enum:"false_positive,accepted_risk,used_in_tests,wont_fix,revoked" doc:"why it is dismissed; null where nobody has"`
	AIVerdict        *string  `json:"ai_verdict"`
	AIConfidence     *float64 `json:"ai_confidence"`
	AIReasoning      *string  `json:"ai_reasoning"`
	RemediationPatch *string  `json:"remediation_patch"`
	RedTeamSuccess   *bool    `json:"red_team_success"`
	EPSSProbability  *float64 `json:"epss_probability" doc:"of the CVE being exploited within 30 days, 0-1; null where unknown"`
	EPSSPercentile   *float64 `json:"epss_percentile" doc:"share of CVEs with this probability or a lower one, 0-1"`
	KEV              bool     `json:"kev" doc:"the CVE is known to be exploited (CISA KEV)"`
}

func viewFinding(f core.Finding) findingView {
	return findingView{
		ID: f.ID, Alert: f.AlertNumber, Tool: f.Tool, RuleID: f.RuleID, File: f.File, Line: f.Line, EndLine: f.EndLine, Commit: f.Commit,
		Severity: string(f.Severity), Title: f.Title, Message: f.Message, CVEID: f.CVEID, CWE: f.CWE,
		VulnerabilityIDs: strings.Fields(f.VulnerabilityIDs),
		HelpURI:          f.HelpURI, Snippet: f.Snippet, Fingerprint: f.Fingerprint, BaselineState: string(f.BaselineState),
		MatchedBy: f.MatchedBy, Unresolved: f.Unresolved, Suppressed: f.Suppressed,
		TriageDecision: text(f.TriageDecision), Dismissed: f.Dismissed, Reason: present(string(f.DismissedFor())), AIVerdict: f.AIVerdict,
		AIConfidence: f.AIConfidence, AIReasoning: f.AIReasoning, RemediationPatch: f.RemediationPatch,
		RedTeamSuccess: f.RedTeamSuccess, EPSSProbability: f.EPSSProbability, EPSSPercentile: f.EPSSPercentile, KEV: f.KEV,
	}
}
