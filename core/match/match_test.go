package match_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/core/secrets"
)

func TestCompareRecognises(t *testing.T) {
	t.Parallel()
	type list = []core.Finding
	x, y := at("a.go:1", "x()"), at("a.go:5", "y()")
	noted := func(f core.Finding, message, tool string) core.Finding {
		f.Snippet, f.Message, f.PartialFingerprint = "", message, tool
		return f
	}
	advised := core.Finding{RuleID: "CVE-2024-3094", File: "go.sum", Message: "fixed in 2"}
	tests := map[string]struct {
		before, after list
		want          []int
		absent        int
	}{
		"nothing before":             {nil, list{x}, []int{-1}, 0},
		"nothing left":               {list{x, y}, nil, nil, 2},
		"the same":                   {list{x, y}, list{y, x}, []int{1, 0}, 0},
		"moved":                      {list{x}, list{at("a.go:99", "\t x() ")}, []int{0}, 0},
		"an equal one more, below":   {list{x}, list{x, at("a.go:7", "x()")}, []int{0, -1}, 0},
		"an equal one less":          {list{x, at("a.go:7", "x()")}, list{x}, []int{0}, 1},
		"an equal one above, pushed": {list{x, y}, list{x, at("a.go:11", "x()"), at("a.go:15", "y()")}, []int{-1, 0, 1}, 0},
		"equal ones between others": {
			list{between(x, "f", "g"), between(at("a.go:3", "x()"), "h", "i")},
			list{between(x, "h", "i"), between(at("a.go:3", "x()"), "f", "g")}, []int{1, 0}, 0,
		},
		"an equal one, among others": {list{between(x, "f", "g")}, list{between(x, "h", "i")}, []int{-1}, 1},
		"further lines edited":       {list{at("a.go:1", "q(\n1,\n2)")}, list{at("a.go:1", "q(\n1,\n3)")}, []int{0}, 0},
		"further lines replaced":     {list{at("a.go:1", "q(\n1)")}, list{at("a.go:9", "q(\n2)")}, []int{-1}, 1},
		"file renamed":               {list{x, y}, list{at("b.go:2", "x()"), at("b.go:6", "y()")}, []int{0, 1}, 0},
		"directory renamed": {
			list{at("d/a.go:1", "x()"), at("d/b.go:2", "x()")},
			list{at("e/b.go:2", "x()"), at("e/a.go:1", "x()")}, []int{1, 0}, 0,
		},
		"renamed or copied": {list{x}, list{at("b.go:1", "x()"), at("c.go:1", "x()")}, []int{-1, -1}, 1},
		"added elsewhere":   {list{x}, list{x, at("b.go:1", "x()")}, []int{0, -1}, 0},
		"moved elsewhere": {
			list{between(x, "f", "g"), y}, list{y, between(at("b.go:1", "x()"), "f", "g")}, []int{1, 0}, 0,
		},
		"one constant for all": {list{noted(x, "m", "c")}, list{noted(y, "n", "c")}, []int{-1}, 1},
		"no message, one constant": {
			list{noted(x, "", "c"), noted(y, "", "c")}, list{noted(x, "", "c"), noted(y, "", "c")}, []int{0, 1}, 0,
		},
		"told apart by the tool": {list{noted(x, "m", "1"), noted(y, "m", "2")}, list{noted(y, "m", "2")}, []int{1}, 1},
		"another text, one advisory": {list{advised}, list{func() core.Finding {
			f := advised
			f.Message = "fixed in 3"
			return f
		}()}, []int{0}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, absent := recognised(slices.Clone(test.before), slices.Clone(test.after), nil)
			if diff := cmp.Diff(test.want, got); diff != "" || absent != test.absent {
				t.Errorf("absent %d, want %d; partners (-want +got):\n%s", absent, test.absent, diff)
			}
		})
	}
}

func TestCompareInheritsThroughManyScans(t *testing.T) {
	t.Parallel()
	scan := []core.Finding{at("a.go:1", "x()"), at("a.go:9", "y()")}
	match.Compare(scan, match.Previous{})
	first := scan[0].Fingerprint
	for n := range 5 {
		next := []core.Finding{at(fmt.Sprintf("d%d/a.go:%d", n, n+1), "x()"), at(fmt.Sprintf("d%d/a.go:%d", n, n+9), "y()")}
		match.Compare(next, match.Previous{Baseline: knownOf(scan)})
		if scan = next; scan[0].Fingerprint != first {
			t.Fatalf("after %d renames: want %s, got %s", n+1, first, scan[0].Fingerprint)
		}
	}
}

func TestCompareKeepsFingerprintsOnABranch(t *testing.T) {
	t.Parallel()
	onMain := []core.Finding{at("a.go:1", "x()")}
	match.Compare(onMain, match.Previous{})
	first := []core.Finding{at("a.go:1", "x()"), between(at("a.go:9", "x()"), "f", "g"), at("a.go:30", "y()")}
	match.Compare(first, match.Previous{Baseline: knownOf(onMain)})
	second := []core.Finding{
		at("a.go:1", "x()"), between(at("a.go:5", "x()"), "h", "i"), between(at("a.go:13", "x()"), "f", "g"),
		at("a.go:34", "z()"),
	}
	absent := match.Compare(second, match.Previous{Baseline: knownOf(onMain), SameBranch: knownOf(first)})
	states := []core.BaselineState{core.Unchanged, core.New, core.New, core.New}
	for i, want := range states {
		if second[i].BaselineState != want || absent != 0 {
			t.Errorf("finding %d: want %s and none absent, got %s and %d", i, want, second[i].BaselineState, absent)
		}
	}
	if second[2].Fingerprint != first[1].Fingerprint || second[1].Fingerprint == first[1].Fingerprint {
		t.Errorf("want the branch's finding to keep its fingerprint, got %s, %s, was %s",
			second[1].Fingerprint, second[2].Fingerprint, first[1].Fingerprint)
	}
}

func TestCompareKnowsFingerprintsOfTheFirstVersion(t *testing.T) {
	t.Parallel()
	known := []match.BaselineFinding{
		{Fingerprint: "v1:a7f2d8b1f5a0e1f0aa9d6b4f1f1b2c3d", File: "a.go", Line: 1},
		{Fingerprint: "v1:" + sumV1("r\x00a.go\x00x()\x000"), File: "a.go", Line: 1},
		{Fingerprint: "v1:" + sumV1("r\x00a.go\x00x()\x001"), File: "a.go", Line: 5},
	}
	findings := []core.Finding{at("a.go:7", "x()"), at("a.go:8", "x()"), at("a.go:9", "x()")}
	absent := match.Compare(findings, match.Previous{Baseline: match.BaselineOf(known...)})
	if findings[0].Fingerprint != known[1].Fingerprint || findings[1].Fingerprint != known[2].Fingerprint || absent != 1 {
		t.Errorf("want the old fingerprints and one absent, got %+v, %d absent", findings, absent)
	}
	if findings[2].BaselineState != core.New {
		t.Errorf("want the third to be new, got %+v", findings[2])
	}
}

// Whatever the findings, none hides another one: all fingerprints differ, each of the baseline is used at most once and
// the numbers add up.
func TestCompareHidesNothing(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	some := func(n int) (findings []core.Finding) {
		for range random.IntN(n) {
			code := []string{"", "x()", "y()", "x()\nz()"}[random.IntN(4)]
			f := at(fmt.Sprintf("%c.go:%d", 'a'+random.IntN(3), random.IntN(9)), code)
			f.RuleID, f.Message = fmt.Sprint("r", random.IntN(2)), fmt.Sprint("m", random.IntN(2))
			f.PartialFingerprint = []string{"", "constant", fmt.Sprint(random.IntN(5)), fmt.Sprint("stable-", random.IntN(5))}[random.IntN(4)]
			f.About = core.About{
				Package:     []string{"", "", "", "p", "q"}[random.IntN(5)],
				Aliases:     []string{"", "CVE-2099-1111", "CVE-2099-2222 GHSA-aaaa-bbbb-cccc"}[random.IntN(3)],
				FormerRules: []string{"", "", "r0", "r2 r1"}[random.IntN(4)],
				Absolute:    random.IntN(4) == 0,
			}
			if random.IntN(2) == 0 {
				f = between(f, fmt.Sprint("b", random.IntN(3)), fmt.Sprint("a", random.IntN(3)))
			}
			if random.IntN(3) == 0 {
				f = in(fmt.Sprint("c", random.IntN(2)), f)
			}
			findings = append(findings, f)
		}
		return findings
	}
	changes := []*core.Changes{nil, {}, {Files: []core.FileChange{
		{Old: "a.go", New: "b.go", Hunks: []core.Hunk{hunk(3, 1, 3, 4)}}, {Old: "", New: "a.go"},
		{Old: "c.go", New: "c.go", Opaque: true},
	}}}
	for range 3000 {
		before, after, branch := some(12), some(12), some(12)
		match.Compare(before, match.Previous{})
		match.Compare(branch, match.Previous{Baseline: knownOf(before)})
		absent := match.Compare(after, match.Previous{
			Baseline: knownOf(before), Changes: changes[random.IntN(len(changes))], SameBranch: knownOf(branch),
		})
		prints, known := map[string]bool{}, map[string]bool{}
		for _, f := range after {
			prints[f.Fingerprint] = true
			if f.BaselineState == core.Unchanged {
				known[f.Fingerprint] = true
			}
			if recognised := slices.ContainsFunc(slices.Concat(before, branch), func(b core.Finding) bool {
				return b.Fingerprint == f.Fingerprint
			}); recognised != (f.MatchedBy != "") {
				t.Fatalf("recognised: %t, by %q: %+v", recognised, f.MatchedBy, f)
			}
		}
		gone := 0
		for _, f := range before {
			if f.Commit == "" && !known[f.Fingerprint] {
				gone++
			}
		}
		if len(prints) != len(after) || absent != gone {
			t.Fatalf("%d findings, %d fingerprints, %d unchanged, %d absent, want %d:\n%+v\n%+v",
				len(after), len(prints), len(known), absent, gone, before, after)
		}
	}
}

// A masked secret is the same finding in the next commit where it moves, another one where its value changes.
func TestCompareTellsMaskedSecretsApart(t *testing.T) {
	t.Parallel()
	report := func(line int, code string) []core.Finding {
		f := core.Finding{Tool: "semgrep", RuleID: "hardcoded-token", File: "a.py", Line: line, Message: "A token.", Snippet: code}
		secrets.Key{}.MaskFinding(&f)
		return []core.Finding{f}
	}
	old := report(3, "token = 'one-secret-value'")
	match.Compare(old, match.Previous{})
	known := match.BaselineOf(match.BaselineFinding{
		Fingerprint: old[0].Fingerprint, Anchor: old[0].Anchor, File: "a.py", Line: 3,
	})
	for code, want := range map[string]core.BaselineState{
		"token = 'one-secret-value'":      core.Unchanged,
		"\ttoken  =  'one-secret-value' ": core.Unchanged,
		"token = 'another-secret'":        core.New,
	} {
		now := report(9, code)
		match.Compare(now, match.Previous{Baseline: known})
		if now[0].BaselineState != want {
			t.Errorf("%s is %s, want %s", code, now[0].BaselineState, want)
		}
	}
}

// BenchmarkCompare compares 100,000 findings with 100,000 known ones; a tenth of them came or went.
func BenchmarkCompare(b *testing.B) {
	const many = 100_000
	shapes := map[string]func(n int) core.Finding{
		"all different": func(n int) core.Finding {
			f := at(fmt.Sprintf("f%d:%d", n%900, n), fmt.Sprint("call(", n, ")"))
			f.RuleID = fmt.Sprint("r", n%50)
			return f
		},
		"a hundred equals each": func(n int) core.Finding {
			return core.Finding{RuleID: "r", File: fmt.Sprint("f", n%1000), Line: n, Snippet: "call()"}
		},
		"all equal": func(n int) core.Finding {
			return core.Finding{RuleID: "r", File: "f", Line: n, Snippet: "call()"}
		},
		"without code": func(n int) core.Finding {
			return core.Finding{RuleID: "r", File: fmt.Sprint("f", n%900), Message: fmt.Sprint("text ", n)}
		},
		"renamed": func(n int) core.Finding {
			return at(fmt.Sprintf("d%d/f%d:%d", n/many, n%900, n%many), fmt.Sprint("x", n%many))
		},
	}
	for name, shape := range shapes {
		b.Run(name, func(b *testing.B) {
			var before, after []core.Finding
			const message = "Potential file inclusion via variable, line 12: see https://example.com/rules/304 for advice"
			for n := range many {
				before = append(before, shape(n))
				after = append(after, shape(n+many/10))
			}
			for i := range before {
				before[i].Message += message
				after[i].Message += message
			}
			match.Compare(before, match.Previous{})
			known := knownOf(before)
			b.ResetTimer()
			for b.Loop() {
				match.Compare(slices.Clone(after), match.Previous{Baseline: known})
			}
		})
	}
}

// What was in a file that was not searched is not gone, under the name that the file has now.
func TestCompareKeepsWhatWasNotSearched(t *testing.T) {
	t.Parallel()
	renamed := &core.Changes{Files: []core.FileChange{{Old: "a.go", New: "b.go", Opaque: true}}}
	deleted := &core.Changes{Files: []core.FileChange{{Old: "a.go"}}}
	x, y := at("a.go:1", "x()"), at("a.go:5", "y()")
	for name, test := range map[string]struct {
		changes *core.Changes
		left    string
		after   []core.Finding
		kept    int
		absent  int
	}{
		"the file":                       {nil, "a.go", nil, 2, 0},
		"the file, one was found in it":  {nil, "a.go", []core.Finding{y}, 1, 0},
		"another file":                   {nil, "b.go", nil, 0, 2},
		"renamed":                        {renamed, "b.go", nil, 2, 0},
		"another file of its old name":   {renamed, "a.go", nil, 0, 2},
		"deleted":                        {deleted, "a.go", nil, 0, 2},
		"in history":                     {nil, "a.go", []core.Finding{in("c1", x)}, 1, 0},
		"in history, in the deleted one": {deleted, "", []core.Finding{in("c1", x), in("c1", y)}, 0, 0},
	} {
		before := []core.Finding{x, y, in("c0", at("a.go:9", "z()"))}
		match.Compare(before, match.Previous{})
		c := match.Prepare(core.Report{Findings: test.after}).Compare(match.Previous{
			Baseline: knownOf(before), Changes: test.changes, Unsearched: func(file string) bool { return file == test.left },
		})
		if len(c.Kept) != test.kept || c.Absent != test.absent || c.Unchanged != len(test.after)+test.kept {
			t.Errorf("%s: %+v are kept, %d absent, %d unchanged", name, c.Kept, c.Absent, c.Unchanged)
		}
	}
	branch := []core.Finding{x}
	match.Compare(branch, match.Previous{})
	c := match.Prepare(core.Report{}).Compare(match.Previous{
		SameBranch: knownOf(branch), Unsearched: func(string) bool { return true },
	})
	if len(c.Kept) != 1 || c.Kept[0].State != core.New || c.Kept[0].Fingerprint != branch[0].Fingerprint {
		t.Errorf("of the branch are kept: %+v", c.Kept)
	}
}

// What is in files that nobody looked at stays there: it has not moved to where the report has the same, but it may be told of itself.
func TestCompareKeepsWhatIsOutside(t *testing.T) {
	t.Parallel()
	copied := func(place string) core.Finding { return between(at(place, "danger(x)"), "before", "after") }
	before := []core.Finding{copied("lib/a.go:3"), at("src/b.go:4", "other(x)"), at("lib/told.go:5", "told(x)")}
	match.Compare(before, match.Previous{})
	past := match.Previous{Baseline: knownOf(before), Outside: func(file string) bool { return strings.HasPrefix(file, "lib/") }}
	after := []core.Finding{copied("src/a.go:3"), at("lib/told.go:9", "told(x)")}
	compared := match.Prepare(core.Report{Findings: after}).Compare(past)
	for i := range after {
		compared.Apply(i, &after[i])
	}
	if after[0].BaselineState != core.New || after[1].BaselineState != core.Unchanged || compared.Absent != 1 || len(compared.Kept) != 1 {
		t.Fatalf("want the copy new, one kept and one gone: %+v, %d, %+v", after, compared.Absent, compared.Kept)
	}
	if kept := compared.Kept[0]; kept.Fingerprint != before[0].Fingerprint || kept.State != core.Unchanged {
		t.Errorf("%+v is kept", kept)
	}
	branch := match.Prepare(core.Report{}).Compare(match.Previous{SameBranch: knownOf(before), Outside: past.Outside})
	if len(branch.Kept) != 0 {
		t.Errorf("%+v is kept of the branch, though the files are as in the baseline", branch.Kept)
	}
}
