package web

import (
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// banner is what a developer reads first: how it went, why, and what to do.
type banner struct {
	Kind   string // pass, fail, error, cancelled or pending: the style
	Mark   string
	Word   string
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
			"The code was not judged. Mend what the scanner says below, then have the commit scanned again."}
	case scan.Verdict != nil && *scan.Verdict == core.Fail:
		return banner{"fail", "✗", "Failed", failedBy(scan),
			"Fix them and push again, or mark what is no real problem as a false positive below."}
	}
	return banner{"pass", "✓", "Passed", passed(n), ""}
}

// failedBy names the number of findings that decided; the rule stands beside it.
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

// counts are the findings of a scan by what became of them, each counted once, as the summary does.
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

// statusLine is a commit status: what is wanted, and whether the platform shows it.
type statusLine struct {
	core.Status
	Kind    string // pass, fail, error, cancelled or pending
	Posting string // a sentence
	Posted  bool
}

var statusKinds = map[core.StatusState]string{
	core.StatusSuccess: "pass", core.StatusFailure: "fail", core.StatusError: "error",
	core.StatusCancelled: "cancelled", core.StatusPending: "pending",
}

func (w *Web) statusLines(statuses []core.Status) []statusLine {
	lines := make([]statusLine, len(statuses))
	for i, s := range statuses {
		lines[i] = statusLine{s, statusKinds[s.State], w.posting(s), s.PostedRevision == s.Revision}
	}
	return lines
}

func (w *Web) posting(s core.Status) string {
	platform, configured := w.Platforms[s.SourcePlatform]
	switch {
	case s.PostedRevision == s.Revision && s.SeenID > s.PostedID:
		return fmt.Sprintf("Somebody else's status stands in its place on %s, again: it is left alone.", s.SourcePlatform)
	case s.PostedRevision == s.Revision && s.MendedRevision == s.Revision:
		return fmt.Sprintf("Shown on %s, after somebody else's status had taken its place.", s.SourcePlatform)
	case s.PostedRevision == s.Revision && s.LeftOut != "":
		return fmt.Sprintf("Shown on %s, but not in full: %s.", s.SourcePlatform, s.LeftOut)
	case s.PostedRevision == s.Revision:
		return fmt.Sprintf("Shown on %s.", s.SourcePlatform)
	case s.GivenUp:
		return fmt.Sprintf("Not posted, given up: %s", s.LastError)
	case configured && !platform.Posts:
		return fmt.Sprintf("Not posted: platforms.%s has no token to post with.", s.SourcePlatform)
	case s.LastError != "" && s.Attempts == 0:
		return fmt.Sprintf("Kept, not posted yet: %s", s.LastError)
	case s.LastError != "":
		return fmt.Sprintf("Not posted yet (%s), trying again: %s", core.Plural(s.Attempts, "attempt"), s.LastError)
	}
	return fmt.Sprintf("On its way to %s.", strings.TrimSpace(s.SourcePlatform))
}
