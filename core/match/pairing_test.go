package match_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
)

func TestCompareRecognisesHistory(t *testing.T) {
	t.Parallel()
	type list = []core.Finding
	x, y := at("a.go:5", "key = REDACTED-aaaa"), at("a.go:5", "key = REDACTED-bbbb")
	moved := at("b.go:9", "key = REDACTED-aaaa")
	deleted := &core.Changes{Files: []core.FileChange{{Old: "a.go", New: "a.go", Hunks: []core.Hunk{hunk(5, 1, 4, 0)}}}}
	tests := map[string]struct {
		changes       *core.Changes
		before, after list
		want          []int
		absent        int
	}{
		"the same": {nil, list{in("c1", x)}, list{in("c1", x)}, []int{0}, 0},
		"the same commit before an equal finding": {nil, list{in("c1", x), in("c2", x)}, list{in("c2", x)}, []int{1}, 0},
		"another commit": {nil, list{in("c1", x)}, list{in("c2", x)}, []int{0}, 0},
		"another file":   {nil, list{in("c1", x)}, list{in("c2", moved)}, []int{0}, 0},
		"the same file before another one": {
			nil, list{in("c1", moved), in("c1", x)}, list{in("c2", x), in("c2", moved)}, []int{1, 0}, 0,
		},
		"another secret in the same line":     {nil, list{in("c1", x)}, list{in("c1", y)}, []int{-1}, 0},
		"two secrets in the same line":        {nil, list{in("c1", x), in("c1", y)}, list{in("c1", y), in("c1", x)}, []int{1, 0}, 0},
		"another secret, an unchanged file":   {&core.Changes{}, list{x}, list{in("c2", y)}, []int{-1}, 1},
		"left the tree":                       {nil, list{x}, list{in("c2", x)}, []int{0}, 0},
		"left the tree, by the diff":          {deleted, list{x}, list{in("c2", x)}, []int{0}, 0},
		"left the tree, from another file":    {deleted, list{x}, list{in("c2", moved)}, []int{0}, 0},
		"came back into the tree":             {nil, list{in("c1", x)}, list{x}, []int{0}, 0},
		"came back, by the diff":              {&core.Changes{}, list{in("c1", x)}, list{x}, []int{0}, 0},
		"stays in the tree, one more":         {&core.Changes{}, list{x}, list{in("c2", moved), x}, []int{-1, 0}, 0},
		"stays in both":                       {nil, list{in("c1", x), x}, list{x, in("c1", x)}, []int{1, 0}, 0},
		"stays in both, and moved":            {nil, list{in("c1", x), x}, list{at("a.go:50", x.Snippet), in("c1", x)}, []int{1, 0}, 0},
		"gone from the tree and from history": {nil, list{in("c1", x), y}, nil, nil, 1},
		"a line of another commit is no line of the tree": {
			&core.Changes{}, list{in("c1", about("a.go:5", "m"))}, list{about("a.go:5", "m2")}, []int{-1}, 0,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, absent := recognised(slices.Clone(test.before), slices.Clone(test.after), test.changes)
			if diff := cmp.Diff(test.want, got); diff != "" || absent != test.absent {
				t.Errorf("absent %d, want %d; partners (-want +got):\n%s", absent, test.absent, diff)
			}
		})
	}
}

// Findings in history do not change what the others are recognised as, whatever the order of the report.
func TestCompareHistoryInAnyOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	tree := []core.Finding{at("a.go:5", "x()"), at("a.go:9", "x()"), at("b.go:2", "y()")}
	want := fingerprint(slices.Clone(tree)...)
	for range 200 {
		before := append(slices.Clone(tree), in("c1", at("a.go:1", "x()")), in("c2", at("b.go:1", "z()")))
		after := append(slices.Clone(before), in("c3", at("a.go:2", "x()")), in("c3", at("b.go:2", "y()")))
		match.Compare(before, match.Previous{})
		random.Shuffle(len(after), func(i, j int) { after[i], after[j] = after[j], after[i] })
		match.Compare(after, match.Previous{Baseline: knownOf(before)})
		for _, f := range after {
			at := slices.IndexFunc(before, func(b core.Finding) bool {
				return b.Commit == f.Commit && b.File == f.File && b.Line == f.Line
			})
			if fresh := f.Commit == "c3"; fresh != (at < 0) || fresh != (f.BaselineState == core.New) || at >= 0 && f.Fingerprint != before[at].Fingerprint {
				t.Fatalf("%s:%d of %q is %s %s", f.File, f.Line, f.Commit, f.BaselineState, f.Fingerprint)
			}
		}
		for i := range tree {
			if before[i].Fingerprint != want[i] {
				t.Fatalf("%s:%d has another fingerprint beside findings in history", before[i].File, before[i].Line)
			}
		}
	}
}

// amid gives a finding the lines around it, half of them before it.
func amid(f core.Finding, lines ...string) core.Finding {
	var digests []uint16
	for _, line := range lines {
		digests = append(digests, match.DigestLine(line))
	}
	half := len(digests) / 2
	f.Surroundings = match.SurroundingsOf(digests[:half], digests[half:])
	return f
}

// Where functions change places, equal lines are told by all that is around them, before those are that have little in common.
func TestCompareRecognisesWhatChangedPlaces(t *testing.T) {
	t.Parallel()
	in := func(line int, name string) core.Finding {
		return amid(at(fmt.Sprintf("a.go:%d", line), "t.Fatal(err)"), name+"1", name+"2", "if err != nil {", name+"3", name+"4", name+"5")
	}
	before := []core.Finding{in(10, "a"), in(20, "b"), in(30, "c")}
	after := []core.Finding{in(10, "c"), in(20, "b"), in(30, "a")}
	got, _ := recognised(before, after, nil)
	if diff := cmp.Diff([]int{2, 1, 0}, got); diff != "" {
		t.Errorf("partners (-want +got):\n%s", diff)
	}
}

// As many findings of a group are paired as can be, also where one must leave its first partner to another.
func TestCompareRearrangesPartners(t *testing.T) {
	t.Parallel()
	before := []core.Finding{between(at("a.go:10", "x()"), "p", "q"), between(at("a.go:20", "x()"), "r", "s")}
	after := []core.Finding{between(at("a.go:10", "x()"), "p", "s"), between(at("a.go:20", "x()"), "q", "t")}
	got, absent := recognised(before, after, nil)
	if want := []int{1, 0}; !slices.Equal(got, want) || absent != 0 {
		t.Errorf("absent %d, partners %v, want 0 and %v", absent, got, want)
	}
}
