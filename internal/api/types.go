package api

import (
	"time"

	"github.com/scanhook/scanhook/core"
)

// scanView is a scan as the API shows it; its fields bear the names of the columns.
type scanView struct {
	ReferenceID           string     `json:"reference_id" doc:"public name of the scan (UUID)"`
	SourcePlatform        string     `json:"source_platform" example:"github"`
	ProjectName           string     `json:"project_name" example:"acme/shop"`
	RepoURL               string     `json:"repo_url"`
	Branch                string     `json:"branch"`
	CommitSHA             string     `json:"commit_sha"`
	BeforeSHA             string     `json:"before_sha,omitempty"`
	Attempt               int        `json:"attempt" doc:"1, and one more for each rescan of the commit"`
	Origin                string     `json:"origin" doc:"what made us look at the commit" example:"push"`
	Timestamp             time.Time  `json:"timestamp"`
	Status                string     `json:"status" enum:"pending,processing,completed,failed"`
	Verdict               *string    `json:"verdict" enum:"pass,fail" doc:"null until the scan is completed"`
	VerdictReason         string     `json:"verdict_reason" doc:"the rules of the gate that decided" example:"fail_on: high, new findings only"`
	Summary               string     `json:"summary" example:"2 new (1 critical, 1 high), 14 known, 3 fixed"`
	Error                 string     `json:"error,omitempty" doc:"why a failed scan failed"`
	SupersededBy          string     `json:"superseded_by,omitempty" doc:"the newer commit because of which it was not scanned"`
	NumChangedFiles       *int       `json:"num_changed_files"`
	ChangedFilesTruncated bool       `json:"changed_files_truncated" doc:"num_changed_files is a lower bound"`
	StartedAt             *time.Time `json:"started_at"`
	FinishedAt            *time.Time `json:"finished_at"`
}

func viewScan(s core.Scan) scanView {
	return scanView{
		ReferenceID: s.ReferenceID, SourcePlatform: s.SourcePlatform, ProjectName: s.ProjectName, RepoURL: s.RepoURL,
		Branch: s.Branch, CommitSHA: s.CommitSHA, BeforeSHA: s.BeforeSHA, Attempt: s.Attempt, Origin: s.Origin,
		Timestamp: s.Timestamp, Status: string(s.Status), Verdict: text(s.Verdict),
		VerdictReason: s.VerdictReason, Summary: s.Summary, Error: s.Error,
		SupersededBy: s.SupersededBy, NumChangedFiles: s.NumChangedFiles,
		ChangedFilesTruncated: s.ChangedFilesTruncated, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt,
	}
}

// jobView is one scanner's part of a scan.
type jobView struct {
	Scanner     string     `json:"scanner"`
	State       string     `json:"state" enum:"pending,running,completed,failed,superseded"`
	Attempt     int        `json:"attempt"`
	Error       string     `json:"error,omitempty"`
	NumFindings int        `json:"num_findings"`
	NumAbsent   int        `json:"num_absent" doc:"findings of the baseline that are gone: fixed"`
	Baseline    string     `json:"baseline_commit,omitempty" doc:"the last commit before in which this scanner completed"`
	StartedAt   *time.Time `json:"started_at"`
	FinishedAt  *time.Time `json:"finished_at"`
}

func viewJob(j core.Job) jobView {
	return jobView{
		Scanner: j.Scanner, State: string(j.State), Attempt: j.Attempt, Error: j.Error, NumFindings: j.NumFindings,
		NumAbsent: j.NumAbsent, Baseline: j.BaselineCommit, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt,
	}
}

// statusView is a commit status: what is wanted, and how far it got.
type statusView struct {
	Context     string     `json:"context"`
	State       string     `json:"state" enum:"pending,success,failure,error,cancelled"`
	Description string     `json:"description"`
	TargetURL   string     `json:"target_url,omitempty"`
	Posted      bool       `json:"posted" doc:"the platform shows this, apart from left_out"`
	LeftOut     string     `json:"left_out,omitempty" doc:"what the platform refused of what was posted last, and why"`
	PostedState string     `json:"posted_state,omitempty"`
	PostedAt    *time.Time `json:"posted_at"`
	Attempts    int        `json:"attempts" doc:"failed attempts to post this"`
	LastError   string     `json:"last_error,omitempty"`
	GivenUp     bool       `json:"given_up"`
}

func viewStatus(s core.Status) statusView {
	return statusView{
		Context: s.Context, State: string(s.State), Description: s.Description, TargetURL: s.TargetURL,
		Posted: s.PostedRevision == s.Revision, LeftOut: s.LeftOut, PostedState: string(s.PostedState), PostedAt: s.PostedAt,
		Attempts: s.Attempts, LastError: s.LastError, GivenUp: s.GivenUp,
	}
}

// findingView is a finding as the API shows it.
type findingView struct {
	ID               int64    `json:"id"`
	Tool             string   `json:"tool"`
	RuleID           string   `json:"rule_id"`
	File             string   `json:"file"`
	Line             int      `json:"line" doc:"1-based; 0 where unknown"`
	EndLine          int      `json:"end_line,omitempty"`
	Severity         string   `json:"severity" enum:"Critical,High,Medium,Low"`
	Title            string   `json:"title"`
	Message          string   `json:"message"`
	CVEID            string   `json:"cve_id,omitempty"`
	CWE              string   `json:"cwe,omitempty"`
	HelpURI          string   `json:"help_uri,omitempty"`
	Snippet          string   `json:"snippet,omitempty"`
	Fingerprint      string   `json:"fingerprint"`
	BaselineState    string   `json:"baseline_state" enum:"new,unchanged,absent"`
	Suppressed       *string  `json:"suppressed" doc:"why the scanner itself hides it"`
	TriageDecision   *string  `json:"triage_decision" enum:"TP,FP"`
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
		ID: f.ID, Tool: f.Tool, RuleID: f.RuleID, File: f.File, Line: f.Line, EndLine: f.EndLine,
		Severity: string(f.Severity), Title: f.Title, Message: f.Message, CVEID: f.CVEID, CWE: f.CWE,
		HelpURI: f.HelpURI, Snippet: f.Snippet, Fingerprint: f.Fingerprint, BaselineState: string(f.BaselineState),
		Suppressed: f.Suppressed, TriageDecision: text(f.TriageDecision), AIVerdict: f.AIVerdict,
		AIConfidence: f.AIConfidence, AIReasoning: f.AIReasoning, RemediationPatch: f.RemediationPatch,
		RedTeamSuccess: f.RedTeamSuccess, EPSSProbability: f.EPSSProbability, EPSSPercentile: f.EPSSPercentile, KEV: f.KEV,
	}
}

func text[T ~string](value *T) *string {
	if value == nil {
		return nil
	}
	s := string(*value)
	return &s
}

func views[T, V any](list []T, view func(T) V) []V {
	out := make([]V, len(list))
	for i, item := range list {
		out[i] = view(item)
	}
	return out
}
