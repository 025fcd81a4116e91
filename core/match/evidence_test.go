package match_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
)

func TestCompareSaysWhy(t *testing.T) {
	t.Parallel()
	x, y := at("a.go:5", "x()"), at("a.go:9", "y()")
	edited := &core.Changes{Files: []core.FileChange{{Old: "a.go", New: "a.go", Hunks: []core.Hunk{hunk(0, 0, 1, 1)}}}}
	told := func(message string) core.Finding {
		f := about("a.go:5", message)
		f.PartialFingerprint = "stable-1"
		return f
	}
	for want, test := range map[match.Evidence]struct {
		changes       *core.Changes
		before, after core.Finding
	}{
		match.ByPlace:    {&core.Changes{}, x, x},
		match.ByLine:     {edited, x, at("a.go:6", "x()")},
		match.ByCode:     {nil, x, at("a.go:50", "x()")},
		match.ByMessage:  {nil, about("a.go:5", "m"), about("a.go:6", "m")},
		match.ByTool:     {nil, told("11"), told("12")},
		match.ByAdvisory: {nil, advised("CVE-2099-1111", "go.sum", "p", ""), advised("CVE-2099-1111", "go.sum", "p", "")},
		match.ByRename:   {nil, x, at("b.go:5", "x()")},
		match.ByContext:  {nil, at("a.go:5", "x(\n1,\n2)"), at("b.go:7", "x(\n1,\n2)")},
		match.ByCommit:   {nil, in("c", x), in("c", x)},
		match.ByHistory:  {nil, x, in("c", x)},
		"":               {nil, x, y},
	} {
		before, after := []core.Finding{test.before}, []core.Finding{test.after}
		if want == match.ByRename {
			before, after = append(before, y), append(after, at("b.go:9", "y()"))
		}
		recognised(before, after, test.changes)
		if got := match.Evidence(after[0].MatchedBy); got != want || want != "" && got.Meaning() == "" {
			t.Errorf("want %q, got %q: %q", want, got, got.Meaning())
		}
	}
}

// Whatever the findings, one is an earlier one only if it has the rule, and the file or distinctive code, or is the same
// vulnerability in the same package: no dismissal reaches another one.
func TestCompareJoinsWithEvidenceOnly(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	one := func(texts ...string) string { return texts[random.IntN(len(texts))] }
	some := func(n int) (findings []core.Finding) {
		for range random.IntN(n) {
			f := at(fmt.Sprintf("%s:%d", one("a.go", "b.go", "c.go", "d/a.go"), random.IntN(9)), one("", "", "x()", "y()", "x()\nz()"))
			f.RuleID, f.Message = one("r", "q", "CVE-2099-1111", "CVE-2099-2222"), one("m", "n")
			f.PartialFingerprint = one("", "constant", "requires login", "stable-1", "stable-2", "name=stable-1\nother=stable-3")
			f.About.Package, f.About.Aliases = one("", "", "p", "q"), one("", "GHSA-aaaa-bbbb-cccc", "CVE-2099-2222")
			f.About.FormerRules = one("", "", "q")
			findings = append(findings, f)
		}
		return findings
	}
	for range 5000 {
		before, after := some(10), some(10)
		match.Compare(before, match.Previous{})
		match.Compare(after, match.Previous{Baseline: knownOf(before)})
		renamed := renames(before, after)
		for _, f := range after {
			i := slices.IndexFunc(before, func(b core.Finding) bool { return b.Fingerprint == f.Fingerprint })
			if i >= 0 && !maySame(before[i], f, renamed) {
				t.Fatalf("by %s:\n%+v\nis\n%+v", f.MatchedBy, f, before[i])
			}
		}
	}
}

// maySame tells whether there is any evidence that two findings are the same.
func maySame(b, f core.Finding, renamed bool) bool {
	sameFile := b.File == f.File
	if b.About.Package != "" || strings.HasPrefix(b.RuleID, "CVE") {
		ids := func(f core.Finding) []string { return append(strings.Fields(f.About.Aliases), f.RuleID) }
		shared := slices.ContainsFunc(ids(b), func(id string) bool { return slices.Contains(ids(f), id) })
		return shared && sameFile && (b.About.Package == f.About.Package || b.About.Package == "" || f.About.Package == "")
	}
	sameRule := b.RuleID == f.RuleID || f.About.FormerRules == b.RuleID
	sameCode := b.Snippet == f.Snippet && f.Snippet != "" || strings.HasPrefix(b.Snippet, "x()") && strings.HasPrefix(f.Snippet, "x()")
	samePrint := strings.Contains(b.PartialFingerprint+f.PartialFingerprint, "stable-")
	switch {
	case !sameRule:
		return false
	case sameFile:
		return sameCode || samePrint || b.Message == f.Message && (b.Snippet == "" || f.Snippet == "")
	}
	return sameCode && renamed
}

// renames tells whether the findings of a file that is gone and of one that came share enough code.
func renames(before, after []core.Finding) bool {
	shared := map[string]bool{}
	for _, b := range before {
		for _, f := range after {
			if b.File != f.File && b.Snippet != "" && f.Snippet != "" {
				shared[fmt.Sprint(b.RuleID, f.RuleID, f.Snippet, f.Line, b.Line)] = true
			}
		}
	}
	return len(shared) > 1
}
