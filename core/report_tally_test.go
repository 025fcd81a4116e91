package core_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

// The list must be what sorting all failing findings by severity, the earlier first, begins with.
func TestToldListsTheGravest(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, many := range []int{0, 1, core.MaxDeciding - 1, core.MaxDeciding, core.MaxDeciding + 1, 1000} {
		findings := make([]core.Finding, many)
		for i := range findings {
			findings[i].Severity, findings[i].Fingerprint = core.Severities[random.IntN(4)], fmt.Sprint(i)
			findings[i].BaselineState = []core.BaselineState{core.New, core.Unchanged}[random.IntN(2)]
			if random.IntN(3) == 0 {
				findings[i].Suppressed = new("nosec")
			}
		}
		for _, gate := range []core.Gate{
			{FailOn: core.Medium, NewOnly: true}, {FailOn: core.Low}, {FailOn: core.Never}, {FailOn: core.Critical},
		} {
			got := core.ReportTally{Gate: gate}
			var want []core.Decider
			for i := range findings {
				got.Add(&findings[i])
				var alone core.ReportTally
				alone.Add(&findings[i])
				if gate.Judge(alone.Tallies) == core.Fail {
					want = append(want, core.Decider{Fingerprint: findings[i].Fingerprint, Severity: findings[i].Severity})
				}
			}
			total := len(want)
			slices.SortStableFunc(want, func(a, b core.Decider) int { return b.Severity.Rank() - a.Severity.Rank() })
			want = want[:min(total, core.MaxDeciding)]
			if diff := cmp.Diff(want, got.First); diff != "" || got.Deciding != total {
				t.Errorf("%d findings, %+v: want %d, got %d in all (-want +got):\n%s", many, gate, total, got.Deciding, diff)
			}
		}
	}
}

func TestToldCountsAlike(t *testing.T) {
	t.Parallel()
	why := "nosec"
	var told core.ReportTally
	for _, f := range []core.Finding{
		{Severity: core.High, BaselineState: core.New}, {Severity: core.Low, BaselineState: core.Unchanged},
		{Severity: core.High, BaselineState: core.New}, {Severity: core.High, BaselineState: core.New, Suppressed: &why},
	} {
		told.Add(&f)
	}
	want := []core.Tally{
		{Severity: core.High, BaselineState: core.New, N: 2}, {Severity: core.Low, BaselineState: core.Unchanged, N: 1},
		{Severity: core.High, BaselineState: core.New, Dismissed: true, N: 1},
	}
	if diff := cmp.Diff(want, told.Tallies); diff != "" {
		t.Errorf("tallies (-want +got):\n%s", diff)
	}
}
