package match_test

import (
	"slices"
	"testing"

	"github.com/scanhook/scanhook/core"
)

// printed gives a finding a fingerprint of its tool.
func printed(f core.Finding, print string) core.Finding {
	f.PartialFingerprint = print
	return f
}

// A tool's fingerprint joins findings that moved, and parts none that are in their place or have their code.
func TestCompareUsesFingerprintsOfTools(t *testing.T) {
	t.Parallel()
	const first, second = "primaryLocationLineHash=7d1c0be54aa3f912:1", "primaryLocationLineHash=7d1c0be54aa3f912:2"
	code := func(place, print string) core.Finding { return printed(at(place, "x()"), print) }
	type list = []core.Finding
	for name, test := range map[string]struct {
		before, after list
		want          []int
	}{
		"the first of two is gone": {
			list{code("a.js:10", first), code("a.js:90", second)}, list{code("a.js:91", first)}, []int{1},
		},
		"the first of two, told apart by what is around": {
			list{between(code("a.js:10", "stable-1"), "a", "b"), between(code("a.js:20", "stable-2"), "c", "d")},
			list{between(code("a.js:11", "stable-1"), "c", "d")},
			[]int{1},
		},
		"Semgrep's": {
			list{code("a.js:10", "abcd1234_0"), code("a.js:90", "abcd1234_1")}, list{code("a.js:91", "abcd1234_0")}, []int{1},
		},
		"a number that identifies": {
			list{printed(about("a.js:10", "1 of it"), "stable-1")}, list{printed(about("a.js:90", "2 of it"), "stable-1")}, []int{0},
		},
		"another one with the same message": {
			list{printed(about("a.js:10", "m"), first)}, list{printed(about("a.js:300", "m"), "primaryLocationLineHash=a2b1c0be54aa3f91:1")}, []int{-1},
		},
		"another fingerprint in the same line": {
			list{printed(about("a.js:10", "m"), first)}, list{printed(about("a.js:10", "m"), "primaryLocationLineHash=a2b1c0be54aa3f91:1")}, []int{0},
		},
		"moved to the line of one that is gone": {
			list{printed(about("a.js:10", "m"), "stable-1"), printed(about("a.js:20", "m"), "stable-2")}, list{printed(about("a.js:10", "m"), "stable-2")}, []int{1},
		},
		"of two that have one, the first is gone": {
			list{printed(about("a.js:10", "m"), first), printed(about("a.js:90", "m"), second)}, list{printed(about("a.js:91", "m"), first)}, []int{1},
		},
		"a tool that gives new ones each time": {
			list{printed(about("a.js:10", "m"), "random-1"), printed(about("a.js:20", "m"), "random-2"), printed(about("a.js:30", "m"), "random-3")},
			list{printed(about("a.js:11", "m"), "random-4"), printed(about("a.js:21", "m"), "random-5"), printed(about("a.js:31", "m"), "random-6")},
			[]int{0, 1, 2},
		},
	} {
		got, _ := recognised(test.before, test.after, nil)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: want %v, got %v", name, test.want, got)
		}
	}
}
