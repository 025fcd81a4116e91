package store_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// The answer to a commit can be lost: the same report of the same claim again is no conflict, another one is.
func TestFinishJobAgain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		pushed(t, s, 1)
		job := claimJob(t, s, by("a", scanners...))
		for range 2 {
			if err := s.FinishJob(t.Context(), job, core.Report{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.FinishJob(t.Context(), job, core.Report{Failure: "no"}); !errors.Is(err, core.ErrConflict) {
			t.Errorf("another report: %v, want ErrConflict", err)
		}
		job.Attempt--
		if err := s.FinishJob(t.Context(), job, core.Report{}); !errors.Is(err, core.ErrConflict) {
			t.Errorf("another claim: %v, want ErrConflict", err)
		}
	})
}

// A report from outside never overwrites a job that ran here, runs here or will run here, whatever the configuration
// has become.
func TestPutReportTakesOnlyUploads(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		policy := storetest.Policy
		policy.Scanners = []string{"gitleaks", "semgrep", "trivy"}
		url := e.URL(t)
		cfg := store.Config{
			Policies: core.Policies{{Match: "github/acme/*", Policy: policy}},
			Scanners: core.Scanners{
				"gitleaks": core.RunsHere, "semgrep": core.RunsHere, "trivy": core.Uploaded, "lint": core.Uploaded,
			},
		}
		s := storetest.OpenAt(t, url, cfg)
		scan := pushed(t, s, 1)
		refuses(t, s, scan, "gitleaks", core.ErrConflict, "gitleaks runs here")
		refuses(t, s, scan, "lint", core.ErrInvalid, "there are: trivy")
		refuses(t, s, scan, "trify", core.ErrInvalid, "there are: trivy")
		job := claimJob(t, s, by("worker", "gitleaks"))
		refuses(t, s, scan, "gitleaks", core.ErrConflict, "gitleaks runs here")

		cfg.Scanners = storetest.Scanners // now all come from outside
		s = storetest.OpenAt(t, url, cfg)
		refuses(t, s, scan, "gitleaks", core.ErrConflict, "gitleaks ran here")
		if err := s.FinishJob(t.Context(), job, found("a")); err != nil {
			t.Fatal(err)
		}
		refuses(t, s, scan, "gitleaks", core.ErrConflict, "gitleaks ran here")
		deliver(t, s, scan, "semgrep", found("b")) // which never began here
		scan = deliver(t, s, scan, "trivy", found("c"))
		if scan.Status != core.ScanCompleted || scan.Summary != "3 new (3 low)" {
			t.Errorf("in the end: %s %q", scan.Status, scan.Summary)
		}
		policy.Scanners = nil
		cfg.Policies = core.Policies{{Match: "github/acme/*", Policy: policy}}
		s = storetest.OpenAt(t, url, cfg)
		refuses(t, s, scan, "trify", core.ErrInvalid, "there are: gitleaks, grype, lint, semgrep, trivy")
		deliver(t, s, scan, "lint", found("d"))
		cfg.Policies = core.Policies{}
		refuses(t, storetest.OpenAt(t, url, cfg), scan, "lint", core.ErrNotFound, "matches no entry of repositories")
	})
}

func refuses(t *testing.T, s *store.Store, scan core.Scan, scanner string, want error, sentence string) {
	t.Helper()
	before := get(t, s, scan.ReferenceID)
	_, err := s.PutReport(t.Context(), scan.ReferenceID, scanner, core.Report{})
	if !errors.Is(err, want) || !strings.Contains(err.Error(), sentence) {
		t.Errorf("report of %s: %v, want %v: %s", scanner, err, want, sentence)
	}
	if diff := cmp.Diff(before, get(t, s, scan.ReferenceID)); diff != "" {
		t.Errorf("a refused report of %s changed the scan:\n%s", scanner, diff)
	}
}

// A report that comes before the push opens the scan and prevents no job, even if the commit could not be fetched
// before it was pushed.
func TestUploadBeforeThePushKeepsNothingFromRunning(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := scannedAt(t, e, clock, "gitleaks", "trivy")
		for n, tooEarly := range []func(reference string){
			func(string) {},
			func(string) { // not on the server yet
				job := claimJob(t, s, by("worker", "gitleaks"))
				if err := s.FinishJob(t.Context(), job, core.Report{Failure: "no such commit"}); err != nil {
					t.Fatal(err)
				}
			},
			func(string) {
				clock.advance(2 * storetest.Policy.ScanTimeout)
				if _, err := s.ExpireScans(t.Context(), false); err != nil {
					t.Fatal(err)
				}
			},
		} {
			d, p := storetest.PushOf(n + 1)
			receipt, err := s.AcceptCommit(t.Context(), core.Scan{
				SourcePlatform: d.Platform, ProjectName: d.Project, ProjectRef: p.Project.Ref, CommitSHA: p.CommitSHA, Branch: "main", Origin: "upload",
			}, "ci")
			if err != nil {
				t.Fatal(err)
			}
			deliver(t, s, get(t, s, receipt.Reference), "trivy", found())
			tooEarly(receipt.Reference)
			scan := accept(t, s, d, p)
			if scan.ReferenceID != receipt.Reference || scan.Status.Ended() || statusOf(t, s, scan).State != core.StatusPending {
				t.Errorf("%d, after the push: %s, %s", n, scan.Status, statusOf(t, s, scan).State)
			}
			accept(t, s, d, p)
			run(t, s, finding(fmt.Sprint("leak", n), core.High))
			if scan = get(t, s, scan.ReferenceID); scan.Status != core.ScanCompleted || *scan.Verdict != core.Fail {
				t.Errorf("%d, in the end: %s %q", n, scan.Status, scan.Summary)
			}
		}
	})
}

func TestReportsAndRescansAreAudited(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := scannedAt(t, e, clock, "trivy")
		scan := pushed(t, s, 1)
		bring := func(by string, report core.Report) {
			report.By, report.Digest = by, "5ca4"
			clock.advance(time.Second)
			deliver(t, s, scan, "trivy", report)
		}
		bring("ci", found("a", "b"))
		bring("mallory", found())
		bring("ann", core.Report{Failure: "no database"})
		bring("bob", found("a"))
		again, err := s.Rescan(t.Context(), scan.ReferenceID, "eve")
		if err != nil {
			t.Fatal(err)
		}
		events, err := s.ListAudit(t.Context(), store.AuditFilter{Project: "acme/shop", Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, event := range slices.Backward(events) {
			if event.ReferenceID != scan.ReferenceID && event.ReferenceID != again.Reference {
				t.Errorf("%+v is not about the scan", event)
			}
			got = append(got, fmt.Sprintf("%s %s: %s: %s", event.Actor, event.Action, event.Subject, event.Detail))
		}
		subject := "trivy for commit " + core.ShortSHA(scan.CommitSHA)
		want := []string{
			"ci report: " + subject + ": 2 findings, SHA-256 5ca4",
			"mallory report replaced: " + subject + ": 0 findings, SHA-256 5ca4; replaces the report of 2026-11-23T12:00:01Z by ci with 2 findings",
			"ann report failed: " + subject + ": 0 findings, SHA-256 5ca4: no database; replaces the report of 2026-11-23T12:00:02Z by mallory with 0 findings",
			"bob report replaced: " + subject + ": 1 finding, SHA-256 5ca4; it had failed at 2026-11-23T12:00:03Z by ann: no database",
			"eve rescan: commit " + core.ShortSHA(scan.CommitSHA) + ": ",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		facts, err := s.ExplainCommit(t.Context(), scan.CommitSHA)
		if err != nil || len(facts) != 2 {
			t.Fatal(len(facts), err)
		}
		story := ""
		for _, f := range facts {
			for _, step := range f.Events() {
				story += step.Text + "\n"
			}
		}
		for _, text := range []string{
			"ci brought the report of trivy", "mallory replaced the report", "ann said that a scanner failed", "bob replaced",
			"eve had the commit scanned once more",
		} {
			if !strings.Contains(story, text) {
				t.Errorf("want %q in the story:\n%s", text, story)
			}
		}
	})
}

// scannedAt is scannedBy by a clock of the test's own.
func scannedAt(t *testing.T, e storetest.Engine, clock *clock, scanners ...string) *store.Store {
	t.Helper()
	policy := storetest.Policy
	policy.Scanners = scanners
	return e.Open(t, store.Config{Now: clock.Now, Policies: core.Policies{{Match: "**", Policy: policy}}})
}

func TestPutReportKeepsEveryFieldOfManyFindings(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushed(t, s, 1)
		const many = 1500
		why := `"quoted" \ tab	and newline` + "\n"
		var report core.Report
		for n := range many {
			f := core.Finding{
				Tool: "tool", RuleID: fmt.Sprint("rule-", n), File: "dir/ä.go", Line: n, EndLine: n + 1, Severity: core.Low,
				Title: why, Message: "\\N \\. ☃", CVEID: "CVE-2024-0001", CWE: "CWE-79", HelpURI: "https://example.com/", Snippet: "a\tb",
			}
			if n%2 == 0 {
				f.Suppressed, f.Commit = &why, storetest.SHA(9)
			}
			report.Findings = append(report.Findings, f)
		}
		if _, err := s.PutReport(t.Context(), scan.ReferenceID, "gitleaks", report); err != nil {
			t.Fatal(err)
		}
		got, err := s.ListFindings(t.Context(), scan, store.FindingFilter{ByAge: true, Limit: 2 * many})
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			want := report.Findings[i]
			want.ID, want.ScanID, want.JobID = got[i].ID, scan.ID, got[0].JobID
			want.AlertID, want.AlertNumber, want.Dismissed = got[i].AlertID, i+1, want.Suppressed != nil
			want.Fingerprint, want.Anchor, want.BaselineState = got[i].Fingerprint, got[i].Anchor, core.New
			if diff := cmp.Diff(want, got[i]); diff != "" || want.Fingerprint == "" {
				t.Fatalf("finding %d (-want +got):\n%s", i, diff)
			}
		}
		if len(got) != many {
			t.Errorf("want %d findings, got %d", many, len(got))
		}
	})
}

func TestJobKeepsCoverage(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		searched := &core.Coverage{Searched: 3}
		searched.LeaveOut(core.LeftSize, 2, "big.sql", "dir/ä \"x\".txt")
		for _, want := range []*core.Coverage{nil, searched, {}, nil} {
			if _, err := s.PutReport(t.Context(), scan.ReferenceID, "gitleaks", core.Report{Coverage: want}); err != nil {
				t.Fatal(err)
			}
			jobs, err := s.ListJobs(t.Context(), scan)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, jobs[0].Coverage()); diff != "" {
				t.Errorf("coverage (-want +got):\n%s", diff)
			}
		}
	})
}

func TestPutReportIsIdempotent(t *testing.T) {
	t.Parallel()
	policy := storetest.Policy
	policy.Scanners = []string{"semgrep", "trivy"}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
		scan := pushed(t, s, 1)
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
			scan := pushed(t, s, n, storetest.OnBranch(fmt.Sprint("b", n)))
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

// detailed are findings with details, one for each rule, and what the rules are about.
func detailed(note string, rules ...string) core.Report {
	report := core.Report{Help: map[core.RuleName]string{}, Packed: new(core.Packed)}
	for _, rule := range rules {
		f := core.Finding{Tool: "semgrep", RuleID: rule, File: rule + ".js", Line: 1, Severity: core.Low, Message: rule, Details: details.Pack(details.Details{Markdown: note + " " + rule})}
		report.Packed.Add(&f)
		report.Help[core.RuleName{Tool: "semgrep", Rule: rule}] = details.PackHelp(details.Help{Text: note + strings.Repeat(" about "+rule, 100)})
	}
	plain := finding("plain", core.Low)
	report.Packed.Add(&plain)
	return report
}

// besides is what is kept of the findings of a scan: details and help by rule.
func besides(t *testing.T, s *store.Store, scan core.Scan) map[string]string {
	t.Helper()
	var findings []core.Finding
	for _, f := range findingsOf(t, s, scan) {
		findings = append(findings, f)
	}
	said, err := s.ListDetails(t.Context(), findings)
	if err != nil {
		t.Fatal(err)
	}
	help, err := s.ListHelp(t.Context(), findings)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range findings {
		if text := said[f.ID].Markdown + strings.ReplaceAll(help.Of(f).Text, " about "+f.RuleID, ""); text != "" {
			all[f.RuleID] = text
		}
	}
	return all
}

// What a report says besides is kept with its findings: the newest report's, and that of findings which stay because their file was not
// searched. It goes with the scan.
func TestDetailsAreKept(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "semgrep")
		first := deliver(t, s, pushed(t, s, 1), "semgrep", detailed("old", "a", "b"))
		want := map[string]string{"a": "old aold", "b": "old bold"}
		if diff := cmp.Diff(want, besides(t, s, first)); diff != "" {
			t.Error("first report", diff)
		}
		deliver(t, s, first, "semgrep", detailed("new", "b", "c"))
		deliver(t, s, first, "semgrep", detailed("new", "b", "c"))
		want = map[string]string{"b": "new bnew", "c": "new cnew"}
		if diff := cmp.Diff(want, besides(t, s, first)); diff != "" {
			t.Error("replaced", diff)
		}
		partial := detailed("part", "c")
		partial.Coverage = new(core.Coverage)
		partial.Coverage.LeaveOut(core.LeftError, 1, "b.js")
		second := deliver(t, s, pushed(t, s, 2), "semgrep", partial)
		want = map[string]string{"b": "new bnew", "c": "part cpart"}
		if diff := cmp.Diff(want, besides(t, s, second)); diff != "" {
			t.Error("kept", diff)
		}
		if err := s.DeleteScan(t.Context(), first.ReferenceID, "admin"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, besides(t, s, second)); diff != "" {
			t.Error("after the first scan was removed", diff)
		}
		var long core.RuleName // as long as reports may have them, and nothing that could be compressed
		for len(long.Tool) < 2000 {
			long.Tool, long.Rule = long.Tool+rand.Text(), long.Rule+rand.Text()
		}
		f := core.Finding{Tool: long.Tool, RuleID: long.Rule, File: "a.js", Line: 1, Severity: core.Low, Message: "m"}
		deliver(t, s, second, "semgrep", core.Report{Findings: []core.Finding{f}, Help: map[core.RuleName]string{long: details.PackHelp(details.Help{Text: "x"})}})
	})
}
