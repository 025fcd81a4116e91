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
	return strings.Join(append(parts, nonZero(known, "known", fixed, "fixed", dismissed, "dismissed")...), ", ")
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

// nonZero takes pairs of a number and its word.
func nonZero(pairs ...any) []string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", pairs[i], pairs[i+1]))
		}
	}
	return parts
}
