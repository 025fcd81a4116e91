package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestFinishJobComparesWithBaseline(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		first := accept(t, s, d, p)
		run(t, s, finding("old", core.High), finding("gone", core.Low))
		if st := statusOf(t, s, first); st.State != core.StatusFailure || st.Description != "2 new (1 high, 1 low)" {
			t.Errorf("first commit: %s %q", st.State, st.Description)
		}
		d, p = storetest.PushOf(2)
		second := accept(t, s, d, p)
		run(t, s, finding("old", core.High), finding("fresh", core.Medium))
		if st := statusOf(t, s, second); st.State != core.StatusSuccess || st.Description != "1 new (1 medium), 1 known, 1 fixed" {
			t.Errorf("second commit: %s %q", st.State, st.Description)
		}
		second = get(t, s, second.ReferenceID)
		if second.BaselineScanID == nil || *second.BaselineScanID != first.ID {
			t.Errorf("baseline is %v, want %d", second.BaselineScanID, first.ID)
		}
		fixed, err := s.ListFindings(t.Context(), second, store.FindingFilter{BaselineState: core.Absent, Limit: 10})
		if err != nil || len(fixed) != 1 || fixed[0].RuleID != "gone" {
			t.Errorf("fixed findings = %+v, %v", fixed, err)
		}
		d, p = storetest.PushOf(3, storetest.OnBranch("feature"))
		p.Before = storetest.SHA(99)
		feature := accept(t, s, d, p)
		run(t, s, finding("old", core.High), finding("fresh", core.Medium))
		if st := statusOf(t, s, feature); st.Description != "0 new, 2 known" {
			t.Errorf("a branch is compared with the default branch: %q", st.Description)
		}
	})
}

func TestPutReportIsIdempotent(t *testing.T) {
	t.Parallel()
	policy := storetest.Policy
	policy.Scanners = []string{"semgrep", "trivy"}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		put := func(scanner string, findings ...core.Finding) core.Scan {
			t.Helper()
			after, err := s.PutReport(t.Context(), scan.ReferenceID, scanner, core.Report{Findings: findings})
			if err != nil {
				t.Fatal(err)
			}
			return after
		}
		if got := put("trivy", finding("a", core.Low), finding("b", core.Low)); got.Status != core.ScanProcessing {
			t.Errorf("after one of two reports: %s", got.Status)
		}
		put("trivy", finding("a", core.Low))
		got := put("semgrep", finding("a", core.Low))
		if got.Status != core.ScanCompleted || got.Summary != "2 new (2 low)" {
			t.Errorf("after both: %s %q", got.Status, got.Summary)
		}
		again := put("semgrep", finding("a", core.Low))
		ignore := cmpopts.IgnoreFields(core.Scan{}, "FinishedAt")
		if diff := cmp.Diff(got, again, ignore); diff != "" {
			t.Errorf("the same report again changes the scan (-before +after):\n%s", diff)
		}
		if st := statusOf(t, s, scan); st.Revision != 2 {
			t.Errorf("the status was wanted %d times, want 2: pending and final", st.Revision)
		}
		if _, err := s.PutReport(t.Context(), "00000000-0000-4000-8000-000000000000", "x", core.Report{}); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("unknown scan: %v", err)
		}
	})
}

// Two scanners that finish at the same moment must not both leave the scan to the other.
func TestFinishJobConcurrently(t *testing.T) {
	t.Parallel()
	policy := storetest.Policy
	policy.Scanners = []string{"a", "b", "c", "d"}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
		for n := range 10 {
			d, p := storetest.PushOf(n, storetest.OnBranch(fmt.Sprint("b", n)))
			scan := accept(t, s, d, p)
			var wg sync.WaitGroup
			for _, worker := range policy.Scanners {
				job := claimJob(t, s, by(worker, policy.Scanners...))
				wg.Go(func() {
					if err := s.FinishJob(t.Context(), job, core.Report{}); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if scan = get(t, s, scan.ReferenceID); scan.Status != core.ScanCompleted {
				t.Fatalf("scan %d is %s", n, scan.Status)
			}
		}
	})
}

func TestFailedJobKeepsFindings(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		report := core.Report{Failure: "out of memory", Findings: []core.Finding{finding("a", core.High)}}
		if _, err := s.PutReport(t.Context(), scan.ReferenceID, "gitleaks", report); err != nil {
			t.Fatal(err)
		}
		scan = get(t, s, scan.ReferenceID)
		if scan.Status != core.ScanFailed || scan.Verdict != nil || scan.Error != "gitleaks: out of memory" {
			t.Errorf("scan is %s, verdict %v, error %q", scan.Status, scan.Verdict, scan.Error)
		}
		findings, err := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 10})
		if err != nil || len(findings) != 1 {
			t.Errorf("%d findings, %v, want 1", len(findings), err)
		}
	})
}

func TestDeleteScanDeletesWhatHangsOnIt(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		run(t, s, finding("a", core.High))
		if err := s.DeleteScan(t.Context(), scan.ReferenceID, "ada"); err != nil {
			t.Fatal(err)
		}
		findings, err1 := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 10})
		jobs, err2 := s.ListJobs(t.Context(), scan)
		statuses, err3 := s.ListStatuses(t.Context(), scan)
		if err := errors.Join(err1, err2, err3); err != nil || len(findings)+len(jobs)+len(statuses) != 0 {
			t.Errorf("left behind: %d findings, %d jobs, %d statuses, %v", len(findings), len(jobs), len(statuses), err)
		}
		if err := s.DeleteScan(t.Context(), scan.ReferenceID, "ada"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("deleting again: %v", err)
		}
	})
}

func TestListFindingsPages(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		var findings []core.Finding
		for n := range 2500 {
			findings = append(findings, finding(fmt.Sprint("r", n), core.Severities[n%4]))
		}
		run(t, s, findings...)
		seen := map[int64]bool{}
		rank := core.Critical.Rank()
		for filter := (store.FindingFilter{Limit: 400}); ; {
			page, err := s.ListFindings(t.Context(), scan, filter)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, f := range page {
				if seen[f.ID] || f.Severity.Rank() > rank {
					t.Fatalf("finding %d twice or out of order", f.ID)
				}
				seen[f.ID], rank = true, f.Severity.Rank()
			}
			last := page[len(page)-1]
			filter.AfterRank, filter.AfterID = last.Severity.Rank(), last.ID
		}
		if len(seen) != len(findings) {
			t.Errorf("%d findings listed, want %d", len(seen), len(findings))
		}
	})
}
