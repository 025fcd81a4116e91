package core_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
)

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

func TestExplainKeepsTheReasonWhole(t *testing.T) {
	t.Parallel()
	const reason = "CVE-2024-3094 now in KEV"
	if got := core.Explain("1 new (1 medium)", reason); got != "1 new (1 medium), "+reason {
		t.Errorf("Explain = %q", got)
	}
	if got := core.Explain("1 new", ""); got != "1 new" {
		t.Errorf("Explain without a reason = %q", got)
	}
	got := core.Explain(strings.Repeat("é", core.MaxDescription), reason)
	if utf8.RuneCountInString(got) != core.MaxDescription || !strings.HasSuffix(got, "…, "+reason) {
		t.Errorf("Explain of a long summary = %q", got)
	}
}

func TestParseCVE(t *testing.T) {
	t.Parallel()
	long := "CVE-2024-" + strings.Repeat("9", 19)
	for text, want := range map[string]string{
		"CVE-2024-3094": "CVE-2024-3094", "cve-1999-0001": "CVE-1999-0001", "Cve-2026-74439": "CVE-2026-74439", long: long,
	} {
		if got, err := core.ParseCVE(text); err != nil || got != want {
			t.Errorf("ParseCVE(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "CVE-", "CVE-2024-309", "CVE-24-3094", "CVE-2024-3094 ", "GHSA-2024-3094", "CVE-2024-30x4", "CVE-20245-3094",
		"CVE-2024-3094-1", "CVE-2024", long + "9", "CVE-2024-３０９４",
	} {
		if got, err := core.ParseCVE(text); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("ParseCVE(%q) = %q, %v, want ErrInvalid", text, got, err)
		}
	}
}
