package core_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

// knownOf is what the store keeps of compared findings.
func knownOf(findings []core.Finding) (known core.Earlier) {
	for _, f := range findings {
		known.Add(core.Known{Fingerprint: f.Fingerprint, Anchor: f.Anchor, File: f.File, Line: f.Line})
	}
	return known
}

// at is a finding of one rule, written file:line code.
func at(place, code string) core.Finding {
	f := core.Finding{RuleID: "r", Snippet: code}
	f.File, place, _ = strings.Cut(place, ":")
	_, _ = fmt.Sscan(place, &f.Line)
	return f
}

// between gives a finding surroundings.
func between(f core.Finding, before, after string) core.Finding {
	f.Surroundings = core.Between([]uint16{core.DigestLine(before)}, []uint16{core.DigestLine(after)})
	return f
}

// recognised tells for each finding of after the index of the one before that it is, or -1.
func recognised(before, after []core.Finding, changes *core.Changes) (partners []int, absent int) {
	core.Compare(before, core.Past{})
	absent = core.Compare(after, core.Past{Known: knownOf(before), Changes: changes})
	for _, f := range after {
		partner := slices.IndexFunc(before, func(b core.Finding) bool { return b.Fingerprint == f.Fingerprint })
		if (partner >= 0) != (f.BaselineState == core.Unchanged) {
			partner = -2
		}
		partners = append(partners, partner)
	}
	return partners, absent
}

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
	core.Compare(scan, core.Past{})
	first := scan[0].Fingerprint
	for n := range 5 {
		next := []core.Finding{at(fmt.Sprintf("d%d/a.go:%d", n, n+1), "x()"), at(fmt.Sprintf("d%d/a.go:%d", n, n+9), "y()")}
		core.Compare(next, core.Past{Known: knownOf(scan)})
		if scan = next; scan[0].Fingerprint != first {
			t.Fatalf("after %d renames: want %s, got %s", n+1, first, scan[0].Fingerprint)
		}
	}
}

func TestCompareKeepsFingerprintsOnABranch(t *testing.T) {
	t.Parallel()
	onMain := []core.Finding{at("a.go:1", "x()")}
	core.Compare(onMain, core.Past{})
	first := []core.Finding{at("a.go:1", "x()"), between(at("a.go:9", "x()"), "f", "g"), at("a.go:30", "y()")}
	core.Compare(first, core.Past{Known: knownOf(onMain)})
	second := []core.Finding{
		at("a.go:1", "x()"), between(at("a.go:5", "x()"), "h", "i"), between(at("a.go:13", "x()"), "f", "g"),
		at("a.go:34", "z()"),
	}
	absent := core.Compare(second, core.Past{Known: knownOf(onMain), Branch: knownOf(first)})
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
	known := []core.Known{
		{Fingerprint: "v1:a7f2d8b1f5a0e1f0aa9d6b4f1f1b2c3d", File: "a.go", Line: 1},
		{Fingerprint: "v1:" + sumV1("r\x00a.go\x00x()\x000"), File: "a.go", Line: 1},
		{Fingerprint: "v1:" + sumV1("r\x00a.go\x00x()\x001"), File: "a.go", Line: 5},
	}
	findings := []core.Finding{at("a.go:7", "x()"), at("a.go:8", "x()"), at("a.go:9", "x()")}
	absent := core.Compare(findings, core.Past{Known: core.Remember(known...)})
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
			f.PartialFingerprint = []string{"", "constant", fmt.Sprint(random.IntN(5))}[random.IntN(3)]
			if random.IntN(2) == 0 {
				f = between(f, fmt.Sprint("b", random.IntN(3)), fmt.Sprint("a", random.IntN(3)))
			}
			findings = append(findings, f)
		}
		return findings
	}
	changes := []*core.Changes{nil, {}, {Files: []core.FileChange{
		{Old: "a.go", New: "b.go", Hunks: []core.Hunk{{3, 1, 3, 4}}}, {Old: "", New: "a.go"},
		{Old: "c.go", New: "c.go", Opaque: true},
	}}}
	for range 3000 {
		before, after, branch := some(12), some(12), some(12)
		core.Compare(before, core.Past{})
		core.Compare(branch, core.Past{Known: knownOf(before)})
		absent := core.Compare(after, core.Past{
			Known: knownOf(before), Changes: changes[random.IntN(len(changes))], Branch: knownOf(branch),
		})
		prints := map[string]bool{}
		unchanged := 0
		for _, f := range after {
			prints[f.Fingerprint] = true
			if f.BaselineState == core.Unchanged {
				unchanged++
			}
		}
		if len(prints) != len(after) || unchanged+absent != len(before) {
			t.Fatalf("%d findings, %d fingerprints, %d unchanged, %d absent of %d:\n%+v\n%+v",
				len(after), len(prints), unchanged, absent, len(before), before, after)
		}
	}
}
