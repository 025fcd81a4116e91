package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// knows imports scores, and a catalog that lists CVE-2024-0003.
func (b *bench) knows(t *testing.T, scores ...core.Score) {
	t.Helper()
	for _, feed := range []core.Feed{
		{Kind: core.FeedEPSS, Date: time.Date(2026, 8, 16, 0, 0, 0, 0, time.UTC), Version: "v4", Source: "a", Scores: scores},
		{Kind: core.FeedKEV, Source: "b", Scores: []core.Score{{CVEID: "CVE-2024-0003"}}},
	} {
		if _, err := b.store.PutFeed(t.Context(), feed, store.FeedOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGetEPSS(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.knows(t, core.Score{CVEID: "CVE-2024-0001", Probability: 0.85974, Percentile: 0.99712})
	var got map[string]any
	b.call(t, "viewer", http.MethodGet, "/api/v1/epss/cve-2024-0001", "", &got)
	want := map[string]any{
		"cve_id": "CVE-2024-0001", "probability": 0.85974, "percentile": 0.99712, "kev": false,
		"score_date": "2026-08-16T00:00:00Z", "model_version": "v4",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("score (-want +got):\n%s", diff)
	}
	b.call(t, "viewer", http.MethodGet, "/api/v1/epss/CVE-2024-0003", "", &got)
	if got["probability"] != 0.0 || got["kev"] != true {
		t.Errorf("a vulnerability of the catalog without a score = %v", got)
	}
	for path, c := range map[string]struct {
		code   int
		detail string
	}{
		"CVE-2024-0009": {http.StatusNotFound, "scanhook epss import"},
		"log4shell":     {http.StatusUnprocessableEntity, "is not a CVE id such as"},
	} {
		answer := b.call(t, "viewer", http.MethodGet, "/api/v1/epss/"+path, "", nil)
		if answer.Code != c.code || !strings.Contains(detail(t, answer), c.detail) {
			t.Errorf("%s: %d %s, want %d", path, answer.Code, answer.Body, c.code)
		}
	}
	answer := b.call(t, "", http.MethodGet, "/api/v1/epss/CVE-2024-0001", "", nil)
	if answer.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", answer.Code)
	}
}

type riskPage struct {
	Items []struct {
		RuleID      string   `json:"rule_id"`
		Probability *float64 `json:"epss_probability"`
		KEV         bool     `json:"kev"`
	}
	Next string
}

func TestFindingsSortedByRisk(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	b.knows(t, core.Score{CVEID: "CVE-2024-0001", Probability: 0.1}, core.Score{CVEID: "CVE-2024-0002", Probability: 0.3})
	ref := b.push(t, 1)
	report := core.Report{Findings: []core.Finding{
		{RuleID: "secret", Severity: core.Critical},
		{RuleID: "unlikely", Severity: core.High, CVEID: "CVE-2024-0001"},
		{RuleID: "likely", Severity: core.Low, CVEID: "CVE-2024-0002"},
		{RuleID: "exploited", Severity: core.Low, CVEID: "CVE-2024-0003"},
	}}
	if _, err := b.store.PutReport(t.Context(), ref, "trivy", report); err != nil {
		t.Fatal(err)
	}
	var got []string
	cursor := ""
	for range report.Findings {
		var page riskPage
		b.call(t, "viewer", http.MethodGet, "/api/v1/scans/"+ref+"/findings?sort=risk&limit=1&cursor="+cursor, "", &page)
		for _, item := range page.Items {
			got = append(got, item.RuleID)
		}
		cursor = page.Next
	}
	if diff := cmp.Diff([]string{"exploited", "likely", "unlikely", "secret"}, got); diff != "" || cursor != "" {
		t.Errorf("next %q, findings (-want +got):\n%s", cursor, diff)
	}

	var first riskPage
	b.call(t, "viewer", http.MethodGet, "/api/v1/scans/"+ref+"/findings?sort=risk&limit=2", "", &first)
	if item := first.Items[1]; item.Probability == nil || *item.Probability != 0.3 || !first.Items[0].KEV || item.KEV {
		t.Errorf("items = %+v", first.Items)
	}
	var gravest riskPage
	b.call(t, "viewer", http.MethodGet, "/api/v1/scans/"+ref+"/findings?limit=1", "", &gravest)
	if gravest.Items[0].RuleID != "secret" {
		t.Errorf("by default the first is %q, want the gravest", gravest.Items[0].RuleID)
	}
	for _, query := range []string{"cursor=" + first.Next, "sort=risk&cursor=" + gravest.Next} {
		answer := b.call(t, "viewer", http.MethodGet, "/api/v1/scans/"+ref+"/findings?"+query, "", nil)
		if answer.Code != http.StatusUnprocessableEntity {
			t.Errorf("a cursor of the other order: %d %s", answer.Code, answer.Body)
		}
	}
}
