package match_test

import (
	"testing"

	"github.com/scanhook/scanhook/core"
)

func TestFingerprintSurvives(t *testing.T) {
	t.Parallel()
	base := core.Finding{RuleID: "r", File: "a.go", Line: 10, Snippet: "\tpassword := \"x\"", Message: "found at line 10"}
	cases := map[string]struct {
		change func(*core.Finding)
		same   bool
	}{
		"moved line":          {func(f *core.Finding) { f.Line = 90 }, true},
		"re-indented":         {func(f *core.Finding) { f.Snippet = "      password :=  \"x\" \r" }, true},
		"other message":       {func(f *core.Finding) { f.Message = "found at line 90" }, true},
		"other rule":          {func(f *core.Finding) { f.RuleID = "q" }, false},
		"other file":          {func(f *core.Finding) { f.File = "b.go" }, false},
		"other code":          {func(f *core.Finding) { f.Snippet = "password := \"y\"" }, false},
		"constant tool value": {func(f *core.Finding) { f.PartialFingerprint = "requires login" }, true},
	}
	for name, c := range cases {
		changed := base
		c.change(&changed)
		if same := fingerprint(base)[0] == fingerprint(changed)[0]; same != c.same {
			t.Errorf("%s: same = %v, want %v", name, same, c.same)
		}
	}
}

func TestFingerprintWithoutSnippet(t *testing.T) {
	t.Parallel()
	moved := fingerprint(core.Finding{RuleID: "r", Line: 3, Message: "x is unused (line 3)"})[0] ==
		fingerprint(core.Finding{RuleID: "r", Line: 9, Message: "x is unused (line 9)"})[0]
	if !moved {
		t.Error("a position inside the message makes another finding of a moved one")
	}
	distinct := fingerprint(
		core.Finding{RuleID: "r", Line: 1, Message: "a", PartialFingerprint: "constant"},
		core.Finding{RuleID: "r", Line: 2, Message: "b", PartialFingerprint: "constant"})
	if distinct[0] == distinct[1] {
		t.Error("a constant partial fingerprint makes one finding of two")
	}
}

func TestFingerprintCountsEqualsByLine(t *testing.T) {
	t.Parallel()
	hit := func(line int) core.Finding {
		return core.Finding{RuleID: "r", File: "a.go", Line: line, Snippet: "eval(x)"}
	}
	first := fingerprint(hit(5), hit(20), hit(30))
	if first[0] == first[1] || first[1] == first[2] || first[0] == first[2] {
		t.Fatalf("equal findings share a fingerprint: %v", first)
	}
	shuffled := fingerprint(hit(30), hit(5), hit(20))
	if shuffled[0] != first[2] || shuffled[1] != first[0] || shuffled[2] != first[1] {
		t.Error("the order of the report changes fingerprints")
	}
}
