//go:build !race

// The evaluation computes about a million scores that share nothing: under the race detector it would take minutes
// and find nothing.

package anomaly_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core/anomaly"
)

const (
	runsPerSeries = 1000
	leastRatio    = 0.9 // of precision and of recall
	most          = 1.0 // false alarms in 500 ordinary runs
)

// The setting was chosen on the tuning seeds, where every fair kind must reach the thresholds. On the held-out ones all
// fair kinds together must; a kind that falls below alone is marked.
var seedSets = map[string][]uint64{
	"tuning":   {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
	"held out": {77001, 77002, 77003, 77004, 77005, 77006, 77007, 77008, 77009, 77010, 77011, 77012},
}

// evaluating must be set for the measurements that take minutes: make eval does.
const evaluating = "SCANHOOK_EVAL"

// TestEval prints how well the anomaly score finds planted jumps in generated series, and fails below the thresholds.
func TestEval(t *testing.T) {
	t.Parallel()
	if os.Getenv(evaluating) == "" {
		t.Skipf("%s is not set: make eval measures", evaluating)
	}
	for _, set := range []string{"tuning", "held out"} {
		for _, m := range []anomaly.Measure{anomaly.Artifact, anomaly.Duration} {
			t.Run(fmt.Sprintf("%s/%s", set, m), func(t *testing.T) {
				t.Parallel()
				evalGenerated(t, set, m)
			})
		}
	}
}

func evalGenerated(t *testing.T, set string, m anomaly.Measure) {
	t.Helper()
	var fair, hard tally
	seeds := seedSets[set]
	table := newTable(fmt.Sprintf("%s ×%.0f, %s seeds %v", m, jump(m), set, seeds))
	for _, k := range kinds() {
		got := evalKind(k, m, seeds)
		if k.hard {
			table.add(k.name+" (hard)", got)
			hard = hard.plus(got)
			continue
		}
		table.add(k.name, got)
		fair = fair.plus(got)
		if set == "tuning" {
			check(t, k.name, got)
		}
	}
	check(t, "all but the hard", fair)
	table.add("all but the hard", fair)
	table.add("the hard", hard)
	t.Log(table)
}

func evalKind(k kind, m anomaly.Measure, seeds []uint64) tally {
	var sum tally
	for _, seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 0))
		factors := k.shape(r, runsPerSeries)
		labels := plant(r, factors, m, k.shifts)
		sum = sum.plus(count(toRuns(r, factors, m), labels))
	}
	return sum
}

func check(t *testing.T, name string, got tally) {
	t.Helper()
	if !got.passes() {
		t.Errorf("%s: precision %.3f, recall %.3f (want ≥ %.1f), %.2f false alarms in 500 runs (want ≤ %.0f)",
			name, got.precision(), got.recall(), leastRatio, got.per500(), most)
	}
}

func (t tally) passes() bool {
	return t.precision() >= leastRatio && t.recall() >= leastRatio && t.per500() <= most
}

// table is the printed result, one line per kind of series.
type table struct{ strings.Builder }

func newTable(title string) *table {
	t := &table{}
	fmt.Fprintf(t, "%s\n%-28s %6s %8s %6s %6s %10s %7s %10s\n", title,
		"series", "runs", "planted", "found", "false", "precision", "recall", "false/500")
	return t
}

func (t *table) add(name string, got tally) {
	mark := ""
	if !got.passes() {
		mark = "  below"
	}
	fmt.Fprintf(t, "%-28s %6d %8d %6d %6d %10.3f %7.3f %10.2f%s\n", name, got.runs, got.planted, got.found,
		got.falseAlarms, got.precision(), got.recall(), got.per500(), mark)
}
