package match_test

import (
	"fmt"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
)

// A finding keeps its fingerprint when its line moves. What the baseline does not have is new, what the report no longer
// has is absent.
func ExampleCompare() {
	before := []core.Finding{
		{RuleID: "weak-hash", File: "login.go", Line: 12, Snippet: "h := md5.New()"},
		{RuleID: "sql-injection", File: "db.go", Line: 40, Snippet: "db.Query(query + name)"},
	}
	match.Compare(before, match.Previous{})
	var baseline match.Baseline
	for _, f := range before {
		baseline.Add(match.BaselineFinding{Fingerprint: f.Fingerprint, Anchor: f.Anchor, File: f.File, Line: f.Line})
	}

	after := []core.Finding{
		{RuleID: "weak-hash", File: "login.go", Line: 31, Snippet: "\th := md5.New()"},
		{RuleID: "open-redirect", File: "login.go", Line: 50, Snippet: "http.Redirect(w, r, next, 302)"},
	}
	absent := match.Compare(after, match.Previous{Baseline: baseline})
	for _, f := range after {
		fmt.Println(f.RuleID, f.BaselineState)
	}
	fmt.Println("the same fingerprint:", after[0].Fingerprint == before[0].Fingerprint)
	fmt.Println("absent:", absent)
	// Output:
	// weak-hash unchanged
	// open-redirect new
	// the same fingerprint: true
	// absent: 1
}
