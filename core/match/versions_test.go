package match_test

import (
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
)

// A database of the second version is carried over: what its anchors were made of is the same, and nothing is new.
func TestCompareKnowsAnchorsOfTheSecondVersion(t *testing.T) {
	t.Parallel()
	stable := about("a.go:19", "print")
	stable.PartialFingerprint = "stable=5f1c0be54aa3f912"
	known := []struct {
		fingerprint, anchor string
		now                 core.Finding
	}{
		{"v2:8df81ecae954a076071e20431706eae8", "v2:c832c6f076e82100b01900000000000000000000000000000000", at("a.go:15", "x()")},
		{"v2:972cd63a78f13df8295585a71260041a", "v2:ddeeb4b2a7791d2cb01903100000000000000000000000000000", about("a.go:17", "found at line 17")},
		{"v2:e2f08b374a3e65d797b2a2f5b767fc9b", "v2:aeddbc513fb2948bb0199cbf0cf2000000000000000000000000", stable},
		{"v2:6c163036828ea8d0ab1c7b9e90c08843", "v2:a2ba64a7ac7fae866d773ee13020000000000000000000000000", core.Finding{
			RuleID: "CVE-2099-7001", File: "a.go", Message: "fixed in 3", PartialFingerprint: "alpha",
			About: core.About{Package: "alpha", Aliases: "GHSA-aaaa-bbbb-cccc"},
		}},
		{"v2:2c99be51538c152ae67d8ea7281ce95d", "v2:09f6419c9ba1e4f53b7affbc3020000000000000000000000000", core.Finding{
			RuleID: "license", File: "a.go", Message: "GPL license of alpha", PartialFingerprint: "alpha", About: core.About{Package: "alpha"},
		}},
		{"v2:284ee1955b837852bd24627050908379", "v2:84f41ed3790567070f6dc4d88ea6000000000000000000000000", core.Finding{
			RuleID: "secret", File: "a.go", Line: 13, Message: "A key in the code.", PartialFingerprint: "REDACTED-12ab",
		}},
		{"v2:3b3e1e2adea31f762617965f6fbfd514", "v2:c832c6f076e82100b01900000000c49500000000c40a00000000", between(at("a.go:30", "x()"), "f", "g")},
		{"v2:5ae9872cbff4cb291d58f2ca828c596d", "v2:629cd075273dbd29591200000000000000000000000000000000", core.Finding{
			RuleID: "NEW1", File: "a.go", Line: 40, Snippet: "danger(x)", About: core.About{FormerRules: "OLDER OLD1"},
		}},
	}
	var baseline match.Baseline
	var findings []core.Finding
	for i, k := range known {
		baseline.Add(match.BaselineFinding{Fingerprint: k.fingerprint, Anchor: k.anchor, File: "a.go", Line: 5 + i})
		findings = append(findings, k.now)
	}
	absent := match.Compare(findings, match.Previous{Baseline: baseline})
	for i, f := range findings {
		if f.Fingerprint != known[i].fingerprint || f.BaselineState != core.Unchanged {
			t.Errorf("%s %q is %s as %s, want %s", f.RuleID, f.Snippet+f.Message, f.BaselineState, f.Fingerprint, known[i].fingerprint)
		}
	}
	if absent != 0 {
		t.Errorf("%d are absent", absent)
	}
	again := findings
	if absent := match.Compare(again, match.Previous{Baseline: knownOf(findings)}); absent != 0 {
		t.Errorf("by the anchors that were stored instead, %d are absent", absent)
	}
}

// A package that the second version knew only by a fingerprint of the tool is not taken for another one.
func TestCompareTellsPackagesOfTheSecondVersionApart(t *testing.T) {
	t.Parallel()
	findings := []core.Finding{{
		RuleID: "CVE-2099-7001", File: "go.sum", Message: "fixed in 2", PartialFingerprint: "beta", About: core.About{Package: "beta"},
	}}
	absent := match.Compare(findings, match.Previous{Baseline: match.BaselineOf(match.BaselineFinding{
		Fingerprint: "v2:6c163036828ea8d0ab1c7b9e90c08843", Anchor: "v2:a2ba64a7ac7fae866d773ee13020000000000000000000000000", File: "go.sum",
	})})
	if findings[0].BaselineState != core.New || absent != 1 {
		t.Errorf("another package is %s, %d absent", findings[0].BaselineState, absent)
	}
}

func TestCompareKnowsFormerRules(t *testing.T) {
	t.Parallel()
	rule := func(id string, f core.Finding, former string) core.Finding {
		f.RuleID, f.About.FormerRules = id, former
		return f
	}
	old := at("a.go:5", "danger(x)")
	for name, test := range map[string]struct {
		after core.Finding
		want  int
	}{
		"renamed":           {rule("NEW1", old, "OLD1"), 0},
		"renamed and moved": {rule("NEW1", at("a.go:50", "danger(x)"), "OLD0 OLD1"), 0},
		"of another one":    {rule("NEW1", old, "OLD2"), -1},
		"new":               {rule("NEW1", old, ""), -1},
	} {
		for _, changes := range []*core.Changes{nil, {Files: []core.FileChange{{Old: "a.go", New: "a.go", Opaque: true}}}} {
			got, _ := recognised([]core.Finding{rule("OLD1", old, "")}, []core.Finding{test.after}, changes)
			if got[0] != test.want {
				t.Errorf("%s: partner %d, want %d", name, got[0], test.want)
			}
		}
	}
}
