package store_test

import (
	"fmt"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestListFindingsOfAJobByAge(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		var findings []core.Finding
		for n := range 250 {
			findings = append(findings, finding(fmt.Sprint("r", n), core.Severities[n%4]))
		}
		run(t, s, findings...)
		jobs, err := s.ListJobs(t.Context(), scan)
		if err != nil {
			t.Fatal(err)
		}
		listed := 0
		for filter := (store.FindingFilter{JobID: jobs[0].ID, ByAge: true, Limit: 100}); ; {
			page, err := s.ListFindings(t.Context(), scan, filter)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range page {
				if f.ID <= filter.AfterID || f.JobID != jobs[0].ID {
					t.Fatalf("finding %d of job %d after %d", f.ID, f.JobID, filter.AfterID)
				}
				filter.AfterID = f.ID
			}
			if listed += len(page); len(page) < filter.Limit {
				break
			}
		}
		if listed != len(findings) {
			t.Errorf("%d findings listed, want %d", listed, len(findings))
		}
	})
}
