package store_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// after moves a filter behind the last finding seen.
func after(f store.FindingFilter, last core.Finding) store.FindingFilter {
	f.AfterKEV, f.AfterRank, f.AfterID, f.AfterProbability = last.KEV, last.Severity.Rank(), last.ID, 0
	if last.EPSSProbability != nil {
		f.AfterProbability = *last.EPSSProbability
	}
	return f
}

func TestListFindingsByRisk(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		put(t, s, scores(firstDay, 0.1, 0.85974, 0.3, 0.3, 0.00047))
		put(t, s, catalog(4, 6))
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		var findings []core.Finding
		for n := range 8 {
			findings = append(findings, vulnerable(n, core.Medium), vulnerable(n, core.Critical))
		}
		findings = append(findings, finding("leak", core.High), finding("smell", core.Low))
		run(t, s, findings...)

		var got []string
		for filter := (store.FindingFilter{ByRisk: true, Limit: 3}); ; {
			page, err := s.ListFindings(t.Context(), scan, filter)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range page {
				got = append(got, strings.TrimPrefix(f.RuleID, "dependency-")+" "+string(f.Severity))
			}
			if len(page) == 0 {
				break
			}
			filter = after(filter, page[len(page)-1])
		}
		want := []string{
			"4 Critical", "4 Medium", "6 Critical", "6 Medium", // known to be exploited
			"1 Critical", "1 Medium", "2 Critical", "3 Critical", "2 Medium", "3 Medium", "0 Critical", "0 Medium",
			"5 Critical", "7 Critical", "leak High", "5 Medium", "7 Medium", "smell Low", // nothing known
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
	})
}

func TestListFindingsJoinsScores(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		put(t, s, scores(firstDay, 0.5))
		put(t, s, catalog(0))
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		run(t, s, vulnerable(0, core.High), vulnerable(1, core.Low))
		list, err := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 10})
		if err != nil || len(list) != 2 {
			t.Fatalf("%d findings, %v, want 2", len(list), err)
		}
		if f := list[0]; f.EPSSProbability == nil || *f.EPSSProbability != 0.5 || *f.EPSSPercentile != 0.25 || !f.KEV {
			t.Errorf("a scored finding = %+v", f)
		}
		if f := list[1]; f.EPSSProbability != nil || f.EPSSPercentile != nil || f.KEV {
			t.Errorf("a finding without a score = %+v", f)
		}
	})
}
