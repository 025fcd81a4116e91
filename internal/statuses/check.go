package statuses

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// Bounds of a check run: GitHub takes 50 annotations a call, and people read fewer.
const (
	maxAnnotations = 200
	maxListed      = 20 // findings in the summary
)

// checkReport is what the check run of a status says: nothing while its scan goes on.
func (s *sender) checkReport(ctx context.Context, status core.Status) (platforms.CheckReport, error) {
	if status.State == core.StatusPending {
		return platforms.CheckReport{Summary: "The verdict comes when the scan has ended."}, nil
	}
	scan, err := s.Store.GetScanByID(ctx, status.ScanID)
	if err != nil {
		return platforms.CheckReport{}, err
	}
	jobs, err := s.Store.ListJobs(ctx, scan)
	if err != nil {
		return platforms.CheckReport{}, err
	}
	findings, err := s.Store.PageFindings(ctx, scan, store.FindingPage{State: core.New, Limit: maxAnnotations})
	if err != nil {
		return platforms.CheckReport{}, err
	}
	return describeCheck(scan, core.CoverageOf(jobs), findings, status.TargetURL), nil
}

// describeCheck makes the report of an ended scan from its new findings that are not dismissed, the most urgent first.
func describeCheck(scan core.Scan, coverage *core.Coverage, found []core.Finding, page string) (report platforms.CheckReport) {
	var text strings.Builder
	fmt.Fprintf(&text, "**%s**\n", markdown(cmp.Or(scan.Summary, scan.Error, string(scan.Status))))
	if scan.VerdictReason != "" {
		fmt.Fprintf(&text, "\nThe gate: %s.\n", markdown(scan.VerdictReason))
	}
	if coverage != nil && coverage.NotSearched() > 0 {
		fmt.Fprintf(&text, "\nNot searched: %d, which may hold findings.\n", coverage.NotSearched())
	}
	for _, f := range found {
		if f.File != "" && f.Commit == "" {
			report.Annotations = append(report.Annotations, annotate(f))
		}
	}
	if len(found) > 0 {
		text.WriteString("\n| severity | new finding | place |\n| --- | --- | --- |\n")
	}
	for _, f := range found[:min(len(found), maxListed)] {
		fmt.Fprintf(&text, "| %s | %s | %s |\n", f.Severity, markdown(cmp.Or(f.Title, f.RuleID)), markdown(placeOf(f)))
	}
	switch rest := len(found) - maxListed; {
	case len(found) == maxAnnotations: // there may be more than were read
		text.WriteString("\nand more\n")
	case rest > 0:
		fmt.Fprintf(&text, "\nand %d more\n", rest)
	}
	if page != "" {
		fmt.Fprintf(&text, "\n[All findings, and what to do about them](%s)\n", page)
	}
	report.Summary = text.String()
	return report
}

func annotate(f core.Finding) platforms.Annotation {
	return platforms.Annotation{
		File: f.File, Line: f.Line, EndLine: f.EndLine, Severity: f.Severity,
		Title:   core.Line(strings.TrimSpace(fmt.Sprintf("%s: %s", f.Severity, cmp.Or(f.Title, f.RuleID)))),
		Message: core.Printable(cmp.Or(f.Message, f.Title, f.RuleID)),
	}
}

func placeOf(f core.Finding) string {
	place := f.File
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	if f.Commit != "" {
		place += " in commit " + core.ShortSHA(f.Commit)
	}
	return place
}

// maxCell bounds a text in the summary, in bytes.
const maxCell = 300

// markdown is a text as Markdown shows it: findings are made of strangers' code, which must not become links or mentions.
func markdown(text string) string {
	text = core.Clip(core.Line(text), maxCell)
	return markup.Replace(text)
}

var markup = func() *strings.Replacer {
	var pairs []string
	for _, sign := range "\\`*_{}[]()<>#+-.!|~@:&" {
		pairs = append(pairs, string(sign), fmt.Sprintf("&#%d;", sign))
	}
	return strings.NewReplacer(pairs...)
}()
