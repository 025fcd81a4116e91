package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestListFindingsOfAJobByAge(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
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
		history, err := s.ListHistories(t.Context(), []int64{fresh[0].ID, 12345}, 10)
		if err != nil || len(history) != 1 || history[0].Author != "ada" {
			t.Errorf("history: %+v, %v", history, err)
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
		put(t, s, catalog(4, 6))
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
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
		put(t, s, catalog(0))
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
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
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
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
		d, p := storetest.PushOf(1)
		accept(t, s, d, p)
		run(t, s, finding("old", core.Critical))
		d, p = storetest.PushOf(2)
		p.Before = storetest.SHA(1)
		scan := accept(t, s, d, p)
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
