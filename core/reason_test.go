package core_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

func TestDecidedBy(t *testing.T) {
	t.Parallel()
	severe := core.Tally{Severity: core.Critical, BaselineState: core.New, N: 1}
	exploited := core.Tally{Severity: core.Low, BaselineState: core.New, N: 1, KEV: true, MaxEPSS: 0.2}
	known := core.Tally{Severity: core.Critical, BaselineState: core.Unchanged, N: 1}
	full := core.Gate{FailOn: core.High, NewOnly: true, EPSS: 0.1, KEV: true}
	cases := map[string]struct {
		gate    core.Gate
		tallies []core.Tally
		want    string
	}{
		"one rule fails": {
			core.Gate{FailOn: core.High, NewOnly: true}, []core.Tally{severe}, "fail_on: high, new findings only",
		},
		"known ones fail too": {core.Gate{FailOn: core.Low}, []core.Tally{known}, "fail_on: low"},
		"one of three fails":  {full, []core.Tally{severe}, "fail_on: high, new findings only"},
		"two of three fail":   {full, []core.Tally{exploited}, "epss: 0.1, kev: true, new findings only"},
		"all three pass":      {full, []core.Tally{known}, "fail_on: high, epss: 0.1, kev: true, new findings only"},
		"nothing can fail":    {core.Gate{FailOn: core.Never}, []core.Tally{severe}, "fail_on: never"},
	}
	for name, c := range cases {
		if got := c.gate.DecidedBy(c.tallies); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestDecidingIDs(t *testing.T) {
	t.Parallel()
	var scan core.Scan
	if diff := cmp.Diff([]int64{}, scan.DecidingIDs()); diff != "" {
		t.Errorf("before the verdict (-want +got):\n%s", diff)
	}
	scan.PutDeciding([]int64{3, 1, 9007199254740993}, 4)
	if diff := cmp.Diff([]int64{3, 1, 9007199254740993}, scan.DecidingIDs()); diff != "" || scan.NumDeciding != 4 {
		t.Errorf("%d in all (-want +got):\n%s", scan.NumDeciding, diff)
	}
}
