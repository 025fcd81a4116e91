package store_test

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// A commit that was skipped is scanned when a branch points at it after all.
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

// Every combination of filters selects the same as filtering each scan, in every direction.
func TestScansAreListedByAnyCombinationOfFilters(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		fillLists(t, s, e.Name, 600)
		all, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 1000})
		if err != nil || len(all) != 600 || all[0].ID != 600 {
			t.Fatalf("%d scans, %v", len(all), err)
		}
		for _, f := range scanFilters(600) {
			f.Limit = 7
			got, err := s.ListScans(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if want := pageOf(all, f); !slices.Equal(ids(got), want) {
				t.Fatalf("%+v: got scans %v, want %v", f, ids(got), want)
			}
		}
		one, err := s.ListScans(t.Context(), store.ScanFilter{CommitSHA: all[3].CommitSHA, Platform: "github", Limit: 7})
		if err != nil || len(one) != 1 || one[0].ID != all[3].ID {
			t.Errorf("by commit: %v, %v", ids(one), err)
		}
	})
}

func pageOf(all []core.Scan, f store.ScanFilter) (page []int64) {
	for _, scan := range all {
		if selects(f, scan) && (f.Before == 0 || scan.ID < f.Before) && scan.ID > f.After {
			page = append(page, scan.ID)
		}
	}
	if f.After > 0 {
		return page[max(0, len(page)-f.Limit):]
	}
	return page[:min(len(page), f.Limit)]
}

// SQLite, which has no statistics, must find the index by its columns: all of it, and in its order.
func TestListsWalkIndexes(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	fillLists(t, s, "sqlite", 600)
	for _, f := range scanFilters(600) {
		if f == (store.ScanFilter{Before: f.Before, After: f.After, Limit: f.Limit}) {
			continue
		}
		plan, err := s.PlanOfScans(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range plan {
			if strings.HasSuffix(step, " scans") || strings.HasSuffix(step, " outcomes") ||
				strings.Contains(step, " scans ") && !strings.Contains(step, "PRIMARY KEY") && !strings.Contains(step, "COVERING INDEX scans_open") &&
					!strings.Contains(step, "(commit_sha=?") ||
				strings.Contains(step, " outcomes ") && !strings.Contains(step, "SEARCH outcomes USING COVERING INDEX outcomes_") {
				t.Errorf("%+v: %s", f, step)
			}
		}
	}
}

func selects(f store.ScanFilter, scan core.Scan) bool {
	return (f.Platform == "" || f.Platform == scan.SourcePlatform) && (f.Project == "" || f.Project == scan.ProjectName) &&
		(f.Branch == "" || f.Branch == scan.Branch) && (f.Status == "" || f.Status == scan.Status) &&
		(f.Verdict == "" || scan.Verdict != nil && f.Verdict == *scan.Verdict)
}

// BenchmarkLists asks for every combination of filters, of values that are frequent, rare in the far past, and unknown,
// on the first page and deep in the list. It reports the slowest one.
//
//	SCANHOOK_ROWS=1000000 .ci/with-postgres go test -run '^$' -bench Lists -benchtime 1x ./store
func BenchmarkLists(b *testing.B) {
	rows, _ := strconv.Atoi(cmp.Or(os.Getenv("SCANHOOK_ROWS"), "20000"))
	for _, e := range storetest.Engines {
		s := e.Open(b, store.Config{})
		fillLists(b, s, e.Name, rows)
		b.Run(e.Name+"/scans", func(b *testing.B) {
			measure(b, scanFilters(rows), func(f store.ScanFilter) error {
				_, err := s.ListScans(b.Context(), f)
				return err
			})
		})
		b.Run(e.Name+"/deliveries", func(b *testing.B) {
			measure(b, deliveryFilters(rows), func(f store.DeliveryFilter) error {
				_, err := s.ListDeliveries(b.Context(), f)
				return err
			})
		})
		b.Run(e.Name+"/standings", func(b *testing.B) {
			filters := []store.ProjectFilter{{Limit: 51}, {Failing: true, Limit: 51}, {Failing: true, Limit: 100000}}
			measure(b, filters, func(f store.ProjectFilter) error {
				_, err := s.ListProjects(b.Context(), f)
				return err
			})
		})
		b.Run(e.Name+"/trend", func(b *testing.B) {
			measure(b, []string{"acme/monolith", "acme/legacy", "team7/app7", "none/none"}, func(project string) error {
				_, err := s.ListTrend(b.Context(), "github", project, 40)
				return err
			})
		})
	}
}

// measure asks each question once more than it counts, for the pages of the database that it finds in memory then.
func measure[F any](b *testing.B, filters []F, list func(F) error) {
	b.Helper()
	type answer struct {
		filter F
		took   time.Duration
	}
	var answers []answer
	for range b.N {
		for _, f := range filters {
			best := time.Hour
			for range 2 {
				start := time.Now()
				if err := list(f); err != nil {
					b.Fatal(err)
				}
				best = min(best, time.Since(start))
			}
			answers = append(answers, answer{f, best})
		}
	}
	slices.SortFunc(answers, func(x, y answer) int { return cmp.Compare(x.took, y.took) })
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(answers[len(answers)/2].took.Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(answers[len(answers)-1].took.Microseconds())/1000, "ms-slowest")
	for _, slow := range answers[max(0, len(answers)-5):] {
		b.Logf("%8s %+v", slow.took.Round(10*time.Microsecond), slow.filter)
	}
}

func scanFilters(rows int) (list []store.ScanFilter) {
	for _, platform := range []string{"", "github", "gitlab", "none"} {
		for _, project := range []string{"", "acme/monolith", "acme/legacy", "team7/app7", "none/none"} {
			for _, branch := range []string{"", "main", "feature/3", "never"} {
				for _, status := range []core.ScanStatus{"", core.ScanPending, core.ScanCompleted, core.ScanFailed} {
					for _, verdict := range []core.Verdict{"", core.Pass, core.Fail} {
						f := store.ScanFilter{
							Platform: platform, Project: project, Branch: branch, Status: status, Verdict: verdict, Limit: 51,
						}
						deep, back := f, f
						deep.Before, back.After = int64(rows/2), int64(rows/2)
						list = append(list, f, deep, back)
					}
				}
			}
		}
	}
	return list
}

func TestCommitsAreExplained(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := scanned(t, s, 1, reportOf("a"))
		for n := 2; n < 5; n++ {
			delivery, _ := storetest.PushOf(n)
			if _, err := s.Accept(t.Context(), storetest.With(delivery, core.Ignored{Reason: "why"})); err != nil {
				t.Fatal(err)
			}
		}
		facts, err := s.ExplainCommit(t.Context(), scan.CommitSHA)
		if err != nil || len(facts) != 1 || len(facts[0].Deliveries) != 1 || len(facts[0].Jobs) != 1 || len(facts[0].Statuses) != 1 {
			t.Errorf("facts: %+v, %v", facts, err)
		}
		if _, err := s.ExplainCommit(t.Context(), "fffffffff"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("an unknown commit: %v", err)
		}
		if _, err := s.ExplainCommit(t.Context(), "%"); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("no commit: %v", err)
		}
		ignored, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Project: "acme/shop", State: core.DeliveryIgnored, Limit: 2})
		if err != nil || len(ignored) != 2 || ignored[0].Key != "delivery-4" || ignored[0].Reason != "why" {
			t.Fatalf("ignored: %+v, %v", ignored, err)
		}
		rest, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Platform: "github", Before: ignored[1].ID, Limit: 9})
		if err != nil || len(rest) != 2 || rest[1].ReferenceID != scan.ReferenceID {
			t.Errorf("older: %+v, %v", rest, err)
		}
	})
}

func TestDeleteScanDeletesWhatHangsOnIt(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushed(t, s, 1)
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

// An override turns the status of one commit green, says who and why, and ends when more stands in the way than the administrator saw.
func TestOverrideHoldsForWhatItSaw(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := pushed(t, s, 1)
		if err := s.OverrideScan(t.Context(), scan.ReferenceID, "root", "too early"); !errors.Is(err, core.ErrConflict) {
			t.Errorf("before the end: %v", err)
		}
		deliver(t, s, scan, "gitleaks", core.Report{Findings: []core.Finding{finding("one", core.High), finding("two", core.Low)}})
		if err := s.OverrideScan(t.Context(), scan.ReferenceID, "root", " \n"); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("without a reason: %v", err)
		}
		override(t, s, scan, "the fix\ncomes tomorrow")
		const text = "Overridden by root: the fix comes tomorrow. 2 new (1 high, 1 low)"
		wantStatus(t, s, scan, "overridden", core.StatusSuccess, text)
		if v := get(t, s, scan.ReferenceID).Verdict; v == nil || *v != core.Fail {
			t.Errorf("the verdict became %v", v)
		}
		if err := s.OverrideScan(t.Context(), scan.ReferenceID, "root", "again"); !errors.Is(err, core.ErrConflict) {
			t.Errorf("a second time: %v", err)
		}
		deliver(t, s, scan, "gitleaks", core.Report{Findings: []core.Finding{finding("one", core.High), finding("two", core.Low)}})
		wantStatus(t, s, scan, "the same report", core.StatusSuccess, text)
		say(t, s, findingsOf(t, s, scan)["two"], core.FalsePositive)
		wantStatus(t, s, scan, "less", core.StatusSuccess, "Overridden by root: the fix comes tomorrow. 1 new (1 high), 1 dismissed")
		deliver(t, s, scan, "gitleaks", core.Report{Findings: []core.Finding{finding("one", core.High), finding("three", core.Critical)}})
		wantStatus(t, s, scan, "a report that finds more", core.StatusFailure, "Override ended: 2 new (1 critical, 1 high)")
		if o := get(t, s, scan.ReferenceID).Override(); o == nil || o.Holds() || o.By != "root" {
			t.Errorf("the override: %+v", o)
		}
		wantOverrides(t, s, "ended: more stands in the way of the commit than was overridden",
			"turned failure green: the fix\ncomes tomorrow (it was: 2 new (1 high, 1 low))")

		override(t, s, scan, "that as well")
		wantStatus(t, s, scan, "once more", core.StatusSuccess, "Overridden by root: that as well. 2 new (1 critical, 1 high)")
		if err := s.EndOverride(t.Context(), scan.ReferenceID, "root"); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, s, scan, "taken back", core.StatusFailure, "2 new (1 critical, 1 high)")
		if err := s.EndOverride(t.Context(), scan.ReferenceID, "root"); !errors.Is(err, core.ErrConflict) {
			t.Errorf("taken back twice: %v", err)
		}
		wantOverrides(t, s, "taken back: the status is by the verdict again")
	})
}

func override(t *testing.T, s *store.Store, scan core.Scan, reason string) {
	t.Helper()
	if err := s.OverrideScan(t.Context(), scan.ReferenceID, "root", reason); err != nil {
		t.Fatal(err)
	}
}

// wantOverrides expects the newest events about overrides in the audit log.
func wantOverrides(t *testing.T, s *store.Store, want ...string) {
	t.Helper()
	audit, err := s.ListAudit(t.Context(), store.AuditFilter{Action: core.AuditOverride, Limit: len(want)})
	var got []string
	for _, event := range audit {
		got = append(got, event.Detail)
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("audit: %q, %v, want %q", got, err, want)
	}
}

// The next push and a newer scan of the commit are judged by themselves. A scan that failed can be overridden, until it fails for
// another reason.
func TestOverrideIsOfOneScan(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushed(t, s, 1)
		deliver(t, s, scan, "gitleaks", core.Report{Failure: "no rules"})
		override(t, s, scan, "the scanner is broken")
		wantStatus(t, s, scan, "a failed scan", core.StatusSuccess, "Overridden by root: the scanner is broken. Scan failed: gitleaks: no rules")
		deliver(t, s, scan, "gitleaks", core.Report{Failure: "no memory"})
		wantStatus(t, s, scan, "it fails otherwise", core.StatusError, "Override ended: Scan failed: gitleaks: no memory")
		deliver(t, s, scan, "gitleaks", core.Report{Findings: []core.Finding{finding("one", core.High)}})
		override(t, s, scan, "fine")
		next := pushed(t, s, 2)
		deliver(t, s, next, "gitleaks", core.Report{Findings: []core.Finding{finding("one", core.High), finding("two", core.High)}})
		wantStatus(t, s, next, "the next push", core.StatusFailure, "1 new (1 high), 1 unresolved, 1 known")
		again, err := s.Rescan(t.Context(), scan.ReferenceID, "root")
		if err != nil {
			t.Fatal(err)
		}
		newer := get(t, s, again.Reference)
		deliver(t, s, newer, "gitleaks", core.Report{Findings: []core.Finding{finding("one", core.High)}})
		wantStatus(t, s, newer, "a newer scan", core.StatusFailure, "1 new (1 high)")
		if err := s.OverrideScan(t.Context(), scan.ReferenceID, "root", "the old one"); !errors.Is(err, core.ErrConflict) {
			t.Errorf("the scan before: %v", err)
		}
	})
}
