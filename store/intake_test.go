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

func TestAccept(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)
		s := e.Open(t, store.Config{PublicURL: "https://scan.example", Now: func() time.Time { return now }})
		d, p := storetest.PushOf(1)
		first, err := s.Accept(t.Context(), storetest.With(d, p))
		if err != nil || first.Outcome != core.ScanCreated {
			t.Fatalf("first push: %+v, %v", first, err)
		}
		one, delivery := 1, int64(1)
		want := core.Scan{
			ID: 1, ReferenceID: first.Reference, ProjectID: 1, SourcePlatform: "github", ProjectName: "acme/shop", ProjectRef: "42",
			RepoURL: "https://git.example/acme/shop", Ref: "refs/heads/main", Branch: "main", DefaultBranch: "main", CommitSHA: storetest.SHA(1),
			BeforeSHA: storetest.SHA(0), Attempt: 1, Context: "scanhook", Origin: "push", Timestamp: now,
			Status: core.ScanPending, NumChangedFiles: &one, DeliveryID: &delivery, DeadlineAt: now.Add(time.Hour),
		}
		if diff := cmp.Diff(want, get(t, s, first.Reference)); diff != "" {
			t.Errorf("scan (-want +got):\n%s", diff)
		}
		status := statusOf(t, s, want)
		if status.State != core.StatusPending || status.TargetURL != "https://scan.example/scans/"+first.Reference {
			t.Errorf("status = %+v", status)
		}
		again, err := s.Accept(t.Context(), storetest.With(d, p))
		if want := (core.Receipt{Outcome: core.Duplicate, Reference: first.Reference}); err != nil || again != want {
			t.Errorf("same delivery again = %+v, %v, want %+v", again, err, want)
		}
		d.Key = "another"
		p.Ref = "refs/heads/release"
		other, err := s.Accept(t.Context(), storetest.With(d, p))
		if want := (core.Receipt{Outcome: core.ScanExists, Reference: first.Reference}); err != nil || other != want {
			t.Errorf("same commit on another branch = %+v, %v, want %+v", other, err, want)
		}
	})
}

func TestAcceptIgnores(t *testing.T) {
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
			got, err := s.Accept(t.Context(), storetest.With(d, p))
			if want := (core.Receipt{Outcome: core.OutcomeIgnored, Reason: c.reason}); err != nil || got != want {
				t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
			}
		}
	})
}

// Concurrent requests share transactions; each must get its own answer, and repetitions in one batch must be seen.
func TestAcceptConcurrently(t *testing.T) {
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
				receipt, err := s.Accept(t.Context(), storetest.With(d, p))
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

// burst is pushes that come at the same time.
type burst []core.Delivery

// add announces that a branch moved between two commits.
func (b *burst) add(branch string, before, after int) {
	d, p := storetest.PushOf(after, storetest.OnBranch(branch))
	d.Key, p.Before = fmt.Sprintf("%s %d-%d", branch, before, after), storetest.SHA(before)
	*b = append(*b, storetest.With(d, p))
}

func (b *burst) accept(t *testing.T, s *store.Store) {
	t.Helper()
	if err := s.AcceptTogether(*b...); err != nil {
		t.Fatal(err)
	}
}

func scanOf(t *testing.T, s *store.Store, n int) core.Scan {
	t.Helper()
	list, err := s.ListScans(t.Context(), store.ScanFilter{CommitSHA: storetest.SHA(n), Limit: 2})
	if err != nil || len(list) != 1 {
		t.Fatalf("scans of commit %d: %+v, %v", n, list, err)
	}
	return list[0]
}

// A branch that is set back while the push before is still being announced ends at a commit that is scanned.
func TestBranchGoesThereAndBackAtOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		pushed(t, s, 1)
		var b burst
		b.add("main", 1, 2)
		b.add("main", 2, 1)
		b.accept(t, s)
		if scan := scanOf(t, s, 1); scan.Status != core.ScanPending || scan.SupersededBy != "" {
			t.Errorf("the commit that main stands at is %s, superseded by %q", scan.Status, scan.SupersededBy)
		}
		b = burst{}
		b.add("main", 1, 3)
		b.accept(t, s)
		if scan := scanOf(t, s, 1); scan.SupersededBy != storetest.SHA(3) {
			t.Errorf("the commit that main has left is %s, superseded by %q", scan.Status, scan.SupersededBy)
		}
	})
}

// The metadata that one push brings to a commit does not undo that another push points a second branch at it.
func TestFactsAndSecondBranchAtOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		named(t, s, 1, core.Scan{ProjectRef: "42", Branch: "main", Origin: "upload"})
		var b burst
		b.add("side", 0, 1)
		b.add("main", 0, 1)
		b.accept(t, s)
		if scan := scanOf(t, s, 1); !scan.SharedRefs {
			t.Error("nobody knows any more that side stands there")
		}
	})
}

// A push that points a second branch at a commit has its jobs run again, even if another process supersedes the scan just
// after the push has found it.
func TestSecondBranchOfACommitBeingSuperseded(t *testing.T) {
	t.Parallel()
	s := storetest.Postgres.Open(t, store.Config{})
	scan := pushed(t, s, 1)
	other, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback() }()
	run := func(statements ...string) {
		for _, statement := range statements {
			if _, err := other.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(`CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM pg_advisory_xact_lock(hashtext(current_schema())); RETURN NULL; END $$`,
		`CREATE TRIGGER hold AFTER INSERT ON scans FOR EACH STATEMENT EXECUTE FUNCTION hold()`, `COMMIT; BEGIN`,
		`SELECT pg_advisory_lock(hashtext(current_schema()))`)
	accepted := make(chan error, 1)
	go func() {
		d, p := storetest.PushOf(1, storetest.OnBranch("side"))
		d.Key = "another"
		_, err := s.Accept(t.Context(), storetest.With(d, p))
		accepted <- err
	}()
	held := awaitBlocked(t, other)
	run(fmt.Sprintf(`UPDATE scan_jobs SET state = 'superseded', finished_at = now() WHERE scan_id = %d`, scan.ID),
		fmt.Sprintf(`UPDATE scans SET status = 'failed', superseded_by = 'newer', finished_at = now() WHERE id = %d`, scan.ID),
		`SELECT pg_advisory_unlock(hashtext(current_schema()))`)
	if err := errors.Join(held, awaitBlocked(t, other), other.Commit(), <-accepted); err != nil {
		t.Fatal(err)
	}
	if scan = scanOf(t, s, 1); scan.Status != core.ScanPending || scan.SupersededBy != "" {
		t.Errorf("the commit that side stands at is %s, superseded by %q", scan.Status, scan.SupersededBy)
	}
}

// A process that stalls within a transaction delays the others no longer than their callers wait.
func TestStalledTransactionIsEnded(t *testing.T) {
	t.Parallel()
	s := storetest.Postgres.Open(t, store.Config{})
	stalled, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stalled.Rollback() }()
	if _, err := stalled.ExecContext(t.Context(), `LOCK TABLE deliveries`); err != nil {
		t.Fatal(err)
	}
	d, p := storetest.PushOf(1)
	receipt, err := s.Accept(t.Context(), storetest.With(d, p))
	if errors.Is(err, core.ErrUnavailable) { // on a busy machine it may be ended a moment too late for the first call
		receipt, err = s.Accept(t.Context(), storetest.With(d, p))
	}
	if err != nil || receipt.Outcome != core.ScanCreated {
		t.Errorf("accepting behind a stalled transaction: %+v, %v", receipt, err)
	}
}
