package api_test

import (
	"encoding/json"
	"fmt"
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

// What a report says besides is in the answer about one finding, and in the export, which reads back as it was.
func TestFindingsHaveDetails(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	ref := b.push(t, 1)
	const rich = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"trivy","rules":[{"id":"a","help":{"text":"h","markdown":"*h*"}}]}},"results":[
		{"ruleId":"a","message":{"text":"From [input](1)"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.js"},"region":{"startLine":3}}}],
		"relatedLocations":[{"id":1,"physicalLocation":{"artifactLocation":{"uri":"in.js"},"region":{"startLine":4}}}],
		"codeFlows":[{"threadFlows":[{"locations":[{"location":{"message":{"text":"source"}}}]}]}]}]}]}`
	type answer struct {
		Details struct {
			Text    string
			Related []struct{ File string }
			Flows   []struct{ Steps []struct{ Message string } }
		}
		RuleHelp struct{ Markdown string } `json:"rule_help"`
	}
	get := func(ref string) (got answer) {
		b.call(t, "triager", http.MethodGet, fmt.Sprintf("/api/v1/findings/%d", b.finding(t, ref)), "", &got)
		return got
	}
	b.call(t, "uploader", http.MethodPut, "/api/v1/scans/"+ref+"/results/trivy", rich, nil)
	got := get(ref)
	if got.Details.Text != "From [input](1)" || got.Details.Related[0].File != "in.js" || got.Details.Flows[0].Steps[0].Message != "source" || got.RuleHelp.Markdown != "*h*" {
		t.Errorf("%+v", got)
	}
	exported := b.call(t, "triager", http.MethodGet, "/api/v1/scans/"+ref+"/sarif", "", nil).Body.String()
	again := b.push(t, 2)
	b.call(t, "uploader", http.MethodPut, "/api/v1/scans/"+again+"/results/trivy", exported, nil)
	if diff := cmp.Diff(got, get(again)); diff != "" {
		t.Error(diff)
	}
}
