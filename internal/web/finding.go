package web

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// maxHistory bounds the history that one page reads, in events of all its findings.
const maxHistory = 500

// findingView is a finding as its card shows it.
type findingView struct {
	core.Finding
	Heading  string
	Body     string // the message, where it says more than the heading
	Link     string // to the line on the platform, or empty
	Help     string // http(s), or empty
	CVE      string // link, or empty
	CWELink  string // link, or empty
	Decides  bool   // it is one of those that failed the gate
	Triage   core.Triage
	Word     *core.Word // a person's that holds, and can be taken back; nil where there is none
	Code     []codeLine
	Patch    []codeLine
	History  []core.TriageEvent
	Absent   bool
	Proven   bool // the red team could exploit it
	AIShare  float64
	HasShare bool
}

// card is a finding with the page that it stands on.
type card struct {
	Page    view
	Scan    scanPage
	Finding findingView
}

// viewFindings adds the words that hold and the histories, each in one query.
func (w *Web) viewFindings(ctx context.Context, page scanPage, findings []core.Finding) ([]findingView, error) {
	ids := make([]int64, len(findings))
	views := make([]findingView, len(findings))
	for i, f := range findings {
		ids[i], views[i] = f.ID, w.viewFinding(page, f)
	}
	if err := w.fillWords(ctx, page.Scan, views); err != nil {
		return nil, err
	}
	events, err := w.Store.ListHistories(ctx, ids, maxHistory)
	for _, event := range events {
		i := slices.Index(ids, event.FindingID)
		views[i].History = append(views[i].History, event)
	}
	return views, err
}

func (w *Web) fillWords(ctx context.Context, scan core.Scan, views []findingView) error {
	var prints []string
	for _, f := range views {
		if f.TriageDecision != nil {
			prints = append(prints, f.Fingerprint)
		}
	}
	words, err := w.Store.ListWords(ctx, scan, prints)
	for i, f := range views {
		if word, said := words[f.Fingerprint]; said && word.Source == core.ByPerson && f.Triage == word.Decision {
			views[i].Word = &word
		}
	}
	return err
}

func (w *Web) viewFinding(page scanPage, f core.Finding) findingView {
	view := findingView{
		Finding: f, Heading: firstLine(cmp.Or(f.Title, f.Message, f.RuleID)), Help: webLink(f.HelpURI),
		CVE: cveLink(f.CVEID), CWELink: cweLink(f.CWE), Decides: slices.Contains(page.Scan.DecidingIDs(), f.ID),
		Code: codeOf(f), Absent: f.BaselineState == core.Absent,
	}
	// Scanners repeat their title at the beginning of the message.
	rest, repeated := strings.CutPrefix(strings.TrimSpace(f.Message), view.Heading)
	view.Body = strings.TrimSpace(strings.TrimPrefix(rest, "."))
	if !repeated || strings.HasSuffix(view.Heading, "…") {
		view.Body = f.Message
	}
	sha := page.Scan.CommitSHA
	if view.Absent { // its line is in the commit that was compared with
		sha = page.Baseline
	}
	view.Link = w.lineLink(page.Scan, sha, f)
	if f.TriageDecision != nil {
		view.Triage = *f.TriageDecision
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

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
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
