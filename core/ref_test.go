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
