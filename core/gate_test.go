package core_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

func TestGate(t *testing.T) {
	t.Parallel()
	high := []core.Tally{{Severity: core.High, BaselineState: core.New, N: 1}}
	known := []core.Tally{{Severity: core.Critical, BaselineState: core.Unchanged, N: 1}}
	dismissed := []core.Tally{{Severity: core.Critical, BaselineState: core.New, Dismissed: true, N: 1}}
	cases := map[string]struct {
		gate    core.Gate
		tallies []core.Tally
		want    core.Verdict
	}{
		"at the threshold":       {core.Gate{FailOn: core.High, NewOnly: true}, high, core.Fail},
		"below the threshold":    {core.Gate{FailOn: core.Critical, NewOnly: true}, high, core.Pass},
		"never":                  {core.Gate{FailOn: core.Never}, high, core.Pass},
		"known, new only":        {core.Gate{FailOn: core.Low, NewOnly: true}, known, core.Pass},
		"known, not only new":    {core.Gate{FailOn: core.Low}, known, core.Fail},
		"dismissed never counts": {core.Gate{FailOn: core.Low}, dismissed, core.Pass},
		"nothing":                {core.Gate{FailOn: core.Low}, nil, core.Pass},
	}
	for name, c := range cases {
		if got := c.gate.Judge(c.tallies); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	tally := func(s core.Severity, state core.BaselineState, dismissed bool, n int) core.Tally {
		return core.Tally{Severity: s, BaselineState: state, Dismissed: dismissed, N: n}
	}
	cases := map[string]struct {
		tallies []core.Tally
		fixed   int
		left    int
	}{
		"No findings":                 {nil, 0, 0},
		"No findings, 3 not searched": {nil, 0, 3},
		"2 new (1 critical, 1 high), 14 known, 3 fixed": {[]core.Tally{
			tally(core.Critical, core.New, false, 1), tally(core.High, core.New, false, 1),
			tally(core.Low, core.Unchanged, false, 4), tally(core.High, core.Unchanged, false, 10),
		}, 3, 0},
		"0 new, 2 fixed":                 {nil, 2, 0},
		"0 new, 2 fixed, 1 not searched": {nil, 2, 1},
		"0 new, 1 known, 2 dismissed, 1200 not searched": {[]core.Tally{
			tally(core.Low, core.Unchanged, false, 1), tally(core.Critical, core.New, true, 2),
		}, 0, 1200},
		"1 new (1 low), 2 unresolved, 6 known, 1 fixed, 3 dismissed, 5 not searched": {[]core.Tally{
			tally(core.Low, core.New, false, 1), tally(core.Low, core.Unchanged, false, 4), tally(core.Low, core.New, true, 3),
			{Severity: core.High, BaselineState: core.Unchanged, Unresolved: true, N: 2},
		}, 1, 5},
		"0 new, 1 unresolved, 1 known": {[]core.Tally{{BaselineState: core.Unchanged, Unresolved: true, N: 1}}, 0, 0},
	}
	for want, c := range cases {
		if got := core.Summarize(c.tallies, c.fixed, c.left); got != want {
			t.Errorf("Summarize = %q, want %q", got, want)
		}
	}
}

func TestDecidedBy(t *testing.T) {
	t.Parallel()
	severe := core.Tally{Severity: core.Critical, BaselineState: core.New, N: 1}
	exploited := core.Tally{Severity: core.Low, BaselineState: core.New, N: 1, KEV: true, MaxEPSS: 0.2}
	known := core.Tally{Severity: core.Critical, BaselineState: core.Unchanged, N: 1}
	left, strict := known, core.Gate{FailOn: core.High, NewOnly: true, FailUnresolved: true}
	left.Unresolved = true
	full := core.Gate{FailOn: core.High, NewOnly: true, EPSS: 0.1, KEV: true}
	whole := core.Gate{FailOn: core.High, FailUnsearched: true}
	cases := map[string]struct {
		gate    core.Gate
		tallies []core.Tally
		left    int
		want    string
	}{
		"one rule fails": {
			core.Gate{FailOn: core.High, NewOnly: true}, []core.Tally{severe}, 1, "fail_on: high, new findings only",
		},
		"known ones fail too":           {core.Gate{FailOn: core.Low}, []core.Tally{known}, 1, "fail_on: low"},
		"one of three fails":            {full, []core.Tally{severe}, 1, "fail_on: high, new findings only"},
		"two of three fail":             {full, []core.Tally{exploited}, 1, "epss: 0.1, kev: true, new findings only"},
		"all three pass":                {full, []core.Tally{known}, 1, "fail_on: high, epss: 0.1, kev: true, new findings only"},
		"unresolved, and told":          {core.Gate{FailOn: core.High, NewOnly: true}, []core.Tally{left}, 0, "fail_on: high, new findings only"},
		"unresolved, which fails":       {strict, []core.Tally{left}, 0, "unresolved: fail, new findings only"},
		"nothing can fail":              {core.Gate{FailOn: core.Never}, []core.Tally{severe}, 1, "fail_on: never"},
		"not all was searched":          {whole, nil, 1, "coverage: fail"},
		"all was searched":              {whole, nil, 0, "fail_on: high, coverage: fail"},
		"severe, and not all searched":  {whole, []core.Tally{severe}, 1, "fail_on: high, coverage: fail"},
		"severe, and all were searched": {whole, []core.Tally{severe}, 0, "fail_on: high"},
	}
	for name, c := range cases {
		if got := c.gate.DecidedBy(c.tallies, c.left); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// The list must be what sorting all failing findings by severity, the earlier first, begins with.
func TestReportTallyListsTheMostSevere(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, many := range []int{0, 1, core.MaxDeciding - 1, core.MaxDeciding, core.MaxDeciding + 1, 1000} {
		findings := make([]core.Finding, many)
		for i := range findings {
			findings[i].Severity, findings[i].AlertID = core.Severities[random.IntN(4)], int64(i)
			findings[i].BaselineState = []core.BaselineState{core.New, core.Unchanged}[random.IntN(2)]
			if random.IntN(3) == 0 {
				findings[i].Suppressed = new("nosec")
			}
		}
		for _, gate := range []core.Gate{
			{FailOn: core.Medium, NewOnly: true}, {FailOn: core.Low}, {FailOn: core.Never}, {FailOn: core.Critical},
		} {
			got := core.ReportTally{Gate: gate}
			var want []core.DecidingFinding
			for i := range findings {
				got.Add(&findings[i])
				var alone core.ReportTally
				alone.Add(&findings[i])
				if gate.Judge(alone.Tallies) == core.Fail {
					want = append(want, core.DecidingFinding{AlertID: findings[i].AlertID, Severity: findings[i].Severity})
				}
			}
			total := len(want)
			slices.SortStableFunc(want, func(a, b core.DecidingFinding) int { return b.Severity.Rank() - a.Severity.Rank() })
			want = want[:min(total, core.MaxDeciding)]
			if diff := cmp.Diff(want, got.First); diff != "" || got.Deciding != total {
				t.Errorf("%d findings, %+v: want %d, got %d in all (-want +got):\n%s", many, gate, total, got.Deciding, diff)
			}
		}
	}
}

func TestReportTallyCountsAlike(t *testing.T) {
	t.Parallel()
	why := "nosec"
	var tally core.ReportTally
	for _, f := range []core.Finding{
		{Severity: core.High, BaselineState: core.New}, {Severity: core.Low, BaselineState: core.Unchanged},
		{Severity: core.High, BaselineState: core.New}, {Severity: core.High, BaselineState: core.New, Suppressed: &why},
	} {
		tally.Add(&f)
	}
	want := []core.Tally{
		{Severity: core.High, BaselineState: core.New, N: 2}, {Severity: core.Low, BaselineState: core.Unchanged, N: 1},
		{Severity: core.High, BaselineState: core.New, Dismissed: true, N: 1},
	}
	if diff := cmp.Diff(want, tally.Tallies); diff != "" {
		t.Errorf("tallies (-want +got):\n%s", diff)
	}
}

func TestGateAsksRiskBesidesSeverity(t *testing.T) {
	t.Parallel()
	likely := core.Tally{Severity: core.Low, BaselineState: core.New, MaxEPSS: 0.1, N: 1}
	exploited := core.Tally{Severity: core.Low, BaselineState: core.New, KEV: true, N: 1}
	known, dismissed := exploited, exploited
	known.BaselineState, dismissed.Dismissed = core.Unchanged, true
	cases := map[string]struct {
		gate  core.Gate
		tally core.Tally
		want  core.Verdict
	}{
		"as likely as the threshold":  {core.Gate{FailOn: core.High, EPSS: 0.1}, likely, core.Fail},
		"less likely":                 {core.Gate{FailOn: core.High, EPSS: 0.11}, likely, core.Pass},
		"likelihood is not asked":     {core.Gate{FailOn: core.High, KEV: true}, likely, core.Pass},
		"known to be exploited":       {core.Gate{FailOn: core.High, KEV: true}, exploited, core.Fail},
		"exploitation is not asked":   {core.Gate{FailOn: core.High, EPSS: 0.1}, exploited, core.Pass},
		"severities never fail":       {core.Gate{FailOn: core.Never, KEV: true}, exploited, core.Fail},
		"severity fails all the same": {core.Gate{FailOn: core.Low, EPSS: 1, KEV: true}, likely, core.Fail},
		"known, new only":             {core.Gate{FailOn: core.High, NewOnly: true, KEV: true}, known, core.Pass},
		"dismissed":                   {core.Gate{FailOn: core.High, KEV: true}, dismissed, core.Pass},
	}
	for name, c := range cases {
		if got := c.gate.Judge([]core.Tally{c.tally}); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if got, want := c.gate.ByRisk([]core.Tally{c.tally}), c.gate.FailOn != core.Low; got != want {
			t.Errorf("%s: ByRisk = %v, want %v", name, got, want)
		}
	}
}

func TestGateSaysWhy(t *testing.T) {
	t.Parallel()
	risk := func(was, is float64, wasKEV, isKEV bool) core.Risk {
		return core.Risk{CVEID: "CVE-2024-3094", Probability: is, KEV: isKEV, WasProbability: was, WasKEV: wasKEV}
	}
	both, kev, epss := core.Gate{EPSS: 0.1, KEV: true}, core.Gate{KEV: true}, core.Gate{EPSS: 0.1}
	cases := map[string]struct {
		gate    core.Gate
		verdict core.Verdict
		risks   []core.Risk
	}{
		"CVE-2024-3094 in KEV":             {both, core.Fail, []core.Risk{risk(0.5, 0.5, true, true)}},
		"CVE-2024-3094 now in KEV":         {kev, core.Fail, []core.Risk{risk(0.5, 0.5, false, true)}},
		"CVE-2024-3094 at EPSS 0.86":       {epss, core.Fail, []core.Risk{risk(0.85974, 0.85974, false, true)}},
		"CVE-2024-3094 now at EPSS 0.1":    {epss, core.Fail, []core.Risk{risk(0.01, 0.1, true, true)}},
		"CVE-2024-3094 no longer in KEV":   {both, core.Pass, []core.Risk{risk(0.01, 0.01, true, false)}},
		"CVE-2024-3094 now below EPSS 0.1": {both, core.Pass, []core.Risk{risk(0.2, 0.01, false, false)}},
		"CVE-2024-3094 in KEV and 1 more":  {both, core.Fail, []core.Risk{risk(0, 0, true, true), risk(1, 1, false, false)}},
		"":                                 {both, core.Pass, []core.Risk{risk(0.01, 0.01, false, false)}},
	}
	for want, c := range cases {
		if got := c.gate.Why(c.verdict, c.risks); got != want {
			t.Errorf("Why = %q, want %q", got, want)
		}
	}
}

func TestUnresolves(t *testing.T) {
	t.Parallel()
	gate := core.Gate{FailOn: core.High, NewOnly: true, KEV: true}
	for name, test := range map[string]struct {
		group core.FindingGroup
		want  bool
	}{
		"a new one that fails":                 {core.FindingGroup{Severity: core.High, BaselineState: core.New}, true},
		"a new one that does not":              {core.FindingGroup{Severity: core.Low, BaselineState: core.New}, false},
		"a new one that is exploited":          {core.FindingGroup{Severity: core.Low, BaselineState: core.New, Risk: core.Risk{KEV: true}}, true},
		"a known one":                          {core.FindingGroup{Severity: core.High, BaselineState: core.Unchanged}, false},
		"one that was so before":               {core.FindingGroup{Severity: core.Low, BaselineState: core.Unchanged, Unresolved: true}, true},
		"one whose dismissal may be withdrawn": {core.FindingGroup{Severity: core.High, BaselineState: core.New, Decision: core.FalsePositive}, true},
		"one that its scanner suppresses":      {core.FindingGroup{Severity: core.High, BaselineState: core.New, Suppressed: true}, false},
	} {
		if got := gate.Unresolves(test.group); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}
