package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestPutReportKeepsEveryFieldOfManyFindings(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		const many = 1500
		why := `"quoted" \ tab	and newline` + "\n"
		var report core.Report
		for n := range many {
			f := core.Finding{
				Tool: "tool", RuleID: fmt.Sprint("rule-", n), File: "dir/ä.go", Line: n, EndLine: n + 1, Severity: core.Low,
				Title: why, Message: "\\N \\. ☃", CVEID: "CVE-2024-0001", CWE: "CWE-79", HelpURI: "https://example.com/", Snippet: "a\tb",
			}
			if n%2 == 0 {
				f.Suppressed = &why
			}
			report.Findings = append(report.Findings, f)
		}
		if _, err := s.PutReport(t.Context(), scan.ReferenceID, "gitleaks", report); err != nil {
			t.Fatal(err)
		}
		got, err := s.ListFindings(t.Context(), scan, store.FindingFilter{ByAge: true, Limit: 2 * many})
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			want := report.Findings[i]
			want.ID, want.ScanID, want.JobID = got[i].ID, scan.ID, got[0].JobID
			want.Fingerprint, want.Anchor, want.BaselineState = got[i].Fingerprint, got[i].Anchor, core.New
			if diff := cmp.Diff(want, got[i]); diff != "" || want.Fingerprint == "" {
				t.Fatalf("finding %d (-want +got):\n%s", i, diff)
			}
		}
		if len(got) != many {
			t.Errorf("want %d findings, got %d", many, len(got))
		}
	})
}
