package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

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
			f.Line, f.Surroundings = line, match.SurroundingsOf(nil, []uint16{match.DigestLine(near)})
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

// leaves opens the scan of a branch that left main at the n-th commit.
func leaves(t *testing.T, s *store.Store, at int) core.Scan {
	t.Helper()
	branch := pushed(t, s, 100+at, storetest.OnBranch("side"))
	if err := s.RecordMergeBase(t.Context(), branch, storetest.SHA(at)); err != nil {
		t.Fatal(err)
	}
	return branch
}

// What came from the commit where a branch left main is not new on the branch, even if the branch is scanned first.
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

// When both end at one moment, the later one sees the other.
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

// BenchmarkBaseline chooses what a scan of a project with a short and with a long history is compared with, where the
// commit before was not scanned, so that former names of the project are looked for.
//
//	.ci/with-postgres go test -run '^$' -bench Baseline ./store
func BenchmarkBaseline(b *testing.B) {
	for _, e := range storetest.Engines {
		for _, rows := range []int{1_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", e.Name, rows), func(b *testing.B) {
				s := e.Open(b, store.Config{})
				fillLists(b, s, e.Name, rows)
				execute(b, s, `INSERT INTO scan_jobs (scan_id, scanner, state) SELECT id, 'gitleaks', 'completed' FROM scans`)
				execute(b, s, `UPDATE scans SET project_ref = '42', before_sha = 'x' || commit_sha`)
				n := rows - 7 // one of those on a branch
				scan := core.Scan{
					ID: int64(n), SourcePlatform: "github", ProjectName: "acme/monolith", Branch: "feature", DefaultBranch: "main",
					CommitSHA: fmt.Sprintf("%040d", n), Attempt: 1, ProjectRef: "42",
				}
				for b.Loop() {
					if _, err := s.GetBaseline(b.Context(), scan, core.Job{Scanner: "gitleaks"}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
