package core_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
)

func TestSHA(t *testing.T) {
	t.Parallel()
	zeros40, zeros64 := strings.Repeat("0", 40), strings.Repeat("0", 64)
	cases := map[string]struct{ zero, commit bool }{
		zeros40:                  {true, false},
		zeros64:                  {true, false},
		"0000000":                {false, false},
		"":                       {false, false},
		strings.Repeat("a1", 20): {false, true},
		strings.Repeat("a1", 32): {false, true},
		strings.Repeat("A1", 20): {false, true},
		strings.Repeat("a1", 19): {false, false},
		strings.Repeat("g1", 20): {false, false},
		"--upload-pack=evil" + strings.Repeat("a", 22): {false, false},
	}
	for id, want := range cases {
		if got := core.IsZeroSHA(id); got != want.zero {
			t.Errorf("IsZeroSHA(%q) = %v", id, got)
		}
		if got := core.IsCommitSHA(id); got != want.commit {
			t.Errorf("IsCommitSHA(%q) = %v", id, got)
		}
	}
}

func TestRequestOf(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]int64{
		"refs/pull/7/head": 7, "refs/merge-requests/12/head": 12, "refs/pull/7/merge": 0, "refs/pull/07/head": 0, "refs/pull/-7/head": 0,
		"refs/pull//head": 0, "refs/pull/7/head/x": 0, "refs/heads/refs/pull/7/head": 0, "refs/pull/7 --upload-pack=x/head": 0, "": 0,
	} {
		if got, ok := core.RequestOf(ref); got != want || ok != (want > 0) {
			t.Errorf("RequestOf(%q) = %d, %t", ref, got, ok)
		}
	}
	for branch, want := range map[string]string{"": "", "main": "refs/heads/main", "refs/pull/7/head": "refs/pull/7/head"} {
		if got := core.BranchRef(branch); got != want {
			t.Errorf("BranchRef(%q) = %q", branch, got)
		}
	}
}
