package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/core/approval"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/core/patch"
	"github.com/scanhook/scanhook/internal/web/detail"
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/store"
)

// maxHistory bounds the history that one page reads, in events of all its findings.
const maxHistory = 500

// The limits of what is shown of code.
const (
	maxSnippetLines = 30
	maxPatchLines   = 400
	maxLine         = 400 // characters
)

// findingView is a finding as its card shows it.
type findingView struct {
	core.Finding
	Alert        string // shop#17, or empty
	AlertAddress string // of the alert's page, below the base
	Heading      string
	Body         string // the message, where it says more than the heading
	Link         string // to the line on the platform, or empty
	Help         string // http(s), or empty
	CVE          string // link, or empty
	CWELink      string // link, or empty
	Decides      bool   // it is one of those that failed the gate
	Triage       core.Triage
	Why          core.Dismissal       // why it is dismissed; zero where it is not
	Undoable     *core.TriageDecision // a person's decision that holds and can be withdrawn; nil where there is none
	Waiting      *approval.Proposal   // a dismissal that waits for a second person; nil for none
	Code         []detail.Line
	Patch        []detail.Line
	History      []core.TriageEvent
	Evidence     string // why it counts as a known one, or empty
	Absent       bool
	Past         *past // nil for a finding in the tree
	Proven       bool  // the red team could exploit it
	AIShare      float64
	HasShare     bool
	More         *detail.View // what the report says besides; nil where it does not
}

// addHistories adds to the views what was said about the findings, in one query.
func (w *Web) addHistories(ctx context.Context, views []findingView, findings []core.Finding) error {
	histories, err := w.Store.ListHistories(ctx, findings, maxHistory)
	for i, f := range findings {
		views[i].History = histories[f.ID]
	}
	return err
}

// viewFindings adds decisions, in one query.
func (w *Web) viewFindings(
	ctx context.Context, scan core.Scan, baseline string, findings []core.Finding,
) ([]findingView, error) {
	decisions, err := w.Store.ListDecisions(ctx, findings)
	if err != nil {
		return nil, err
	}
	waiting, err := w.Store.ListWaiting(ctx, findings)
	if err != nil {
		return nil, err
	}
	views := make([]findingView, len(findings))
	for i, f := range findings {
		views[i] = w.viewFinding(scan, baseline, f)
		if proposal, waits := waiting[f.AlertID]; waits {
			views[i].Waiting = &proposal
		}
		d, decided := decisions[f.AlertID]
		if !decided || views[i].Triage != d.Decision {
			continue
		}
		if views[i].Why = d.Grounds(); d.Source == core.ByPerson {
			views[i].Undoable = &d
		}
	}
	return views, w.addDetails(ctx, scan, baseline, findings, views)
}

// addDetails adds what reports say of the findings besides. What a rule is about stands with its first finding.
func (w *Web) addDetails(ctx context.Context, scan core.Scan, baseline string, findings []core.Finding, views []findingView) error {
	said, err := w.Store.ListDetails(ctx, findings)
	if err != nil {
		return err
	}
	help, err := w.Store.ListHelp(ctx, findings)
	if err != nil {
		return err
	}
	shown := make(map[core.RuleName]int64) // the findings that stand with what their rules are about
	for i, f := range findings {
		sha := shaOf(scan, baseline, f)
		rule := core.RuleName{Tool: f.Tool, Rule: f.RuleID}
		more := detail.New(f, said[f.ID], help.Of(f), shown[rule], func(file string, line, end int) string {
			return w.Platforms.lineLink(scan, sha, core.Finding{File: file, Line: line, EndLine: end})
		})
		if more != nil && more.Help != "" {
			shown[rule] = f.ID
		}
		views[i].More = more
	}
	return nil
}

// shaOf is the commit in which the places of a finding are.
func shaOf(scan core.Scan, baseline string, f core.Finding) string {
	switch {
	case f.Commit != "": // a finding in history
		return f.Commit
	case f.BaselineState == core.Absent: // its line is in the baseline
		return baseline
	}
	return scan.CommitSHA
}

// viewFinding is a finding of a scan; baseline is the commit that it was compared with.
func (w *Web) viewFinding(scan core.Scan, baseline string, f core.Finding) findingView {
	view := findingView{
		Finding: f, Heading: text.FirstLine(cmp.Or(f.Title, f.Message, f.RuleID)), Help: text.WebLink(f.HelpURI),
		CVE: cveLink(f.CVEID), CWELink: cweLink(f.CWE), Decides: slices.Contains(scan.DecidingIDs(), f.ID),
		Code: codeOf(f), Absent: f.BaselineState == core.Absent,
	}
	if f.BaselineState == core.Unchanged {
		view.Evidence = match.Evidence(f.MatchedBy).Meaning()
	}
	if f.AlertNumber > 0 {
		view.Alert = alerts.Name(scan.ProjectName, f.AlertNumber)
		view.AlertAddress = text.AlertAddress(scan.SourcePlatform, scan.ProjectName, f.AlertNumber)
	}
	// Scanners repeat their title at the beginning of the message.
	rest, repeated := strings.CutPrefix(strings.TrimSpace(f.Message), view.Heading)
	view.Body = strings.TrimSpace(strings.TrimPrefix(rest, "."))
	if !repeated || strings.HasSuffix(view.Heading, "…") {
		view.Body = f.Message
	}
	view.Past = w.Platforms.pastOf(scan, f.Commit)
	view.Link = w.Platforms.lineLink(scan, shaOf(scan, baseline, f), f)
	if f.TriageDecision != nil {
		view.Triage, view.Why.Reason = *f.TriageDecision, f.DismissedFor()
	}
	view.Proven = f.RedTeamSuccess != nil && *f.RedTeamSuccess
	if f.AIConfidence != nil {
		view.AIShare, view.HasShare = *f.AIConfidence, true
	}
	if f.RemediationPatch != nil {
		view.Patch = diff(*f.RemediationPatch)
	}
	return view
}

func cveLink(id string) string {
	if canonical, err := core.ParseCVE(id); err == nil {
		return "https://nvd.nist.gov/vuln/detail/" + canonical
	}
	return ""
}

func cweLink(id string) string {
	number, ok := strings.CutPrefix(strings.ToUpper(id), "CWE-")
	if !ok || number == "" || len(number) > 6 || strings.Trim(number, "0123456789") != "" {
		return ""
	}
	return "https://cwe.mitre.org/data/definitions/" + number + ".html"
}

// codeOf is the code of a finding: the lines around it if there was a checkout, else the snippet of the report.
func codeOf(f core.Finding) []detail.Line {
	if f.Code != "" && f.CodeLine > 0 {
		return numbered(f, strings.Split(f.Code, "\n"), f.CodeLine)
	}
	snippet := strings.Trim(strings.ReplaceAll(f.Snippet, "\r\n", "\n"), "\n")
	if strings.TrimSpace(snippet) == "" {
		return nil
	}
	// The snippet has the lines of the finding itself, or more lines around them; then their first number is unknown.
	texts := strings.Split(snippet, "\n")
	first := f.Line
	if len(texts) > max(f.EndLine, f.Line)-f.Line+1 {
		first = 0
	}
	return numbered(f, texts, first)
}

// numbered numbers lines from first on, and marks those of the finding; first is 0 where it is unknown.
func numbered(f core.Finding, texts []string, first int) []detail.Line {
	lines := make([]detail.Line, 0, min(len(texts), maxSnippetLines))
	for i, source := range texts[:min(len(texts), maxSnippetLines)] {
		if i > 0 && source == texts[i-1] && strings.HasPrefix(source, "REDACTED") {
			continue // a redacted secret of several lines is shown as one line
		}
		line := detail.Line{Text: text.Short(source, maxLine)}
		if first > 0 {
			line.Number = first + i
		}
		if line.Number >= f.Line && line.Number <= max(f.Line, f.EndLine) && line.Number > 0 {
			line.Kind = "mark"
		}
		lines = append(lines, line)
	}
	return lines
}

// diff sorts the lines of a patch.
func diff(unified string) []detail.Line {
	texts := strings.Split(strings.TrimRight(unified, "\n"), "\n")
	lines := make([]detail.Line, 0, min(len(texts), maxPatchLines))
	for _, source := range texts[:min(len(texts), maxPatchLines)] {
		lines = append(lines, detail.Line{Text: text.Short(source, maxLine), Kind: patch.LineKind(source)})
	}
	return lines
}

// DownloadPatch downloads a finding's remediation patch for git apply.
func (w *Web) DownloadPatch(c *gin.Context) error {
	found, err := w.findingOf(c)
	if err != nil {
		return err
	}
	if found.Finding.RemediationPatch == nil {
		return fmt.Errorf("%w: finding %d has no patch", core.ErrNotFound, found.Finding.ID)
	}
	c.Header("Content-Disposition", fmt.Sprintf(`attachment; filename="finding-%d.patch"`, found.Finding.ID))
	c.Data(http.StatusOK, "text/plain; charset=utf-8", []byte(*found.Finding.RemediationPatch))
	return nil
}

// findingOf reads the finding that the address names.
func (w *Web) findingOf(c *gin.Context) (store.Triaged, error) {
	id, err := findingID(c)
	if err != nil {
		return store.Triaged{}, err
	}
	return w.Store.GetFinding(c.Request.Context(), id)
}

func findingID(c *gin.Context) (int64, error) { return idIn(c, "finding") }

// idIn is the id in the address of a row of some kind.
func idIn(c *gin.Context, kind string) (int64, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: the id of a %s is a number", core.ErrNotFound, kind)
	}
	return id, nil
}

// anchorOf is the id of a finding's card in the page.
func anchorOf(id int64) string { return fmt.Sprintf("finding-%d", id) }
