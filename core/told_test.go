package core_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

// The list must be what sorting all failing findings by severity, the earlier first, begins with.
func TestDecidingListsTheGravest(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, many := range []int{0, 1, core.MaxDeciding - 1, core.MaxDeciding, core.MaxDeciding + 1, 1000} {
		findings := make([]core.Finding, many)
		for i := range findings {
			findings[i].Severity = core.Severities[random.IntN(4)]
			findings[i].BaselineState = []core.BaselineState{core.New, core.Unchanged}[random.IntN(2)]
			if random.IntN(3) == 0 {
				findings[i].Suppressed = new("nosec")
			}
		}
		for _, gate := range []core.Gate{
			{FailOn: core.Medium, NewOnly: true}, {FailOn: core.Low}, {FailOn: core.Never}, {FailOn: core.Critical},
		} {
			var want []int
			for i := range findings {
				if gate.Judge(core.TallyUp(findings[i:i+1])) == core.Fail {
					want = append(want, i)
				}
			}
			total := len(want)
			slices.SortStableFunc(want, func(a, b int) int { return findings[b].Severity.Rank() - findings[a].Severity.Rank() })
			want = want[:min(total, core.MaxDeciding)]
			got, n := gate.Deciding(findings)
			if diff := cmp.Diff(want, got); diff != "" || n != total {
				t.Errorf("%d findings, %+v: want %d, got %d in all (-want +got):\n%s", many, gate, total, n, diff)
			}
		}
	}
}

func TestTallyUpCountsAlike(t *testing.T) {
	t.Parallel()
	why := "nosec"
	got := core.TallyUp([]core.Finding{
		{Severity: core.High, BaselineState: core.New}, {Severity: core.Low, BaselineState: core.Unchanged},
		{Severity: core.High, BaselineState: core.New}, {Severity: core.High, BaselineState: core.New, Suppressed: &why},
	})
	want := []core.Tally{
		{Severity: core.High, BaselineState: core.New, N: 2}, {Severity: core.Low, BaselineState: core.Unchanged, N: 1},
		{Severity: core.High, BaselineState: core.New, Dismissed: true, N: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tallies (-want +got):\n%s", diff)
	}
}
