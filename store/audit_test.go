package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestAuditTellsWhoChangedWhat(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		s := e.Open(t, store.Config{Now: func() time.Time { return now }})
		scan := scanOn(t, s, 1, "main", finding("a", core.High))
		found := findingsOf(t, s, scan)["a"]
		say(t, s, found, core.FalsePositive)
		second, err := s.Rescan(t.Context(), scan.ReferenceID, "ada")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteScan(t.Context(), scan.ReferenceID, "root"); err != nil {
			t.Fatal(err)
		}
		got, err := s.ListAudit(t.Context(), store.AuditFilter{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		commit := "commit " + core.ShortSHA(scan.CommitSHA)
		about := core.AuditEvent{
			Timestamp: now, ProjectID: &scan.ProjectID, SourcePlatform: "github", ProjectName: "acme/shop", ReferenceID: scan.ReferenceID, Subject: commit,
		}
		deleted, again, judged := about, about, about
		again.ReferenceID = second.Reference
		deleted.Actor, deleted.Action = "root", core.AuditScanDeleted
		again.Actor, again.Action = "ada", core.AuditRescan
		judged.Actor, judged.Action = "alice", core.AuditTriage
		judged.Subject = fmt.Sprintf("finding %d (a in %s:%d)", found.ID, found.File, found.Line)
		judged.Detail = "person said user_verdict FP: because"
		want := []core.AuditEvent{deleted, again, judged}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(core.AuditEvent{}, "ID")); diff != "" {
			t.Errorf("want what outlives the scan, (-want +got):\n%s", diff)
		}
		few, err := s.ListAudit(t.Context(), store.AuditFilter{Action: core.AuditTriage, Project: "acme/shop", Limit: 10})
		if err != nil || len(few) != 1 || few[0].ID != got[2].ID {
			t.Errorf("want the one triage, got %v, %v", few, err)
		}
	})
}

func TestConfigurationIsNotedWhenItChanges(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for _, start := range []struct {
			settings map[string]string
			want     []string
			noted    int
		}{
			{map[string]string{"a": "1", "b": "2"}, []string{"a", "b"}, 0},
			{map[string]string{"a": "1", "b": "2"}, []string{}, 0},
			{map[string]string{"a": "3", "c": "4"}, []string{"a", "b", "c"}, 1},
			{map[string]string{"a": "3", "c": "4"}, []string{}, 1},
		} {
			got, err := s.PutConfiguration(t.Context(), "root@host", start.settings)
			if diff := cmp.Diff(start.want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
				t.Errorf("%v, changed (-want +got):\n%s", err, diff)
			}
			list, err := s.ListAudit(t.Context(), store.AuditFilter{Action: core.AuditConfiguration, Limit: 10})
			if err != nil || len(list) != start.noted {
				t.Fatalf("want %d noted changes, got %v, %v", start.noted, list, err)
			}
			if start.noted > 0 && (list[0].Actor != "root@host" || list[0].Detail != "a, b, c") {
				t.Errorf("noted %+v", list[0])
			}
		}
	})
}

// A report takes the place of another one visibly: who did it, of what, and that the verdict turned by it, also where a report that only
// says that the scanner failed, or another attempt, comes in between.
func TestReportThatTurnsTheVerdictIsMarked(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "trivy")
		scan := pushed(t, s, 1)
		bring := func(by string, report core.Report) core.Scan {
			t.Helper()
			report.By, report.Bringer, report.Digest = by, core.ByToken, by
			scan = deliver(t, s, scan, "trivy", report)
			return scan
		}
		red := core.Report{Findings: []core.Finding{finding("leak", core.High), finding("smell", core.Low)}}
		wantSummary := func(want string) {
			t.Helper()
			if _, text := core.StatusFor(scan); text != want {
				t.Errorf("the status says %q, want %q", text, want)
			}
		}
		bring("ci", red)
		bring("ci again", red)
		wantSummary("2 new (1 high, 1 low)")
		bring("mallory", core.Report{Failure: "no database"})
		bring("mallory", found())
		wantSummary("No findings, report replaced")
		bring("ci", red)
		wantSummary("2 new (1 high, 1 low)")
		bring("mallory", found("smell"))
		wantSummary("1 new (1 low), report replaced")
		reports, err := s.ListRevisions(t.Context(), scan, 10)
		if err != nil || len(reports) != 6 {
			t.Fatal(len(reports), err)
		}
		if now := reports[0]; now.Number != 6 || !now.Turned || now.By != "mallory" || now.NumFindings != 1 || now.Counts() != "1 low" || now.Digest != "mallory" {
			t.Errorf("the newest: %+v", now)
		}
		past, err := s.GetRevision(t.Context(), scan, reports[1].ID)
		if err != nil || past.Current || !past.Kept || len(past.Findings) != 2 || past.Findings[0].RuleID != "leak" || past.Findings[0].Severity != core.High {
			t.Errorf("the one before: %+v, %v", past, err)
		}
		if present, err := s.GetRevision(t.Context(), scan, reports[0].ID); err != nil || !present.Current || len(present.Findings) != 1 {
			t.Errorf("the present one: %+v, %v", present, err)
		}
		events, err := s.ListAudit(t.Context(), store.AuditFilter{Action: core.AuditReportReplaced, Limit: 1})
		if err != nil || len(events) != 1 || events[0].Actor != "mallory" || !strings.HasSuffix(events[0].Detail, core.TurnedVerdict) {
			t.Errorf("audit: %+v, %v", events, err)
		}
		bring("ci", red)
		for range 2 { // attempts
			receipt, err := s.Rescan(t.Context(), scan.ReferenceID, "mallory")
			if err != nil {
				t.Fatal(err)
			}
			scan = get(t, s, receipt.Reference)
		}
		if _, err := s.GetRevision(t.Context(), scan, reports[0].ID); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("a report of another scan: %v", err)
		}
		bring("mallory", found())
		wantSummary("No findings, report replaced")
	})
}

func TestReportIsReplacedByItsOwnKindOnly(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "trivy", "semgrep")
		scan := pushed(t, s, 1)
		put := func(by core.Bringer, report core.Report) error {
			report.By, report.Bringer = "somebody", by
			_, err := s.PutReport(t.Context(), scan.ReferenceID, "trivy", report)
			return err
		}
		for i, step := range []struct {
			by     core.Bringer
			report core.Report
			want   error
		}{
			{core.ByCIJob, core.Report{Failure: "no database"}, nil}, {core.ByToken, core.Report{Failure: "no"}, nil},
			{core.ByCIJob, found(), core.ErrConflict}, {core.ByToken, found("a"), nil}, {core.ByToken, found(), nil},
			{core.ByCIJob, found(), core.ErrConflict}, {core.ByCIJob, core.Report{Failure: "no"}, core.ErrConflict},
			{core.ByToken, core.Report{Failure: "no"}, nil}, {core.ByCIJob, found(), core.ErrConflict},
			{core.ByCIJob, core.Report{Category: "own"}, nil},
		} {
			if err := put(step.by, step.report); !errors.Is(err, step.want) {
				t.Errorf("%d: %v, want %v", i, err, step.want)
			}
		}
	})
}

// A report of before there were revisions is one that may not be replaced.
func TestReportOfAnEarlierVersionIsNotReplacedEither(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		policy := storetest.Policy
		policy.Scanners, policy.Replace = []string{"trivy"}, core.ReplaceNever
		s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
		scan := pushed(t, s, 1)
		put := func(report core.Report) error {
			report.By, report.Bringer, report.Digest = "ci", core.ByToken, "2"
			_, err := s.PutReport(t.Context(), scan.ReferenceID, "trivy", report)
			return err
		}
		if err := put(core.Report{Findings: []core.Finding{finding("leak", core.High)}}); err != nil {
			t.Fatal(err)
		}
		execute(t, s, `DELETE FROM reports`)
		if err := put(found()); !errors.Is(err, core.ErrConflict) {
			t.Errorf("replaced: %v", err)
		}
	})
}

func TestReportIsNeverReplacedWhereThePolicySaysSo(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		policy := storetest.Policy
		policy.Scanners, policy.Replace = []string{"trivy"}, core.ReplaceNever
		s := e.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
		scan := pushed(t, s, 1)
		put := func(digest string, report core.Report) error {
			report.By, report.Bringer, report.Digest = "ci", core.ByToken, digest
			_, err := s.PutReport(t.Context(), scan.ReferenceID, "trivy", report)
			return err
		}
		red := core.Report{Findings: []core.Finding{finding("leak", core.High)}}
		for i, step := range []struct {
			digest string
			report core.Report
			want   error
		}{
			{"", core.Report{Failure: "no database"}, nil}, {"1", red, nil}, {"1", red, nil}, {"2", found(), core.ErrConflict},
			{"", core.Report{Failure: "no database"}, core.ErrConflict}, {"1", found(), nil}, // the answer got lost: nothing changes
		} {
			if err := put(step.digest, step.report); !errors.Is(err, step.want) {
				t.Errorf("%d: %v, want %v", i, err, step.want)
			}
		}
		if after := get(t, s, scan.ReferenceID); after.Verdict == nil || *after.Verdict != core.Fail {
			t.Errorf("the first report does not count: %+v", after.Summary)
		}
		if reports, err := s.ListRevisions(t.Context(), scan, 10); err != nil || len(reports) != 2 {
			t.Errorf("reports: %+v, %v", reports, err)
		}
		uploader := access.With(t.Context(), access.Actor{Name: "ci", Grants: []access.Grant{{Role: access.Uploader}}})
		if _, err := s.Rescan(uploader, scan.ReferenceID, "ci"); !errors.Is(err, core.ErrForbidden) {
			t.Errorf("who brings reports begins anew: %v", err)
		}
		if _, err := s.Rescan(t.Context(), scan.ReferenceID, "ann"); err != nil {
			t.Error(err)
		}
	})
}
