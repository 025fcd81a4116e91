package web

import (
	"fmt"

	"github.com/scanhook/scanhook/core"
)

// banner is what a developer reads first: the result, the reason, and what to do.
type banner struct {
	Kind   string // pass, fail, error, cancelled or pending: the style
	Mark   string // one character
	Label  string
	Why    string // sentences
	Advice string
}

func bannerOf(scan core.Scan, n counts) banner {
	switch {
	case scan.Status == core.ScanPending:
		return banner{"pending", "…", "Waiting", "No scanner has started yet.", "This page follows the scan by itself."}
	case scan.Status == core.ScanProcessing:
		return banner{"pending", "…", "Scanning", "", "This page follows the scan by itself."}
	case scan.Status == core.ScanFailed && scan.SupersededBy != "":
		return banner{"cancelled", "–", "Superseded", scan.Error, "Look at the scan of the newer commit instead."}
	case scan.Status == core.ScanFailed:
		return banner{"error", "!", "Scan failed", scan.Error,
			"The code was not judged. Fix what the scanner reports below, then scan the commit again."}
	case scan.Verdict != nil && *scan.Verdict == core.Fail:
		return banner{"fail", "✗", "Failed", failedBy(scan),
			"Fix them and push again, or mark what is no real problem as a false positive below."}
	}
	return banner{"pass", "✓", "Passed", passed(n), ""}
}

// failedBy is the number of findings that decided; the page shows the rule beside it.
func failedBy(scan core.Scan) string {
	if scan.NumDeciding == 0 {
		return ""
	}
	verb := "break"
	if scan.NumDeciding == 1 {
		verb = "breaks"
	}
	return fmt.Sprintf("%s %s the rule.", core.Plural(scan.NumDeciding, "finding"), verb)
}

func passed(n counts) string {
	switch {
	case n.Fresh+n.Known+n.Fixed+n.Dismissed == 0:
		return "The scanners found nothing."
	case n.Fresh == 0:
		return "This commit brings nothing new."
	}
	return "What is new breaks no rule."
}

// counts are the findings of a scan by their state, each counted once, like in the summary.
type counts struct {
	Fresh, Known, Fixed, Dismissed int
	BySeverity                     []severityCount // of the new ones that count
}

type severityCount struct {
	Severity core.Severity
	N        int
}

func countsOf(tallies []core.Tally, jobs []core.Job) counts {
	n := counts{}
	bySeverity := map[core.Severity]int{}
	for _, t := range tallies {
		switch {
		case t.Dismissed:
			n.Dismissed += t.N
		case t.BaselineState == core.Unchanged:
			n.Known += t.N
		default:
			n.Fresh += t.N
			bySeverity[t.Severity] += t.N
		}
	}
	for _, job := range jobs {
		n.Fixed += job.NumAbsent
	}
	for _, severity := range core.Severities {
		if bySeverity[severity] > 0 {
			n.BySeverity = append(n.BySeverity, severityCount{severity, bySeverity[severity]})
		}
	}
	return n
}

// Of is the length of a list.
func (n counts) Of(list string) int {
	switch list {
	case string(core.Unchanged):
		return n.Known
	case string(core.Absent):
		return n.Fixed
	case dismissedTab:
		return n.Dismissed
	}
	return n.Fresh
}
