package alerts_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
)

func TestNameIsShort(t *testing.T) {
	t.Parallel()
	for project, want := range map[string]string{"acme/shop": "shop#17", "a/group/sub": "sub#17", "shop": "shop#17"} {
		if got := alerts.Name(project, 17); got != want {
			t.Errorf("%s: %s, want %s", project, got, want)
		}
	}
}

func TestKeyTellsFindingsApart(t *testing.T) {
	t.Parallel()
	f := core.Finding{Fingerprint: "v2:ab", Tool: "trivy", File: "a.go", Line: 3}
	moved, other, another := f, f, f
	moved.File, moved.Line, moved.Severity = "b.go", 7, core.High
	other.Tool, another.Fingerprint = "grype", "v2:cd"
	if alerts.Key(&moved) != alerts.Key(&f) {
		t.Error("a place makes another alert")
	}
	if alerts.Key(&other) == alerts.Key(&f) || alerts.Key(&another) == alerts.Key(&f) {
		t.Error("another tool or fingerprint makes the same alert")
	}
}

func TestStateOf(t *testing.T) {
	t.Parallel()
	decided := func(source core.TriageSource, decision core.Triage) []core.TriageDecision {
		return []core.TriageDecision{{Source: source, Decision: decision}}
	}
	for name, c := range map[string]struct {
		open, present bool
		decisions     []core.TriageDecision
		want          alerts.State
		like          core.Finding
	}{
		"open somewhere": {open: true, want: alerts.Open},
		"dismissed, but not where only people may": {open: true, present: true, decisions: decided(core.ByAI, core.FalsePositive), want: alerts.Open},
		"gone":                      {want: alerts.Fixed},
		"gone though real":          {decisions: decided(core.ByPerson, core.TruePositive), want: alerts.Fixed},
		"suppressed by its scanner": {present: true, want: alerts.Dismissed},
		"dismissed":                 {present: true, decisions: decided(core.ByPerson, core.FalsePositive), want: alerts.Dismissed},
		"dismissed and gone":        {decisions: decided(core.ByPerson, core.FalsePositive), want: alerts.Dismissed},
		"dismissed by an AI": {
			decisions: decided(core.ByAI, core.FalsePositive), like: core.Finding{Severity: core.High}, want: alerts.Dismissed,
		},
		"called false by an AI where only people dismiss": {
			decisions: decided(core.ByAI, core.FalsePositive), like: core.Finding{Severity: core.Critical}, want: alerts.Fixed,
		},
		"exploited, and called false by an AI": {
			decisions: decided(core.ByAI, core.FalsePositive), like: core.Finding{Severity: core.Low, KEV: true}, want: alerts.Fixed,
		},
		"called false by an AI and by a person": {
			decisions: append(decided(core.ByPerson, core.FalsePositive), decided(core.ByAI, core.FalsePositive)...),
			like:      core.Finding{Severity: core.Critical}, want: alerts.Dismissed,
		},
	} {
		if got := alerts.StateOf(c.open, c.present, c.like, c.decisions); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Ids are told apart across projects, and keep the order of the numbers.
func TestIDOf(t *testing.T) {
	t.Parallel()
	ids := []int64{
		alerts.IDOf(1, 1), alerts.IDOf(1, 2), alerts.IDOf(1, math.MaxInt32), alerts.IDOf(2, 1), alerts.IDOf(70_000, 1), alerts.IDOf(70_001, 0),
	}
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 6 || ids[0] < 1 {
		t.Errorf("%v", ids)
	}
}

func TestCompareHeads(t *testing.T) {
	t.Parallel()
	fixed := alerts.Sight{AlertID: 4, Open: true, State: alerts.Open}
	suppressed := alerts.Sight{AlertID: 5, Open: true, Present: true, State: alerts.Open}
	got := alerts.Compare([]alerts.Sight{
		{AlertID: 1, Present: true, Counts: true, State: alerts.Open},  // as new alerts begin
		{AlertID: 2, Present: true, Counts: true, State: alerts.Fixed}, // it returns
		{AlertID: 3, Present: true, Counts: true, Open: true, State: alerts.Open},
		fixed, suppressed,
	})
	want := alerts.Move{Came: []int64{1, 2}, Reopened: []int64{2}, Went: []alerts.Sight{fixed, suppressed}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDayCountsWhatIsOpen(t *testing.T) {
	t.Parallel()
	late := time.Date(2026, 11, 23, 23, 30, 0, 0, time.FixedZone("west", -3600))
	got := alerts.DayOf(7, late, []core.FindingGroup{
		{Severity: core.Critical, N: 1}, {Severity: core.High, N: 2}, {Severity: core.Medium, N: 3}, {Severity: core.Low, N: 4},
		{Severity: core.High, N: 5, BaselineState: core.Unchanged}, {Severity: core.High, N: 10, Suppressed: true},
		{Severity: core.Low, N: 20, Decision: core.FalsePositive}, {Severity: core.Critical, N: 40, Decision: core.FalsePositive, OnlyAI: true},
	})
	want := alerts.Day{ProjectID: 7, Day: "2026-11-24", Critical: 41, High: 7, Medium: 3, Low: 4}
	if diff := cmp.Diff(want, got); diff != "" || got.Open() != 55 {
		t.Errorf("%d open (-want +got):\n%s", got.Open(), diff)
	}
}
