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
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/catalog"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestListFindingsOfAJobByAge(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushed(t, s, 1)
		var findings []core.Finding
		for n := range 250 {
			findings = append(findings, finding(fmt.Sprint("r", n), core.Severities[n%4]))
		}
		run(t, s, findings...)
		jobs, err := s.ListJobs(t.Context(), scan)
		if err != nil {
			t.Fatal(err)
		}
		listed := 0
		for filter := (store.FindingFilter{JobID: jobs[0].ID, ByAge: true, Limit: 100}); ; {
			page, err := s.ListFindings(t.Context(), scan, filter)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range page {
				if f.ID <= filter.AfterID || f.JobID != jobs[0].ID {
					t.Fatalf("finding %d of job %d after %d", f.ID, f.JobID, filter.AfterID)
				}
				filter.AfterID = f.ID
			}
			if listed += len(page); len(page) < filter.Limit {
				break
			}
		}
		if listed != len(findings) {
			t.Errorf("%d findings listed, want %d", listed, len(findings))
		}
	})
}

func TestFindingsArePagedByUrgency(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scanned(t, s, 1, reportOf("old", "gone"))
		report := reportOf("old", "high", "medium", "low", "critical")
		report.Findings[2].CVEID, report.Findings[3].CVEID, report.Findings[1].CVEID = "CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003"
		scan := scanned(t, s, 2, report)
		for _, feed := range []core.Feed{
			{Kind: core.FeedKEV, Scores: []core.Score{{CVEID: "CVE-2024-0002", KEV: true}}},
			{Kind: core.FeedEPSS, Scores: []core.Score{
				{CVEID: "CVE-2024-0001", Probability: 0.5, Percentile: 0.9}, {CVEID: "CVE-2024-0003", Probability: 0.01, Percentile: 0.3}}},
		} {
			if _, err := s.PutFeed(t.Context(), feed, store.FeedOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, state := range []core.BaselineState{core.New, core.Unchanged, core.Absent} {
			for offset := 0; offset < 5; offset += 2 {
				findings, err := s.PageFindings(t.Context(), scan, store.FindingPage{State: state, Offset: offset, Limit: 2})
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range findings {
					got = append(got, fmt.Sprint(f.RuleID, " ", f.BaselineState, " ", f.KEV))
				}
			}
		}
		want := []string{"low new true", "medium new false", "critical new false", "high new false", "old unchanged false", "gone absent false"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
	})
}

// Each finding is in one list. The lengths of the lists match the summary, and PlaceFinding finds each place.
func TestDismissedFindingsStandInAListOfTheirOwn(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scanned(t, s, 1, reportOf("old", "older"))
		scan := scanned(t, s, 2, reportOf("old", "older", "a", "b", "c", "d"))
		f := findingsOf(t, s, scan)
		for _, rule := range []string{"old", "a", "b"} {
			say(t, s, f[rule], core.FalsePositive)
		}
		lists := map[string]store.FindingPage{
			"c d":     {State: core.New, Limit: 9},
			"older":   {State: core.Unchanged, Limit: 9},
			"old a b": {Dismissed: true, Limit: 9},
			"c d a":   {State: core.New, Also: f["a"].ID, Limit: 9},
		}
		for want, page := range lists {
			found, err := s.PageFindings(t.Context(), scan, page)
			if err != nil {
				t.Fatal(err)
			}
			var rules []string
			for i, finding := range found {
				rules = append(rules, finding.RuleID)
				place, err := s.PlaceFinding(t.Context(), scan, finding.ID)
				page.Offset, page.Limit = i, 0
				if err != nil || page.Also == 0 && place != page {
					t.Errorf("%s stands at %+v, %v; want %+v", finding.RuleID, place, err, page)
				}
				if finding.Dismissed != (decisionOf(finding) == core.FalsePositive) {
					t.Errorf("%s: dismissed %t", finding.RuleID, finding.Dismissed)
				}
			}
			if got := strings.Join(rules, " "); got != want {
				t.Errorf("%+v: %q, want %q", page, got, want)
			}
		}
		if _, err := s.PlaceFinding(t.Context(), scan, 4711); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("the place of nothing: %v", err)
		}
	})
}

// A vulnerability in KEV of which EPSS has published nothing has no probability, not one of 0.
func TestProbabilityIsUnknownWhereNoneIsPublished(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		report := reportOf("fresh")
		report.Findings[0].CVEID = "CVE-2026-0002"
		scan := scanned(t, s, 1, report)
		feed := core.Feed{Kind: core.FeedKEV, Scores: []core.Score{{CVEID: "CVE-2026-0002", KEV: true}}}
		if _, err := s.PutFeed(t.Context(), feed, store.FeedOptions{}); err != nil {
			t.Fatal(err)
		}
		if f := findingsOf(t, s, scan)["fresh"]; !f.KEV || f.EPSSProbability != nil || f.EPSSPercentile != nil {
			t.Errorf("KEV %t, EPSS %v, %v", f.KEV, f.EPSSProbability, f.EPSSPercentile)
		}
	})
}

func TestPagesCountAndRemember(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scanned(t, s, 1, reportOf("a", "b"))
		report, because := reportOf("a", "c", "d", "e"), "in a test"
		report.Findings[3].Suppressed = &because
		scan := scanned(t, s, 2, report)
		fresh, err := s.PageFindings(t.Context(), scan, store.FindingPage{State: core.New, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		feedback := core.Feedback{FindingID: fresh[0].ID, UserVerdict: core.FalsePositive, Author: "ada"}
		if _, err := s.RecordFeedback(t.Context(), feedback); err != nil {
			t.Fatal(err)
		}
		histories, err := s.ListHistories(t.Context(), []core.Finding{fresh[0], {ID: 12345}}, 10)
		if history := histories[fresh[0].ID]; err != nil || len(histories) != 1 || len(history) != 1 || history[0].Author != "ada" {
			t.Errorf("histories: %+v, %v", histories, err)
		}
		tallies, err := s.CountFindings(t.Context(), scan)
		n := map[string]int{}
		for _, tally := range tallies {
			n[fmt.Sprint(tally.BaselineState, tally.Dismissed)] += tally.N
		}
		if diff := cmp.Diff(map[string]int{"newfalse": 1, "newtrue": 2, "unchangedfalse": 1}, n); err != nil || diff != "" {
			t.Errorf("tallies: %v\n%s", err, diff)
		}
		trend, err := s.ListTrend(t.Context(), "github", "acme/shop", 10)
		if err != nil || len(trend) != 2 || trend[1].New != 1 || trend[1].Open != 2 || trend[1].Fixed != 1 {
			t.Errorf("trend: %+v, %v", trend, err)
		}
	})
}

func TestListFindingsByRisk(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		put(t, s, scores(firstDay, 0.1, 0.85974, 0.3, 0.3, 0.00047))
		put(t, s, kevCatalog(4, 6))
		scan := pushed(t, s, 1)
		var findings []core.Finding
		for n := range 8 {
			findings = append(findings, vulnerable(n, core.Medium), vulnerable(n, core.Critical))
		}
		findings = append(findings, finding("leak", core.High), finding("smell", core.Low))
		run(t, s, findings...)

		var got []string
		for filter := (store.FindingFilter{ByRisk: true, Limit: 3}); ; {
			page, err := s.ListFindings(t.Context(), scan, filter)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range page {
				got = append(got, strings.TrimPrefix(f.RuleID, "dependency-")+" "+string(f.Severity))
			}
			if len(page) == 0 {
				break
			}
			filter = after(filter, page[len(page)-1])
		}
		want := []string{
			"4 Critical", "4 Medium", "6 Critical", "6 Medium", // known to be exploited
			"1 Critical", "1 Medium", "2 Critical", "3 Critical", "2 Medium", "3 Medium", "0 Critical", "0 Medium",
			"5 Critical", "7 Critical", "leak High", "5 Medium", "7 Medium", "smell Low", // nothing known
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
	})
}

func TestListFindingsJoinsScores(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		put(t, s, scores(firstDay, 0.5))
		put(t, s, kevCatalog(0))
		scan := pushed(t, s, 1)
		run(t, s, vulnerable(0, core.High), vulnerable(1, core.Low))
		list, err := s.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 10})
		if err != nil || len(list) != 2 {
			t.Fatalf("%d findings, %v, want 2", len(list), err)
		}
		if f := list[0]; f.EPSSProbability == nil || *f.EPSSProbability != 0.5 || *f.EPSSPercentile != 0.25 || !f.KEV {
			t.Errorf("a scored finding = %+v", f)
		}
		if f := list[1]; f.EPSSProbability != nil || f.EPSSPercentile != nil || f.KEV {
			t.Errorf("a finding without a score = %+v", f)
		}
	})
}

func TestListFindingsPages(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushed(t, s, 1)
		var findings []core.Finding
		for n := range 2500 {
			findings = append(findings, finding(fmt.Sprint("r", n), core.Severities[n%4]))
		}
		run(t, s, findings...)
		seen := map[int64]bool{}
		rank := core.Critical.Rank()
		for filter := (store.FindingFilter{Limit: 400}); ; {
			page, err := s.ListFindings(t.Context(), scan, filter)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, f := range page {
				if seen[f.ID] || f.Severity.Rank() > rank {
					t.Fatalf("finding %d twice or out of order", f.ID)
				}
				seen[f.ID], rank = true, f.Severity.Rank()
			}
			last := page[len(page)-1]
			filter.AfterRank, filter.AfterID = last.Severity.Rank(), last.ID
		}
		if len(seen) != len(findings) {
			t.Errorf("%d findings listed, want %d", len(seen), len(findings))
		}
	})
}

func TestListUndecided(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		pushed(t, s, 1)
		run(t, s, finding("old", core.Critical))
		scan := pushed(t, s, 2, onto(1))
		hidden := finding("hidden", core.Critical)
		hidden.Suppressed = new("nosec")
		run(t, s, finding("old", core.Critical), hidden, finding("low", core.Low), finding("judged", core.High),
			finding("asked", core.High), finding("high", core.High), finding("critical", core.Critical))
		now := findingsOf(t, s, scan)
		say(t, s, now["judged"], core.TruePositive)
		patch(t, s, now["asked"], core.TriageUpdate{Source: core.ByAI, AIVerdict: core.SetTo("unsure")})
		for limit, want := range map[int][]string{9: {"critical", "high", "low"}, 2: {"critical", "high"}} {
			list, err := s.ListUndecided(t.Context(), core.Job{ID: now["old"].JobID}, limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range list {
				got = append(got, f.RuleID)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("at most %d (-want +got):\n%s", limit, diff)
			}
		}
		if list, err := s.ListUndecided(t.Context(), core.Job{ID: 999}, 9); err != nil || len(list) > 0 {
			t.Errorf("findings of a job that does not exist: %v, %v", list, err)
		}
	})
}

// What was found in contents comes back as it was, and a commit is searched for its project and rules alone.
func TestSearchesAreKept(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		one, two := pushTo(t, s, 1, "one"), pushTo(t, s, 2, "two")
		project, other := one.ProjectID, pushed(t, s, 3, called("acme/other", "99")).ProjectID
		leak := core.Finding{
			Tool: "gitleaks", RuleID: "github-pat", File: "!conf/\u00e4", Line: 2, EndLine: 3, Severity: core.Critical, Title: "a token",
			Message: "revoke it", CWE: "CWE-798", Snippet: "t = '\ufffd'\n\"", PartialFingerprint: "REDACTED-0000",
		}
		left := core.Coverage{Left: []core.Omission{{Reason: core.LeftArchive, Count: 2, Names: []string{"a.zip!b"}}}}
		first := core.SearchedContents{
			{Blob: "b1", Class: "0"}: {Findings: []core.Finding{leak, leak}},
			{Blob: "b1", Class: "4"}: {Coverage: left},
		}
		for n := range contentsOfALargePush {
			first[core.ContentsKey{Blob: fmt.Sprint("many", n), Class: "0"}] = core.Contents{Findings: []core.Finding{leak}}
		}
		record := func(scan core.Scan, rules string, fresh core.SearchedContents) {
			t.Helper()
			if err := s.RecordSearch(t.Context(), scan, rules, fresh, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		record(one, "rules 1", first)
		record(one, "rules 1", core.SearchedContents{{Blob: "b1", Class: "4"}: {Findings: []core.Finding{leak}}}) // the job ran twice
		record(two, "rules 1", nil)
		first[core.ContentsKey{Blob: "b1", Class: "4"}] = core.Contents{Findings: []core.Finding{leak}}
		got, err := s.ListSearched(t.Context(), project, "rules 1")
		if diff := cmp.Diff(first, got); err != nil || diff != "" {
			t.Errorf("%v, kept (-want +got):\n%s", err, diff)
		}
		for _, test := range []struct {
			project    int64
			sha, rules string
			want       bool
		}{
			{project, one.CommitSHA, "rules 1", true}, {project, two.CommitSHA, "rules 1", true}, {project, storetest.SHA(3), "rules 1", false},
			{project, one.CommitSHA, "rules 2", false}, {other, one.CommitSHA, "rules 1", false},
		} {
			if got, err := s.IsSearched(t.Context(), test.project, test.sha, test.rules); err != nil || got != test.want {
				t.Errorf("%+v: got %t, %v", test, got, err)
			}
		}
		found, err := s.FindSearched(t.Context(), project, "rules 1", two.CommitSHA, storetest.SHA(3), one.CommitSHA, "")
		inOrder := cmpopts.SortSlices(func(a, b string) bool { return a < b })
		if diff := cmp.Diff([]string{two.CommitSHA, one.CommitSHA}, found, inOrder); err != nil || diff != "" {
			t.Errorf("%v, searched (-want +got):\n%s", err, diff)
		}
		for project, rules := range map[int64]string{project: "rules 2", other: "rules 1"} {
			if got, err := s.ListSearched(t.Context(), project, rules); err != nil || len(got) != 0 {
				t.Errorf("%d, %s: want nothing, got %v, %v", project, rules, got, err)
			}
		}
	})
}

const contentsOfALargePush = 2500

// searched is scanned, with a search whose rows take more than one batch.
func (p *past) searched(t *testing.T, days int, rules string, change ...func(*core.Delivery, *core.Push)) core.Scan {
	t.Helper()
	scan := p.push(t, days, change...)
	fresh := core.SearchedContents{}
	for n := range 600 {
		fresh[core.ContentsKey{Blob: fmt.Sprint(n), Class: "0"}] = core.Contents{}
	}
	if err := p.RecordSearch(t.Context(), scan, rules, fresh, time.Time{}); err != nil {
		t.Fatal(err)
	}
	run(t, p.Store)
	return scan
}

// pruneSearched removes what is kept of searches with rules that were not used for 90 days.
func (p *past) pruneSearched(t *testing.T) (total int) {
	t.Helper()
	for after := (store.SearchedRules{}); ; {
		removed, next, err := p.PruneSearched(t.Context(), p.now.Add(-90*day), after)
		if err != nil {
			t.Fatal(err)
		}
		total += removed
		if after = next; next == (store.SearchedRules{}) {
			return total
		}
	}
}

// wantSearched says whether a commit counts as searched with rules; if so, its contents are all there.
func (p *past) wantSearched(t *testing.T, when string, scan core.Scan, rules string, want bool) {
	t.Helper()
	searched, err := p.IsSearched(t.Context(), scan.ProjectID, scan.CommitSHA, rules)
	known, listing := p.ListSearched(t.Context(), scan.ProjectID, rules)
	if err := errors.Join(err, listing); err != nil || searched != want || want != (len(known) == 600) {
		t.Errorf("%s, %s: searched %t with %d contents, %v; want %t", when, rules, searched, len(known), err, want)
	}
}

func TestPruneSearched(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		p := newPast(t, e)
		old, other := p.searched(t, 0, "rules 1"), p.searched(t, 0, "rules 1", called("acme/other", "99"))
		p.searched(t, 20, "rules 1", called("acme/used", "98"))
		used := p.searched(t, 20, "rules 1", called("acme/used", "98"))
		fresh := p.searched(t, 55, "rules 2")
		open := p.push(t, 1, called("acme/other", "99"))
		if n := p.pruneSearched(t); n != 601 {
			t.Errorf("removed %d rows, want 601", n)
		}
		p.wantSearched(t, "unused for long", old, "rules 1", false)
		p.wantSearched(t, "the same project's", fresh, "rules 2", true)
		p.wantSearched(t, "used later", used, "rules 1", true)
		p.wantSearched(t, "while a scan is open", other, "rules 1", true)
		run(t, p.Store)
		if n := p.pruneSearched(t); n != 601 {
			t.Errorf("after the scan, removed %d rows, want 601", n)
		}
		p.wantSearched(t, "after the scan", other, "rules 1", false)
		// A runner that was slow to record its search relies on rows that are gone, also after others have searched.
		p.searched(t, 1, "rules 1", called("acme/other", "99"))
		if err := p.RecordSearch(t.Context(), open, "rules 1", nil, p.now.Add(-day)); !errors.Is(err, core.ErrConflict) {
			t.Errorf("a search that relied on what is gone: %v", err)
		}
		if searched, err := p.IsSearched(t.Context(), open.ProjectID, open.CommitSHA, "rules 1"); searched || err != nil {
			t.Errorf("it counts as searched: %t, %v", searched, err)
		}
		if err := p.RecordSearch(t.Context(), open, "rules 1", nil, p.now); err != nil {
			t.Errorf("a search that relied on what is there: %v", err)
		}
		execute(t, p.Store, `DELETE FROM searched_commits WHERE rules = 'rules 2'`)
		if n := p.pruneSearched(t); n != 600 {
			t.Errorf("after an interruption, removed %d rows, want 600", n)
		}
	})
}

// A scan that opens while retention decides may rely on what was searched, so that stays.
func TestPruneSearchedWhileAScanOpens(t *testing.T) {
	t.Parallel()
	p := newPast(t, storetest.Postgres)
	old := p.searched(t, 0, "rules 1")
	p.now = p.now.Add(100 * day)
	tx, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.ExecContext(t.Context(), `
		INSERT INTO scans (reference_id, project_id, source_platform, project_name, commit_sha, timestamp, deadline_at)
		SELECT gen_random_uuid(), project_id, source_platform, project_name, 'next', timestamp, deadline_at FROM scans`)
	if err != nil {
		t.Fatal(err)
	}
	removed := make(chan int, 1)
	go func() {
		defer close(removed)
		removed <- p.pruneSearched(t)
	}()
	if err := errors.Join(awaitBlocked(t, tx), tx.Commit()); err != nil {
		t.Fatal(err)
	}
	if n := <-removed; n != 0 {
		t.Errorf("removed %d rows", n)
	}
	p.wantSearched(t, "while a scan opens", old, "rules 1", true)
}

// A finding in history that a report no longer has is neither fixed nor absent. One that leaves the tree, or comes back, is known.
func TestFindingsInHistoryAreNeverFixed(t *testing.T) {
	t.Parallel()
	past := func(f core.Finding) core.Finding {
		f.Commit = storetest.SHA(77)
		return f
	}
	a, b := finding("a", core.Low), finding("b", core.Low)
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "gitleaks")
		for n, step := range []struct {
			findings []core.Finding
			summary  string
			alerts   []string // open ones
		}{
			{[]core.Finding{a, past(b)}, "2 new (2 low)", []string{"b", "a"}},
			{[]core.Finding{past(a), past(b)}, "0 new, 2 known", []string{"b", "a"}},
			{[]core.Finding{past(a), b}, "0 new, 2 known", []string{"b", "a"}},
			{[]core.Finding{b}, "0 new, 1 known", []string{"b"}},
			{nil, "0 new, 1 fixed", nil},
		} {
			scan := deliver(t, s, pushed(t, s, n+1), "gitleaks", core.Report{Findings: step.findings})
			fixed, err := s.ListFindings(t.Context(), scan, store.FindingFilter{BaselineState: core.Absent, Limit: 10})
			if err != nil || scan.Summary != step.summary || (len(fixed) > 0) != strings.Contains(scan.Summary, "fixed") {
				t.Errorf("commit %d: %q, %d are fixed, %v, want %q", n+1, scan.Summary, len(fixed), err, step.summary)
			}
			var rules []string
			for _, alert := range listAlerts(t, s, scan.ProjectName, catalog.Open) {
				rules = append(rules, alert.RuleID)
			}
			if diff := cmp.Diff(step.alerts, rules); diff != "" {
				t.Errorf("commit %d: open alerts (-want +got):\n%s", n+1, diff)
			}
		}
	})
}
