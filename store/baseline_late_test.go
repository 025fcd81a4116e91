package store_test

import (
	"sync"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// leaves opens the scan of a branch that left main at the n-th commit.
func leaves(t *testing.T, s *store.Store, at int) core.Scan {
	t.Helper()
	branch := pushed(t, s, 100+at, storetest.OnBranch("side"))
	if err := s.RecordMergeBase(t.Context(), branch, storetest.SHA(at)); err != nil {
		t.Fatal(err)
	}
	return branch
}

// A branch that is scanned before the commit where it left main is not blamed for what that commit brought.
func TestBranchIsScannedBeforeItsMergeBase(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for summary, rules := range map[string][]string{
			"0 new, 2 known":          {"old", "main"},
			"1 new (1 low), 2 known":  {"old", "main", "own"},
			"0 new, 1 known, 1 fixed": {"main"},
			"0 new, 2 fixed":          nil,
		} {
			s := scannedBy(t, e, "semgrep")
			deliver(t, s, pushed(t, s, 1), "semgrep", found("old"))
			branch := leaves(t, s, 2)
			before := deliver(t, s, branch, "semgrep", found(rules...))
			main := pushed(t, s, 2)
			deliver(t, s, main, "semgrep", core.Report{Failure: "no"})
			if compared := baselines(t, s, branch)["semgrep"]; compared != storetest.SHA(1) {
				t.Errorf("with a run that failed it is compared with %s", compared)
			}
			deliver(t, s, main, "semgrep", found("old", "main"))
			after := get(t, s, branch.ReferenceID)
			if compared := baselines(t, s, after)["semgrep"]; compared != storetest.SHA(2) {
				t.Errorf("compared with %s", compared)
			}
			if status := statusOf(t, s, after); after.Summary != summary || status.Description != summary {
				t.Errorf("%s became %s, want %s; the status is %+v", before.Summary, after.Summary, summary, status)
			}
		}
	})
}

// Both at one moment: the later one sees the other.
func TestBranchAndItsMergeBaseEndTogether(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "semgrep")
		for n := range 20 {
			branch, main := leaves(t, s, n+1), pushed(t, s, n+1)
			var both sync.WaitGroup
			for _, scan := range []core.Scan{branch, main} {
				both.Go(func() { deliver(t, s, scan, "semgrep", found("main")) })
			}
			both.Wait()
			if compared := baselines(t, s, branch)["semgrep"]; compared != storetest.SHA(n+1) {
				t.Fatalf("round %d: compared with %s", n, compared)
			}
		}
	})
}
