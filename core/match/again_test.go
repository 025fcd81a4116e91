package match_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
)

// someFindings are findings of which many are equal.
func someFindings(r *rand.Rand, n int) (list []core.Finding) {
	for i := range n {
		list = append(list, core.Finding{
			RuleID: fmt.Sprint("rule", r.IntN(2)), File: fmt.Sprint("f", r.IntN(2)), Line: i + 1, Snippet: fmt.Sprint("call", r.IntN(3)), Message: "m",
			Surroundings: match.SurroundingsOf([]uint16{uint16(1 + r.IntN(6))}, []uint16{uint16(1 + r.IntN(6))}),
		})
	}
	return list
}

func stored(findings []core.Finding) match.Baseline {
	var list []match.BaselineFinding
	for i, f := range findings {
		list = append(list, match.BaselineFinding{Fingerprint: f.Fingerprint, Anchor: f.Anchor, File: f.File, Line: f.Line, AlertID: int64(i + 1)})
	}
	return match.BaselineOf(list...)
}

// A comparison that is made again of what was stored comes to the same as one of the report itself, whatever the findings were compared
// with before, and no two of them have one fingerprint.
func TestPrepareAgain(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		wrong, right, list := someFindings(r, r.IntN(12)), someFindings(r, r.IntN(12)), someFindings(r, 1+r.IntN(12))
		match.Compare(wrong, match.Previous{})
		match.Compare(right, match.Previous{Baseline: stored(wrong)})
		want := append([]core.Finding(nil), list...)
		fixed := match.Compare(want, match.Previous{Baseline: stored(right)})
		match.Compare(list, match.Previous{Baseline: stored(wrong)})

		for i := range list { // what is not stored
			list[i].Surroundings, list[i].AlertID = core.Surroundings{}, int64(1000+i)
		}
		again := match.PrepareAgain(list).Compare(match.Previous{Baseline: stored(right)})
		if again.Absent != fixed {
			t.Errorf("seed %d: %d fixed, want %d", seed, again.Absent, fixed)
		}
		prints := map[string]bool{}
		for i := range list {
			got := list[i]
			again.Apply(i, &got)
			if got.BaselineState != want[i].BaselineState || got.Anchor != want[i].Anchor ||
				got.BaselineState == core.Unchanged && got.Fingerprint != want[i].Fingerprint {
				t.Errorf("seed %d: finding %d is %s %s, want %s %s", seed, i, got.BaselineState, got.Fingerprint, want[i].BaselineState, want[i].Fingerprint)
			}
			if prints[got.Fingerprint] {
				t.Errorf("seed %d: %s twice", seed, got.Fingerprint)
			}
			prints[got.Fingerprint] = true
		}
	}
}

// What later commits brought keeps its fingerprint in an earlier one that comes after them, where it is new all the same.
func TestLaterFindings(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	later := someFindings(r, 9)
	match.Compare(later, match.Previous{})
	earlier := append([]core.Finding(nil), later[2:7]...)
	compared := match.Prepare(core.Report{Findings: earlier}).Compare(match.Previous{Later: stored(later)})
	for i, f := range earlier {
		if compared.Apply(i, &f); f.BaselineState != core.New || compared.Alerts()[i] != int64(i+3) || f.Fingerprint != later[i+2].Fingerprint {
			t.Errorf("finding %d is %s with alert %d", i, f.BaselineState, compared.Alerts()[i])
		}
	}
}

// Git's diff told that a finding is an earlier one. That still holds where the diff is not at hand any more.
func TestAgainWithoutDiff(t *testing.T) {
	t.Parallel()
	before, after := core.Finding{RuleID: "r", File: "a", Line: 3, Snippet: "one"}, core.Finding{RuleID: "r", File: "a", Line: 3, Snippet: "two"}
	first := []core.Finding{before}
	match.Compare(first, match.Previous{})
	for by, want := range map[match.Evidence]core.BaselineState{match.ByLine: core.Unchanged, match.ByCode: core.New} {
		f := after
		f.AlertID, f.MatchedBy = 1, string(by)
		again := match.PrepareAgain([]core.Finding{f}).Compare(match.Previous{Baseline: stored(first)})
		if again.Apply(0, &f); f.BaselineState != want {
			t.Errorf("a finding that was recognised by %q is %s, want %s", by, f.BaselineState, want)
		}
	}
}
