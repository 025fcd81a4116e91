package match_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

func TestCompareFollowsChanges(t *testing.T) {
	t.Parallel()
	edited := func(hunks ...core.Hunk) *core.Changes {
		return &core.Changes{Files: []core.FileChange{{Old: "a.go", New: "a.go", Hunks: hunks}}}
	}
	renamed := &core.Changes{Files: []core.FileChange{{Old: "a.go", New: "b.go"}, {Old: "b.go", New: "c.go"}}}
	type list = []core.Finding
	tests := map[string]struct {
		changes       *core.Changes
		before, after list
		want          []int
		absent        int
	}{
		"a line added above an equal one": {
			edited(hunk(0, 0, 1, 1)), list{at("a.go:1", "x()")}, list{at("a.go:1", "x()"), at("a.go:2", "x()")},
			[]int{-1, 0}, 0,
		},
		"lines deleted above": {
			edited(hunk(1, 3, 0, 0)), list{at("a.go:4", "x()")}, list{at("a.go:1", "x()")}, []int{0}, 0,
		},
		"between two hunks": {
			edited(hunk(1, 1, 1, 3), hunk(9, 2, 11, 1)), list{at("a.go:5", "x()"), at("a.go:20", "x()")},
			list{at("a.go:7", "x()"), at("a.go:21", "x()")}, []int{0, 1}, 0,
		},
		"another code in the same line, as another tool version cuts it": {
			edited(), list{at("a.go:5", "x")}, list{at("a.go:5", "x()")}, []int{0}, 0,
		},
		"all of a file in its first line": {
			edited(), list{about("a.go:1", "left-pad"), about("a.go:1", "ms")},
			list{about("a.go:1", "ms"), about("a.go:1", "qs")}, []int{1, -1}, 1,
		},
		"another rule's turn on an old line": {edited(), list{at("a.go:5", "x()")}, list{at("a.go:9", "x()")}, []int{-1}, 1},
		"the line replaced by an equal one": {
			edited(hunk(5, 1, 5, 1)), list{at("a.go:5", "x()")}, list{at("a.go:5", "x()")}, []int{0}, 0,
		},
		"the line replaced": {
			edited(hunk(5, 1, 5, 1)), list{at("a.go:5", "x()")}, list{at("a.go:5", "y()")}, []int{-1}, 1,
		},
		"renamed in a circle": {
			renamed, list{at("a.go:5", "x()"), at("b.go:5", "x()")}, list{at("c.go:5", "x()"), at("b.go:5", "x()")},
			[]int{1, 0}, 0,
		},
		"added beside a deleted one": {
			&core.Changes{Files: []core.FileChange{{Old: "a.go"}, {New: "b.go"}}},
			list{at("a.go:5", "x()")}, list{at("b.go:5", "x()")}, []int{-1}, 1,
		},
		"a file that cannot be compared": {
			&core.Changes{Files: []core.FileChange{{Old: "a.go", New: "a.go", Opaque: true}}},
			list{at("a.go:5", "x()")}, list{at("a.go:50", "x()")}, []int{0}, 0,
		},
		"a file that did not change": {
			&core.Changes{}, list{at("a.go:5", "x()"), at("a.go:6", "x()")}, list{at("a.go:6", "x()")}, []int{1}, 1,
		},
		"no line at all": {&core.Changes{}, list{at("a.go:0", "x()")}, list{at("a.go:0", "x()")}, []int{0}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, absent := recognised(test.before, test.after, test.changes)
			if diff := cmp.Diff(test.want, got); diff != "" || absent != test.absent {
				t.Errorf("absent %d, want %d; partners (-want +got):\n%s", absent, test.absent, diff)
			}
		})
	}
}
