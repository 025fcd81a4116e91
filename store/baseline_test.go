package store_test

import (
	"errors"
	"fmt"
	"strings"
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

func TestLoadBaseline(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e)
		first := pushed(t, s, 1)
		report := found("a", "b")
		report.Findings[1].Commit, report.Findings[1].CWE = storetest.SHA(9), "CWE-798"
		report.Coverage = leaving(core.LeftError, 1, "bad.py")
		deliver(t, s, first, "semgrep", report)
		second, job := pushed(t, s, 2), core.Job{Scanner: "semgrep"}
		base, err := s.LoadBaseline(t.Context(), second, job)
		if err != nil || base.CommitSHA != first.CommitSHA || len(base.Findings) != 2 {
			t.Fatalf("want the first commit with two findings, got %+v, %v", base, err)
		}
		known, err := s.FindBaseline(t.Context(), second, job, first.CommitSHA)
		if err != nil || known.ScanID != first.ID || !cmp.Equal(known.Coverage, report.Coverage) || !cmp.Equal(base.Coverage, report.Coverage) {
			t.Errorf("want the first scan and one file not searched, got %+v, %v", known, err)
		}
		if _, err := s.FindBaseline(t.Context(), second, job, second.CommitSHA); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("the baseline of another commit: %v", err)
		}
		for i, f := range base.Findings {
			was := report.Findings[i]
			if f.RuleID != was.RuleID || f.File != was.File || f.Line != was.Line || f.Snippet != was.Snippet || f.Commit != was.Commit ||
				f.CWE != was.CWE || f.Severity != was.Severity {
				t.Errorf("want %+v, got %+v", was, f)
			}
		}
		if none, err := s.LoadBaseline(t.Context(), first, job); err != nil || none.CommitSHA != "" || none.Findings != nil {
			t.Errorf("want none, got %+v, %v", none, err)
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
			scan := pushed(t, s, 9, storetest.OnBranch("feature"))
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

// TestBranchIsSetBack moves main to a commit of a branch, on to the next one, and back.
func TestBranchIsSetBack(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		first := pushed(t, s, 1)
		deliver(t, s, first, "semgrep", found("a"))
		feature := pushed(t, s, 2, storetest.OnBranch("feature"))
		deliver(t, s, feature, "semgrep", found("a", "b"))
		main := func(key int, before, after string) core.Scan {
			d, p := storetest.PushOf(key)
			p.Before, p.After, p.CommitSHA, p.Created = before, after, after, false
			return accept(t, s, d, p)
		}
		main(10, first.CommitSHA, feature.CommitSHA)
		next := main(11, feature.CommitSHA, storetest.SHA(3))
		deliver(t, s, next, "semgrep", found("a", "b", "c"))
		main(12, next.CommitSHA, feature.CommitSHA)
		receipt, err := s.Rescan(t.Context(), feature.ReferenceID, "ada")
		if err != nil {
			t.Fatal(err)
		}
		again := deliver(t, s, get(t, s, receipt.Reference), "semgrep", found("a", "b"))
		if diff := cmp.Diff(map[string]string{"semgrep": first.CommitSHA}, baselines(t, s, again)); diff != "" {
			t.Errorf("the commit to which main was set back (-want +got):\n%s", diff)
		}
	})
}

func TestUploadIsComparedWithTheKnownDefaultBranch(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		main := pushed(t, s, 1)
		deliver(t, s, main, "semgrep", found("a"))
		scan := deliver(t, s, named(t, s, 5, core.Scan{Branch: "feature"}), "semgrep", found("a", "b"))
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
		first := pushed(t, s, 5, storetest.OnBranch("feature"))
		deliver(t, s, first, "semgrep", core.Report{Findings: []core.Finding{around(9, "harmless")}})
		say(t, s, findingsOf(t, s, first)["b"], core.FalsePositive)
		second := pushed(t, s, 6, storetest.OnBranch("feature"))
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
			complete := found("old", "main")
			past := finding("past", core.Low)
			past.Commit = storetest.SHA(77)
			complete.Findings = append(complete.Findings, past) // which is not fixed on the branch
			deliver(t, s, main, "semgrep", complete)
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

// BenchmarkBaseline chooses what a scan on a branch of a project with a short and with a long history is compared with, where it
// is not known at which commit the branch left main: some commits before where main stands.
//
//	.ci/with-postgres go test -run '^$' -bench Baseline ./store
func BenchmarkBaseline(b *testing.B) {
	for _, e := range storetest.Engines {
		for _, rows := range []int{1_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", e.Name, rows), func(b *testing.B) {
				s := e.Open(b, store.Config{})
				fillLists(b, s, e.Name, rows)
				execute(b, s, `INSERT INTO scan_jobs (scan_id, scanner, state) SELECT id, 'gitleaks', 'completed' FROM scans`)
				execute(b, s, `UPDATE scans SET before_sha = '0000000000000000000000000000'
					|| substr('000000000000' || (id - 10), length(CAST(id - 10 AS TEXT)) + 1, 12)`)
				project, err := s.GetProject(b.Context(), "github", "acme/monolith")
				if err != nil {
					b.Fatal(err)
				}
				n := rows - 97 // one of those on a branch
				scan := core.Scan{
					ID: int64(n), ProjectID: project.ID, SourcePlatform: "github", ProjectName: project.Name, Ref: "refs/heads/feature", DefaultBranch: "main",
					CommitSHA: fmt.Sprintf("%040d", n), Attempt: 1,
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

// in is a finding in a file.
func in(file, rule string) core.Finding {
	f := finding(rule, core.High)
	f.File = file
	return f
}

func leaving(reason core.LeftOut, count int, files ...string) *core.Coverage {
	c := &core.Coverage{Searched: 1}
	c.LeaveOut(reason, count, files...)
	return c
}

// Findings in files that were not searched stay what they were, through any number of commits, until the files are searched.
func TestNothingIsFixedInAFileThatWasNotSearched(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "gitleaks")
		for n, step := range []struct {
			report  core.Report
			summary string
		}{
			{core.Report{Findings: []core.Finding{in("a.sql", "a"), in("b.sql", "b")}}, "2 new (2 high)"},
			{core.Report{Coverage: leaving(core.LeftSize, 1, "a.sql")}, "0 new, 1 unresolved, 1 known, 1 fixed, 1 not searched"},
			{core.Report{Coverage: leaving(core.LeftSize, 1, "a.sql")}, "0 new, 1 unresolved, 1 known, 1 not searched"},
			{core.Report{Coverage: leaving(core.LeftError, 1)}, "0 new, 1 unresolved, 1 known, 1 not searched"},
			{core.Report{Coverage: leaving(core.LeftBinary, 1, "a.sql")}, "0 new, 1 unresolved, 1 known"},
			{core.Report{Findings: []core.Finding{in("a.sql", "a")}, Coverage: leaving(core.LeftSize, 1, "a.sql")}, "0 new, 1 unresolved, 1 known, 1 not searched"},
			{core.Report{Coverage: leaving(core.LeftAllowed, 30, "a.sql")}, "0 new, 1 fixed"},
		} {
			scan := pushed(t, s, n+1)
			for range 2 { // the same report again changes nothing
				scan = deliver(t, s, scan, "gitleaks", step.report)
				if status := statusOf(t, s, scan); scan.Summary != step.summary || status.Revision != 2 {
					t.Errorf("commit %d: %q, want %q; the status has revision %d", n+1, scan.Summary, step.summary, status.Revision)
				}
			}
			for _, f := range findingsOf(t, s, scan) {
				if f.RuleID == "a" && (f.AlertNumber != 1 || f.File != "a.sql") {
					t.Errorf("commit %d: %+v", n+1, f)
				}
			}
			fixed, err := s.ListFindings(t.Context(), scan, store.FindingFilter{BaselineState: core.Absent, Limit: 10})
			if err != nil || (len(fixed) > 0) != strings.Contains(step.summary, "fixed") {
				t.Errorf("commit %d: %d are fixed, %v", n+1, len(fixed), err)
			}
		}
	})
}

// A branch cannot hide what it brought by making its file too large.
func TestBranchKeepsWhatItBroughtInAFileThatWasNotSearched(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "gitleaks")
		deliver(t, s, pushed(t, s, 1), "gitleaks", core.Report{})
		brought := deliver(t, s, pushed(t, s, 2, storetest.OnBranch("side")), "gitleaks", core.Report{Findings: []core.Finding{in("a.sql", "a")}})
		say(t, s, findingsOf(t, s, brought)["a"], core.FalsePositive)
		scan := deliver(t, s, pushed(t, s, 3, storetest.OnBranch("side")), "gitleaks", core.Report{Coverage: leaving(core.LeftSize, 1, "a.sql")})
		if scan.Summary != "0 new, 1 dismissed, 1 not searched" {
			t.Errorf("after it was dismissed: %q", scan.Summary)
		}
		say(t, s, findingsOf(t, s, scan)["a"], core.TruePositive)
		wantStatus(t, s, scan, "when it is real", core.StatusFailure, "1 new (1 high), 1 not searched")
	})
}

// The base may be scanned after a branch that did not search all that the base has.
func TestLateBaseFixesNothingInAFileThatWasNotSearched(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for summary, left := range map[string]*core.Coverage{
			"0 new, 1 known, 1 fixed, 1 not searched": leaving(core.LeftSize, 1, "a.sql"),
			"0 new, 2 known, 30 not searched":         leaving(core.LeftSize, 30, strings.Fields(strings.Repeat("c.sql ", 30))...),
			"0 new, 2 fixed":                          nil,
		} {
			s := scannedBy(t, e, "semgrep")
			branch := leaves(t, s, 1)
			deliver(t, s, branch, "semgrep", core.Report{Coverage: left})
			deliver(t, s, pushed(t, s, 1), "semgrep", core.Report{Findings: []core.Finding{in("a.sql", "a"), in("b.sql", "b")}})
			branch = get(t, s, branch.ReferenceID)
			fixed, err := s.ListFindings(t.Context(), branch, store.FindingFilter{BaselineState: core.Absent, Limit: 10})
			if branch.Summary != summary || err != nil || (len(fixed) > 0) != strings.Contains(summary, "fixed") {
				t.Errorf("%q, want %q; %d are fixed, %v", branch.Summary, summary, len(fixed), err)
			}
		}
	})
}

// The base may be scanned after a branch whose scanner searches commits: what the branch has removed from the tree is in its history.
func TestLateBaseFixesNothingInHistory(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "semgrep")
		branch := leaves(t, s, 1)
		moved := in("moved.sql", "c")
		moved.Snippet = "key = 'REDACTED-1'"
		deliver(t, s, branch, "semgrep", core.Report{Coverage: &core.Coverage{Commits: true}, Findings: []core.Finding{moved}})
		older, was := in("older.sql", "b"), moved
		older.Commit, was.File = storetest.SHA(77), "was.sql"
		base := pushed(t, s, 1)
		deliver(t, s, base, "semgrep", core.Report{Findings: []core.Finding{in("a.sql", "a"), older, was}})
		branch = get(t, s, branch.ReferenceID)
		found := findingsOf(t, s, branch)
		if branch.Summary != "1 new (1 high), 2 known, 1 fixed" || len(found) != 3 {
			t.Errorf("got %q with %+v", branch.Summary, found)
		}
		if f := found["a"]; f.Commit != base.CommitSHA || f.BaselineState != core.Unchanged || found["b"].Commit != storetest.SHA(77) {
			t.Errorf("want them in the commits that have them, got %+v", found)
		}
	})
}
