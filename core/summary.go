package core

import (
	"fmt"
	"strings"
)

// Tally counts findings of a scan that are alike for the gate and the summary. A scan of 100,000 findings is a handful
// of tallies, so verdicts stay cheap however large a report is.
type Tally struct {
	Severity      Severity      `db:"severity"`
	BaselineState BaselineState `db:"baseline_state"`
	Dismissed     bool          `db:"dismissed"` // a false positive, or suppressed by its scanner
	MaxEPSS       float64       `db:"max_epss"`  // the highest probability of exploitation among their CVEs, 0–1
	KEV           bool          `db:"kev"`       // one of their CVEs is known to be exploited
	N             int           `db:"n"`
}

// Summarize is the sentence that a developer reads beside the commit: "2 new (1 critical, 1 high), 14 known, 3 fixed".
// Dismissed findings count as neither new nor known.
func Summarize(tallies []Tally, fixed int) string {
	bySeverity := map[Severity]int{}
	fresh, known, dismissed := 0, 0, 0
	for _, t := range tallies {
		switch {
		case t.Dismissed:
			dismissed += t.N
		case t.BaselineState == Unchanged:
			known += t.N
		default:
			fresh += t.N
			bySeverity[t.Severity] += t.N
		}
	}
	if fresh+known+fixed+dismissed == 0 {
		return "No findings"
	}
	parts := []string{"0 new"}
	if fresh > 0 {
		parts[0] = fmt.Sprintf("%d new (%s)", fresh, listSeverities(bySeverity))
	}
	for _, part := range []struct {
		n    int
		word string
	}{{known, "known"}, {fixed, "fixed"}, {dismissed, "dismissed"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	return strings.Join(parts, ", ")
}

func listSeverities(n map[Severity]int) string {
	var parts []string
	for _, s := range Severities {
		if n[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[s], strings.ToLower(string(s))))
		}
	}
	return strings.Join(parts, ", ")
}
