package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

var scanners = []string{"gitleaks"}

func TestClaimJobHandsOutEachJobOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		const jobs = 60
		for n := range jobs {
			pushed(t, s, n, storetest.OnBranch(fmt.Sprint("b", n)))
		}
		var mu sync.Mutex
		claimed := map[int64]int{}
		var wg sync.WaitGroup
		for n := range 16 {
			wg.Go(func() {
				for i := 0; ; i++ { // none has a job already
					job, scan, err := s.ClaimJob(t.Context(), by(fmt.Sprint(n, "/", i), scanners...))
					if errors.Is(err, core.ErrNotFound) {
						return
					}
					if err != nil || scan.ID != job.ScanID || scan.Status != core.ScanProcessing {
						t.Errorf("claim: %+v %+v %v", job, scan, err)
						return
					}
					mu.Lock()
					claimed[job.ID]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(claimed) != jobs {
			t.Errorf("%d jobs claimed, want %d", len(claimed), jobs)
		}
		for id, n := range claimed {
			if n != 1 {
				t.Errorf("job %d was claimed %d times", id, n)
			}
		}
	})
}

func TestRetryJob(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		until time.Duration // from the push on; zero for a few tries
		tries int
	}{
		"a few times":            {0, 3},
		"until there is no time": {95 * time.Second, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				clock := newClock()
				s := e.Open(t, store.Config{Now: clock.Now})
				scan := pushed(t, s, 1)
				retry := store.Retry{Pause: 10 * time.Second, Reason: "the server is away"}
				if test.until > 0 {
					retry.Until = clock.Now().Add(test.until)
				}
				for try := 1; ; try++ {
					job := claimJob(t, s, by("w", scanners...))
					err := s.RetryJob(t.Context(), job, retry)
					if try == test.tries {
						if !errors.Is(err, core.ErrConflict) {
							t.Errorf("try %d: %v, want ErrConflict", try, err)
						}
						return
					}
					if err != nil {
						t.Fatalf("try %d: %v", try, err)
					}
					noJob(t, s, by("w", scanners...), "during the pause, the job")
					if jobs, err := s.ListJobs(t.Context(), scan); err != nil || jobs[0].Error != retry.Reason {
						t.Errorf("while it waits: %+v, %v", jobs, err)
					}
					clock.advance(10 * time.Second)
				}
			})
		})
	}
}

func TestExpireScans(t *testing.T) {
	t.Parallel()
	waiting := storetest.Policy
	waiting.Scanners = nil
	uploads := storetest.Policy
	uploads.Scanners = []string{"trivy"}
	for name, policy := range map[string]core.Policy{"no scanner": waiting, "upload": uploads} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				clock := newClock()
				s := e.Open(t, store.Config{Now: clock.Now, Policies: core.Policies{{Match: "**", Policy: policy}}})
				scan := pushed(t, s, 1)
				clock.advance(59 * time.Minute)
				if n, err := s.ExpireScans(t.Context(), false); n != 0 || err != nil {
					t.Fatalf("before the deadline: %d, %v", n, err)
				}
				clock.advance(time.Minute)
				if n, err := s.ExpireScans(t.Context(), false); n != 1 || err != nil {
					t.Fatalf("at the deadline: %d, %v", n, err)
				}
				if scan = get(t, s, scan.ReferenceID); scan.Status != core.ScanFailed {
					t.Errorf("scan is %s", scan.Status)
				}
				if st := statusOf(t, s, scan); st.State != core.StatusError {
					t.Errorf("status is %s %q", st.State, st.Description)
				}
				late, err := s.PutReport(t.Context(), scan.ReferenceID, "trivy", core.Report{})
				if err != nil || late.Status != core.ScanCompleted || statusOf(t, s, scan).State != core.StatusSuccess {
					t.Errorf("a late report: %s, %v", late.Status, err)
				}
			})
		})
	}
}

func TestLease(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := pushed(t, s, 1)
		first := claimJob(t, s, by("a", scanners...))
		clock.advance(50 * time.Second)
		if err := s.ExtendLease(t.Context(), first, time.Minute); err != nil {
			t.Fatal(err)
		}
		clock.advance(50 * time.Second)
		noJob(t, s, by("b", scanners...), "an extended lease")
		clock.advance(time.Minute)
		if second := claimJob(t, s, by("b", scanners...)); second.Lapses != 1 || second.LostWorkers != "a" {
			t.Fatalf("after the lease: %+v", second)
		}
		for name, err := range map[string]error{
			"finish": s.FinishJob(t.Context(), first, core.Report{}),
			"extend": s.ExtendLease(t.Context(), first, time.Minute),
			"return": s.ReturnJob(t.Context(), first),
		} {
			if !errors.Is(err, core.ErrConflict) {
				t.Errorf("%s by the worker that lost the job: %v, want ErrConflict", name, err)
			}
		}
		clock.advance(2 * time.Minute)
		claimJob(t, s, by("c", scanners...))
		clock.advance(2 * time.Minute)
		noJob(t, s, by("d", scanners...), "a job that lost three workers")
		if n, err := s.ExpireScans(t.Context(), false); n != 1 || err != nil {
			t.Fatalf("ExpireScans = %d, %v", n, err)
		}
		scan = get(t, s, scan.ReferenceID)
		if scan.Status != core.ScanFailed || statusOf(t, s, scan).State != core.StatusError || !strings.Contains(scan.Error, "three times") {
			t.Errorf("after three lost workers the scan is %s: %s", scan.Status, scan.Error)
		}
		if jobs, err := s.ListJobs(t.Context(), scan); err != nil || jobs[0].Lapses != 3 || jobs[0].LostWorkers != "a, b, c" {
			t.Errorf("the job is %+v, %v", jobs, err)
		}
	})
}

// A worker gets the job that it holds first, because no other worker would extend the lease.
func TestWorkerIsHandedWhatItHolds(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for n := range 2 {
			pushTo(t, s, n, fmt.Sprint("b", n))
		}
		older := claimJob(t, s, by("a", scanners...))
		held := claimJob(t, s, by("b", scanners...))
		if err := s.ReturnJob(t.Context(), older); err != nil {
			t.Fatal(err)
		}
		if got := claimJob(t, s, by("b", scanners...)); got.ID != held.ID || got.Attempt != 2 {
			t.Errorf("got job %d at attempt %d, want %d again", got.ID, got.Attempt, held.ID)
		}
	})
}

// A deadline also holds in grace.
func TestExpireScansBlindly(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := pushed(t, s, 1)
		for _, worker := range []string{"a", "b", "c"} {
			claimJob(t, s, by(worker, scanners...))
			clock.advance(2 * time.Minute)
		}
		if n, err := s.ExpireScans(t.Context(), true); n != 0 || err != nil {
			t.Fatalf("for its workers: %d, %v", n, err)
		}
		clock.advance(time.Hour)
		if n, err := s.ExpireScans(t.Context(), true); n != 1 || err != nil || get(t, s, scan.ReferenceID).Status != core.ScanFailed {
			t.Fatalf("at the deadline: %d, %v", n, err)
		}
	})
}

// Only a worker that died counts as a lapse of its job, however often the job is started.
func TestJobSurvivesWhatIsNoDeath(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *store.Store, *clock, core.Job){
		"the answer to the claim was lost": func(*testing.T, *store.Store, *clock, core.Job) {},
		"the database was away for longer than the lease": func(t *testing.T, s *store.Store, c *clock, job core.Job) {
			c.advance(2 * time.Minute)
			blind := by("b", scanners...)
			blind.InGrace = true
			noJob(t, s, blind, "a job whose worker could not extend its lease")
			if err := s.ExtendLease(t.Context(), job, time.Minute); err != nil {
				t.Fatal(err)
			}
		},
		"the process was stopped in order": func(t *testing.T, s *store.Store, _ *clock, job core.Job) {
			if err := s.ReturnJob(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			if err := s.ReturnJob(t.Context(), job); !errors.Is(err, core.ErrConflict) {
				t.Fatalf("returned twice: %v, want ErrConflict", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				clock := newClock()
				s := e.Open(t, store.Config{Now: clock.Now})
				scan := pushed(t, s, 1)
				for range 5 {
					end(t, s, clock, claimJob(t, s, by("a", scanners...)))
				}
				job := claimJob(t, s, by("a", scanners...))
				if job.Attempt != 6 || job.Lapses != 0 || job.LostWorkers != "" {
					t.Errorf("after five starts: %+v", job)
				}
				if err := s.FinishJob(t.Context(), job, core.Report{}); err != nil || get(t, s, scan.ReferenceID).Status != core.ScanCompleted {
					t.Errorf("finishing: %v", err)
				}
			})
		})
	}
}

// takeTurns has one process claim all jobs, and returns the numbers of their projects in that order.
func takeTurns(t *testing.T, s *store.Store, by store.Claimant) (projects []int64) {
	t.Helper()
	for n := 0; ; n++ {
		by.Worker = fmt.Sprint("w", n)
		job, _, err := s.ClaimJob(t.Context(), by)
		if errors.Is(err, core.ErrNotFound) {
			return projects
		}
		if err != nil {
			t.Fatal(err)
		}
		projects, by.After = append(projects, job.ProjectID), job.ProjectID
	}
}

func TestProjectsTakeTurns(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for n := range 6 { // the first one is noisy
			pushed(t, s, n, inProject("acme/a"), storetest.OnBranch(fmt.Sprint("b", n)))
		}
		for n := range 2 {
			pushed(t, s, 100+n, inProject("acme/b"), storetest.OnBranch(fmt.Sprint("b", n)))
		}
		pushed(t, s, 200, inProject("acme/c"))
		got := takeTurns(t, s, by("", scanners...))
		if len(got) != 9 {
			t.Fatalf("want 9 jobs claimed, got %v", got)
		}
		a, b, c := got[0], got[1], got[2]
		if want := []int64{a, b, c, a, b, a, a, a, a}; a == b || b == c || !slices.Equal(got, want) {
			t.Errorf("want turns as in %v, got %v", want, got)
		}
	})
}

func TestProjectsRunSoManyJobs(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for n := range 5 {
			pushed(t, s, n, inProject("acme/a"), storetest.OnBranch(fmt.Sprint("b", n)))
			pushed(t, s, 100+n, inProject("acme/b"), storetest.OnBranch(fmt.Sprint("b", n)))
		}
		two := by("", scanners...)
		two.PerProject = 2
		if got := takeTurns(t, s, two); len(got) != 4 {
			t.Fatalf("want two jobs of each of two projects, got %v", got)
		}
		two.Worker = "w0"
		job := claimJob(t, s, two) // which it holds
		if err := s.FinishJob(t.Context(), job, core.Report{}); err != nil {
			t.Fatal(err)
		}
		two.Worker = "another"
		if next := claimJob(t, s, two); next.ProjectID != job.ProjectID {
			t.Errorf("want a job of the project that has room, %d, got one of %d", job.ProjectID, next.ProjectID)
		}
		noJob(t, s, by("", "lint"), "a job of another scanner")
	})
}

// Many processes claim at the same time, and run no more jobs of a project than they may together.
func TestProjectsRunSoManyJobsOfAllProcesses(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for n := range 30 {
			pushed(t, s, n, inProject(fmt.Sprint("acme/", n%3)), storetest.OnBranch(fmt.Sprint("b", n)))
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		running := map[int64]int{}
		for n := range 12 {
			wg.Go(func() {
				for i := range 4 {
					claimant := by(fmt.Sprint(n, "/", i), scanners...)
					claimant.PerProject = 2
					job, _, err := s.ClaimJob(t.Context(), claimant)
					if errors.Is(err, core.ErrNotFound) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					running[job.ProjectID]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for project, n := range running {
			if n != 2 {
				t.Errorf("want 2 jobs of project %d running, got %d", project, n)
			}
		}
	})
}

// The jobs of forks come after those of the projects themselves.
func TestForksComeLast(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		s := storetest.OpenAt(t, url, store.Config{})
		pushed(t, s, 1, inProject("acme/a"))
		pushed(t, s, 2, inProject("acme/b"))
		db := storetest.Connect(t, url)
		if _, err := db.ExecContext(t.Context(), `UPDATE scan_jobs SET fork = TRUE WHERE id = (SELECT MIN(id) FROM scan_jobs)`); err != nil {
			t.Fatal(err)
		}
		first, second := claimJob(t, s, by("v", scanners...)), claimJob(t, s, by("w", scanners...))
		if first.Fork || !second.Fork || first.ID < second.ID {
			t.Errorf("want the fork's job last, got %+v and %+v", first, second)
		}
	})
}

// A job that a release makes which knows nothing of turns has its turns.
func TestTurnsOfAnOlderRelease(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		if err := s.Fill(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if job := claimJob(t, s, by("w", scanners...)); job.ProjectID == 0 {
			t.Errorf("want the job with its project, got %+v", job)
		}
	})
}

// A job that was postponed has its turn again when its pause is over.
func TestPostponedJobsTakeTurns(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		pushed(t, s, 1, inProject("acme/a"))
		postponed := claimJob(t, s, by("w", scanners...))
		if err := s.RetryJob(t.Context(), postponed, store.Retry{Pause: 30 * time.Second, Reason: "away"}); err != nil {
			t.Fatal(err)
		}
		pushed(t, s, 2, inProject("acme/a"), storetest.OnBranch("other"))
		if other := claimJob(t, s, by("v", scanners...)); other.ID == postponed.ID {
			t.Error("claimed during its pause")
		}
		clock.advance(30 * time.Second)
		if again := claimJob(t, s, by("w", scanners...)); again.ID != postponed.ID {
			t.Errorf("want job %d again, got %d", postponed.ID, again.ID)
		}
	})
}

func noJob(t *testing.T, s *store.Store, by store.Claimant, what string) {
	t.Helper()
	if job, _, err := s.ClaimJob(t.Context(), by); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("%s was handed to %s: %+v, %v", what, by.Worker, job, err)
	}
}

// Reports of two categories are the work of two jobs; both are taken at once, the plain one that waited is renamed, and each is
// compared with its own baseline.
func TestReportsOfCategoriesStandSideBySide(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e)
		of := func(category string, findings ...string) core.Report {
			report := found(findings...)
			report.Category = category
			return report
		}
		put := func(scan core.Scan, reports ...core.Report) (core.Scan, string) {
			t.Helper()
			scan, err := s.PutReport(t.Context(), scan.ReferenceID, "semgrep", reports...)
			if err != nil {
				t.Fatal(err)
			}
			jobs, err := s.ListJobs(t.Context(), scan)
			if err != nil {
				t.Fatal(err)
			}
			var told []string
			for _, job := range jobs {
				told = append(told, fmt.Sprintf("%s %d-%d", job.Scanner, job.NumFindings, job.NumAbsent))
			}
			slices.Sort(told)
			return scan, strings.Join(told, ", ")
		}
		first, second := pushed(t, s, 1), pushed(t, s, 2)
		if scan, jobs := put(first, of("go", "a"), of("js", "b", "c")); jobs != "semgrep/go 1-0, semgrep/js 2-0" || scan.Status != core.ScanCompleted {
			t.Errorf("%s: %s", scan.Status, jobs)
		}
		if scan, jobs := put(second, of("js", "b")); jobs != "semgrep/js 1-1" || scan.Summary != "0 new, 1 known, 1 fixed" {
			t.Errorf("%s: %s", scan.Summary, jobs)
		}
		scan, jobs := put(second, of("new", "a"))
		if jobs != "semgrep/js 1-1, semgrep/new 1-0" || scan.Summary != "0 new, 2 known, 1 fixed" {
			t.Errorf("a category without a baseline: %s: %s", scan.Summary, jobs)
		}
		gone, err := s.ListFindings(t.Context(), scan, store.FindingFilter{BaselineState: core.Absent, Limit: 10})
		if err != nil || len(gone) != 1 || gone[0].RuleID != "c" {
			t.Errorf("want c fixed, got %+v, %v", gone, err)
		}
		put(second, of("js", "b", "c"))
		reports, err := s.ListRevisions(t.Context(), scan, 10)
		if err != nil || len(reports) != 3 || reports[0].Scanner != "semgrep/js" || reports[0].Number != 2 || reports[1].Number != 1 {
			t.Errorf("want the report of semgrep/js replaced, got %+v, %v", reports, err)
		}
	})
}

// What a report is not about stays as it was, with all that is known of it.
func TestReportOfAPartKeepsTheRest(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e)
		vulnerable := core.Finding{
			RuleID: "GHSA-q2wr-7h4c-m9xp", File: "lib/go.mod", Severity: core.High, Message: "m", CVEID: "CVE-2098-1111",
			About: core.About{Package: "pkg:golang/x", Aliases: "GHSA-q2wr-7h4c-m9xp CVE-2098-1111"},
		}
		inside := finding("inside", core.High)
		inside.File = "src/a.go"
		deliver(t, s, pushed(t, s, 1), "semgrep", core.Report{Findings: []core.Finding{vulnerable, inside}})
		part := core.Report{Coverage: new(core.Coverage)}
		part.Coverage.LookedAt("src/**")
		second, third := pushed(t, s, 2), pushed(t, s, 3)
		deliver(t, s, second, "semgrep", part)
		if got := get(t, s, second.ReferenceID).Summary; got != "0 new, 1 unresolved, 1 known, 1 fixed, 1 not searched" {
			t.Errorf("a part: %s", got)
		}
		listed := func(scan core.Scan) core.Finding {
			t.Helper()
			list, err := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 10})
			if err != nil || len(list) != 1 {
				t.Fatalf("want a finding, got %+v, %v", list, err)
			}
			return list[0]
		}
		kept := listed(second)
		if kept.VulnerabilityIDs != vulnerable.AllIDs() || kept.VulnerabilityIDs == "" || kept.CVEID != "CVE-2098-1111" || kept.Anchor == "" {
			t.Errorf("what is kept has lost something: %+v", kept)
		}
		deliver(t, s, third, "semgrep", core.Report{Findings: []core.Finding{vulnerable}})
		if again := listed(third); again.AlertID != kept.AlertID || again.BaselineState != core.Unchanged {
			t.Errorf("it is another one after that: %+v", again)
		}
	})
}
