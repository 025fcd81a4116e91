package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
)

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
		b.call(t, "triager", http.MethodGet, "/api/v1/scans/"+ref+"/findings?sort=risk&limit=1&cursor="+cursor, "", &page)
		for _, item := range page.Items {
			got = append(got, item.RuleID)
		}
		cursor = page.Next
	}
	if diff := cmp.Diff([]string{"exploited", "likely", "unlikely", "secret"}, got); diff != "" || cursor != "" {
		t.Errorf("next %q, findings (-want +got):\n%s", cursor, diff)
	}

	var first riskPage
	b.call(t, "triager", http.MethodGet, "/api/v1/scans/"+ref+"/findings?sort=risk&limit=2", "", &first)
	if item := first.Items[1]; item.Probability == nil || *item.Probability != 0.3 || !first.Items[0].KEV || item.KEV {
		t.Errorf("items = %+v", first.Items)
	}
	var gravest riskPage
	b.call(t, "triager", http.MethodGet, "/api/v1/scans/"+ref+"/findings?limit=1", "", &gravest)
	if gravest.Items[0].RuleID != "secret" {
		t.Errorf("by default the first is %q, want the gravest", gravest.Items[0].RuleID)
	}
	for _, query := range []string{"cursor=" + first.Next, "sort=risk&cursor=" + gravest.Next} {
		answer := b.call(t, "triager", http.MethodGet, "/api/v1/scans/"+ref+"/findings?"+query, "", nil)
		if answer.Code != http.StatusUnprocessableEntity {
			t.Errorf("a cursor of the other order: %d %s", answer.Code, answer.Body)
		}
	}
}

// The description of the API names every kind of evidence.
func TestFindingsDescribeEvidence(t *testing.T) {
	t.Parallel()
	var description struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]json.RawMessage
			}
		}
	}
	setup(t).call(t, "", "GET", "/openapi.json", "", &description)
	found := false
	for _, schema := range description.Components.Schemas {
		var property struct{ Enum []match.Evidence }
		raw, has := schema.Properties["matched_by"]
		if !has {
			continue
		}
		found = true
		if err := json.Unmarshal(raw, &property); err != nil {
			t.Fatal(err)
		}
		slices.Sort(property.Enum)
		if diff := cmp.Diff(match.Evidences(), property.Enum); diff != "" {
			t.Errorf("evidence (-want +got):\n%s", diff)
		}
	}
	if !found {
		t.Error("no schema has matched_by")
	}
}
