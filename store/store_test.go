package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// accept stores the push and returns its scan.
func accept(t *testing.T, s *store.Store, d core.Delivery, p core.Push) core.Scan {
	t.Helper()
	receipt, err := s.AcceptPush(t.Context(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	return get(t, s, receipt.Reference)
}

func get(t *testing.T, s *store.Store, reference string) core.Scan {
	t.Helper()
	scan, err := s.GetScan(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	return scan
}

// run claims the next gitleaks job and finishes it with findings.
func run(t *testing.T, s *store.Store, findings ...core.Finding) {
	t.Helper()
	job := claimJob(t, s, by("worker", scanners...))
	if err := s.FinishJob(t.Context(), job, core.Report{Findings: findings}); err != nil {
		t.Fatal(err)
	}
}

func finding(rule string, severity core.Severity) core.Finding {
	return core.Finding{Tool: "gitleaks", RuleID: rule, File: "a.go", Line: 3, Severity: severity, Snippet: "x := " + rule}
}

func statusOf(t *testing.T, s *store.Store, scan core.Scan) core.Status {
	t.Helper()
	list, err := s.ListStatuses(t.Context(), scan)
	if err != nil || len(list) != 1 {
		t.Fatalf("ListStatuses: %d rows, error %v, want 1 row", len(list), err)
	}
	return list[0]
}

func TestAcceptPush(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)
		s := e.Open(t, store.Config{PublicURL: "https://scan.example", Now: func() time.Time { return now }})
		d, p := storetest.PushOf(1)
		first, err := s.AcceptPush(t.Context(), d, p)
		if err != nil || first.Outcome != core.ScanCreated {
			t.Fatalf("first push: %+v, %v", first, err)
		}
		one := 1
		want := core.Scan{
			ID: 1, ReferenceID: first.Reference, SourcePlatform: "github", ProjectName: "acme/shop", ProjectRef: "42",
			RepoURL: "https://git.example/acme/shop", Branch: "main", DefaultBranch: "main", CommitSHA: storetest.SHA(1),
			BeforeSHA: storetest.SHA(0), Attempt: 1, Context: "scanhook", Origin: "push", Timestamp: now,
			Status: core.ScanPending, NumChangedFiles: &one, DeadlineAt: now.Add(time.Hour),
		}
		if diff := cmp.Diff(want, get(t, s, first.Reference)); diff != "" {
			t.Errorf("scan (-want +got):\n%s", diff)
		}
		status := statusOf(t, s, want)
		if status.State != core.StatusPending || status.TargetURL != "https://scan.example/scans/"+first.Reference {
			t.Errorf("status = %+v", status)
		}
		again, err := s.AcceptPush(t.Context(), d, p)
		if want := (core.Receipt{Outcome: core.Duplicate, Reference: first.Reference}); err != nil || again != want {
			t.Errorf("same delivery again = %+v, %v, want %+v", again, err, want)
		}
		d.Key = "another"
		p.Ref = "refs/heads/release"
		other, err := s.AcceptPush(t.Context(), d, p)
		if want := (core.Receipt{Outcome: core.ScanExists, Reference: first.Reference}); err != nil || other != want {
			t.Errorf("same commit on another branch = %+v, %v, want %+v", other, err, want)
		}
	})
}

func TestAcceptPushIgnores(t *testing.T) {
	t.Parallel()
	policies := core.Policies{{Match: "github/acme/*", Policy: core.Policy{Branches: []string{"main", "feature/**"}}}}
	cases := map[string]struct {
		change func(*core.Delivery, *core.Push)
		reason string
	}{
		"unknown repository": {
			func(_ *core.Delivery, p *core.Push) { p.Project.Name = "other/shop" },
			"github/other/shop matches no entry of repositories in the configuration",
		},
		"branch outside": {storetest.OnBranch("old"), "branch old is not among the configured branches"},
		"tag": {
			func(_ *core.Delivery, p *core.Push) { p.Ref = "refs/tags/v1" }, "tag v1 is not among the configured tags",
		},
		"deleted": {func(_ *core.Delivery, p *core.Push) { p.Deleted = true }, "refs/heads/main was deleted"},
	}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: policies})
		for name, c := range cases {
			d, p := storetest.PushOf(1, c.change)
			d.Key = name
			got, err := s.AcceptPush(t.Context(), d, p)
			if want := (core.Receipt{Outcome: core.OutcomeIgnored, Reason: c.reason}); err != nil || got != want {
				t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
			}
		}
	})
}

// Concurrent requests share transactions; each must get its own answer, and repetitions in one batch must be seen.
func TestAcceptPushConcurrently(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		const commits, copies = 40, 5
		outcomes := make([]map[core.Outcome]int, commits)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for n := range commits * copies {
			wg.Go(func() {
				d, p := storetest.PushOf(n%commits, storetest.OnBranch(fmt.Sprint("b", n%commits)))
				if n%2 == 0 {
					d.Key = fmt.Sprint("own-", n)
				}
				receipt, err := s.AcceptPush(t.Context(), d, p)
				if err != nil || receipt.Reference == "" {
					t.Errorf("push %d: %+v, %v", n, receipt, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if outcomes[n%commits] == nil {
					outcomes[n%commits] = map[core.Outcome]int{}
				}
				outcomes[n%commits][receipt.Outcome]++
			})
		}
		wg.Wait()
		for n, got := range outcomes {
			if got[core.ScanCreated] != 1 {
				t.Errorf("commit %d: outcomes %v, want one scan_created", n, got)
			}
		}
		scans, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 1000})
		if err != nil || len(scans) != commits {
			t.Errorf("%d scans, %v, want %d", len(scans), err, commits)
		}
	})
}

// A commit that was passed over is scanned when a branch points at it after all.
func TestGetScanNotFound(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for _, reference := range []string{"", "nonsense", "00000000-0000-4000-8000-000000000000"} {
			if _, err := s.GetScan(t.Context(), reference); !errors.Is(err, core.ErrNotFound) {
				t.Errorf("GetScan(%q) = %v, want ErrNotFound", reference, err)
			}
		}
	})
}
