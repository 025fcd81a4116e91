package core_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
)

func TestPackedKeepsWhatReportsSay(t *testing.T) {
	t.Parallel()
	const many = 10_000
	var want []core.Finding
	var packed core.Packed
	for n := range many {
		f := core.Finding{
			Tool: "tool", RuleID: fmt.Sprint("r", n%7), File: fmt.Sprint("f", n%100), Line: n, EndLine: n + 1,
			Severity: core.Severities[n%4], Title: fmt.Sprint("t", n%7), Message: strings.Repeat("m", n%300),
			CVEID: fmt.Sprint("CVE-", n%3), CWE: "CWE-79", HelpURI: "https://example.com", Snippet: strings.Repeat("s", n%5),
			PartialFingerprint: fmt.Sprint(n), Surroundings: match.SurroundingsOf([]uint16{uint16(n)}, nil),
		}
		if n%3 == 0 {
			f.Suppressed = new(strings.Repeat("x", n%2))
		}
		if n == 5000 {
			f.Message = strings.Repeat("long", 50_000)
		}
		want = append(want, f)
		packed.Add(&f)
	}
	for n := 0; n < many; n += 11 {
		want[n].File, want[n].Title = "moved", ""
		switch n % 3 {
		case 0:
			want[n].Message += "!"
		case 1:
			want[n].Suppressed = new("why")
		case 2:
			want[n].Suppressed = nil
		}
		packed.Put(n, &want[n])
	}
	var got core.Finding
	for n := range packed.Len() {
		packed.Get(n, &got)
		if diff := cmp.Diff(want[n], got); diff != "" {
			t.Fatalf("finding %d (-want +got):\n%s", n, diff)
		}
	}
	if packed.Len() != many {
		t.Errorf("want %d findings, got %d", many, packed.Len())
	}
}
