package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func reportOf(titles ...string) core.Report {
	var report core.Report
	for i, title := range titles {
		report.Findings = append(report.Findings, core.Finding{
			Tool: "gitleaks", RuleID: title, File: "a.go", Line: i + 1, Severity: core.Severities[i%4], Snippet: title,
		})
	}
	return report
}

// scanned pushes commit n and delivers a report for it.
func scanned(t *testing.T, s *store.Store, n int, report core.Report) core.Scan {
	t.Helper()
	delivery, push := storetest.PushOf(n)
	receipt, err := s.AcceptPush(t.Context(), delivery, push)
	if err != nil {
		t.Fatal(err)
	}
	scan, err := s.PutReport(t.Context(), receipt.Reference, "gitleaks", report)
	if err != nil {
		t.Fatal(err)
	}
	return scan
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
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
	})
}

// Each finding stands in one list, whose length is what the summary says; the place of each is where the lists have it.
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
		if diff := gocmp.Diff(map[string]int{"newfalse": 1, "newtrue": 2, "unchangedfalse": 1}, n); err != nil || diff != "" {
			t.Errorf("tallies: %v\n%s", err, diff)
		}
		trend, err := s.ListTrend(t.Context(), "github", "acme/shop", 10)
		if err != nil || len(trend) != 2 || trend[1].New != 1 || trend[1].Open != 2 || trend[1].Fixed != 1 {
			t.Errorf("trend: %+v, %v", trend, err)
		}
	})
}

func TestCommitsAreExplained(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := scanned(t, s, 1, reportOf("a"))
		for n := 2; n < 5; n++ {
			delivery, _ := storetest.PushOf(n)
			if _, err := s.AcceptIgnored(t.Context(), delivery, "why"); err != nil {
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
		ignored, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Project: "acme/shop", Outcome: core.OutcomeIgnored, Limit: 2})
		if err != nil || len(ignored) != 2 || ignored[0].Key != "delivery-4" || ignored[0].Reason != "why" {
			t.Fatalf("ignored: %+v, %v", ignored, err)
		}
		rest, err := s.ListDeliveries(t.Context(), store.DeliveryFilter{Platform: "github", Before: ignored[1].ID, Limit: 9})
		if err != nil || len(rest) != 2 || rest[1].ReferenceID != scan.ReferenceID {
			t.Errorf("older: %+v, %v", rest, err)
		}
	})
}
