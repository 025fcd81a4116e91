package store_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// twoScanners makes a store whose repositories have two scanners that deliver from outside.
func twoScanners(t *testing.T, e storetest.Engine) *store.Store {
	t.Helper()
	return scannedBy(t, e, "semgrep", "trivy")
}

func scannedBy(t *testing.T, e storetest.Engine, scanners ...string) *store.Store {
	t.Helper()
	policy := storetest.Policy
	policy.Scanners = scanners
	return e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
}

func deliver(t *testing.T, s *store.Store, scan core.Scan, scanner string, report core.Report) core.Scan {
	t.Helper()
	after, err := s.PutReport(t.Context(), scan.ReferenceID, scanner, report)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func found(rules ...string) (report core.Report) {
	for _, rule := range rules {
		report.Findings = append(report.Findings, finding(rule, core.Low))
	}
	return report
}

// baselines maps each scanner of a scan to the commit that it was compared with.
func baselines(t *testing.T, s *store.Store, scan core.Scan) map[string]string {
	t.Helper()
	jobs, err := s.ListJobs(t.Context(), scan)
	if err != nil {
		t.Fatal(err)
	}
	compared := map[string]string{}
	for _, job := range jobs {
		if job.BaselineCommit != "" {
			compared[job.Scanner] = job.BaselineCommit
		}
	}
	return compared
}

func TestEachScannerIsComparedWithItsLastCompleteRun(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e) // by whatever is uploaded
		first := pushed(t, s, 1)
		deliver(t, s, first, "semgrep", found("a", "b"))
		deliver(t, s, first, "trivy", found("c", "d"))
		second := pushed(t, s, 2)
		deliver(t, s, second, "semgrep", found("a"))
		failed := found("c")
		failed.Failure = "out of memory"
		deliver(t, s, second, "trivy", failed)

		third := pushed(t, s, 3)
		deliver(t, s, third, "semgrep", found("a"))
		deliver(t, s, third, "trivy", found("c"))
		third = deliver(t, s, third, "grype", found("new"))
		want := map[string]string{"semgrep": second.CommitSHA, "trivy": first.CommitSHA}
		if diff := cmp.Diff(want, baselines(t, s, third)); diff != "" {
			t.Errorf("baselines (-want +got):\n%s", diff)
		}
		named := third.BaselineScanID
		if named == nil || *named != second.ID || third.Summary != "1 new (1 low), 2 known, 1 fixed" {
			t.Errorf("want the newest baseline named and one fixed, got %v, %q", named, third.Summary)
		}
		fixed, err := s.ListFindings(t.Context(), third, store.FindingFilter{BaselineState: core.Absent, Limit: 10})
		if err != nil || len(fixed) != 1 || fixed[0].RuleID != "d" {
			t.Errorf("want d to be fixed, got %+v, %v", fixed, err)
		}
	})
}

// change adjusts a push.
type change = func(*core.Delivery, *core.Push)

// pushed opens the scan of the n-th commit, of main unless the push is changed.
func pushed(t *testing.T, s *store.Store, n int, changes ...change) core.Scan {
	t.Helper()
	d, p := storetest.PushOf(n, changes...)
	return accept(t, s, d, p)
}

func TestBaselineOfABranch(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, test := range map[string]struct {
			mergeBase string
			want      string
		}{
			"its merge base":                       {storetest.SHA(1), storetest.SHA(1)},
			"a merge base that was not scanned":    {storetest.SHA(77), storetest.SHA(2)},
			"a merge base whose run is incomplete": {storetest.SHA(3), storetest.SHA(2)},
			"no merge base":                        {"", storetest.SHA(2)},
		} {
			s := twoScanners(t, e)
			deliver(t, s, pushed(t, s, 1), "semgrep", found("a"))
			deliver(t, s, pushed(t, s, 2), "semgrep", found("a"))
			deliver(t, s, pushed(t, s, 3), "semgrep", core.Report{Failure: "no"})
			d, p := storetest.PushOf(9, storetest.OnBranch("feature"))
			scan := accept(t, s, d, p)
			job := core.Job{Scanner: "semgrep"}
			if err := s.RecordMergeBase(t.Context(), scan, test.mergeBase); err != nil {
				t.Fatal(err)
			}
			scan = get(t, s, scan.ReferenceID)
			asked, err := s.GetBaseline(t.Context(), scan, job)
			deliver(t, s, scan, "semgrep", found("a"))
			named, errNamed := s.BaselineCommit(t.Context(), get(t, s, scan.ReferenceID))
			if asked != test.want || named != test.want || err != nil || errNamed != nil {
				t.Errorf("%s: want %s, was told %s and got %s, %v, %v", name, test.want, asked, named, err, errNamed)
			}
			if _, err := s.GetBaseline(t.Context(), scan, core.Job{Scanner: "trivy"}); !errors.Is(err, core.ErrNotFound) {
				t.Errorf("%s: want no baseline for a scanner that never completed, got %v", name, err)
			}
		}
	})
}

func TestBaselineIsNeverANewerCommit(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		first := pushed(t, s, 1)
		deliver(t, s, first, "semgrep", found("a"))
		deliver(t, s, pushed(t, s, 2), "semgrep", found("a", "b"))
		receipt, err := s.Rescan(t.Context(), first.ReferenceID, "ada")
		if err != nil {
			t.Fatal(err)
		}
		again := deliver(t, s, get(t, s, receipt.Reference), "semgrep", found("a"))
		if compared := baselines(t, s, again); len(compared) != 0 {
			t.Errorf("the first commit, scanned again, is compared with %v", compared)
		}
	})
}

func TestUploadIsComparedWithTheKnownDefaultBranch(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		main := pushed(t, s, 1)
		deliver(t, s, main, "semgrep", found("a"))
		receipt, err := s.AcceptCommit(t.Context(), core.Scan{
			SourcePlatform: "github", ProjectName: "acme/shop", CommitSHA: storetest.SHA(5), Branch: "feature",
		}, "")
		if err != nil {
			t.Fatal(err)
		}
		scan := deliver(t, s, get(t, s, receipt.Reference), "semgrep", found("a", "b"))
		if diff := cmp.Diff(map[string]string{"semgrep": main.CommitSHA}, baselines(t, s, scan)); diff != "" {
			t.Errorf("baselines (-want +got):\n%s", diff)
		}
	})
}

func TestChangesCountOnlyForTheirBaseline(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for base, want := range map[string]core.BaselineState{storetest.SHA(1): core.New, storetest.SHA(7): core.Unchanged} {
			s := twoScanners(t, e)
			deliver(t, s, pushed(t, s, 1), "semgrep", found("a"))
			second := pushed(t, s, 2)
			report := found("a")
			report.Findings[0].Line = 30
			report.Changes = &core.Changes{Base: base}
			deliver(t, s, second, "semgrep", report)
			if got := findingsOf(t, s, second)["a"].BaselineState; got != want {
				t.Errorf("with changes since %s: want %s, got %s", base, want, got)
			}
		}
	})
}

func TestDismissalFollowsARenamedFile(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		first := pushed(t, s, 1)
		deliver(t, s, first, "semgrep", found("a", "b"))
		say(t, s, findingsOf(t, s, first)["a"], core.FalsePositive)
		renamed := found("a", "b")
		for i := range renamed.Findings {
			renamed.Findings[i].File, renamed.Findings[i].Line = "lib/z.go", 40
		}
		second := pushed(t, s, 2)
		deliver(t, s, second, "semgrep", renamed)
		if got := findingsOf(t, s, second)["a"]; got.TriageDecision == nil || got.BaselineState != core.Unchanged {
			t.Errorf("want the finding known and still dismissed, got %+v", got)
		}
	})
}

func TestDismissalStaysWithItsFindingOnABranch(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		deliver(t, s, pushed(t, s, 1), "semgrep", found("a"))
		around := func(line int, near string) core.Finding {
			f := finding("b", core.Low)
			f.Line, f.Surroundings = line, core.Between(nil, []uint16{core.DigestLine(near)})
			return f
		}
		d, p := storetest.PushOf(5, storetest.OnBranch("feature"))
		first := accept(t, s, d, p)
		deliver(t, s, first, "semgrep", core.Report{Findings: []core.Finding{around(9, "harmless")}})
		say(t, s, findingsOf(t, s, first)["b"], core.FalsePositive)
		d, p = storetest.PushOf(6, storetest.OnBranch("feature"))
		second := accept(t, s, d, p)
		moved := core.Report{Findings: []core.Finding{around(3, "evil"), around(12, "harmless")}}
		second = deliver(t, s, second, "semgrep", moved)
		list, err := s.ListFindings(t.Context(), second, store.FindingFilter{Limit: 9})
		if err != nil || len(list) != 2 || list[0].TriageDecision != nil || list[1].TriageDecision == nil {
			t.Errorf("want the newcomer undecided and the other dismissed, got %+v, %v", list, err)
		}
	})
}
