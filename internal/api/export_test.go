package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

func TestExportSARIF(t *testing.T) {
	t.Parallel()
	b := setup(t, "linter")
	ref := b.push(t, 1)
	b.call(t, "uploader", "PUT", "/api/v1/scans/"+ref+"/results/linter", report, nil)
	answer := b.call(t, "triager", "GET", "/api/v1/scans/"+ref+"/sarif", "", nil)
	if got := answer.Header().Get("Content-Type"); answer.Code != 200 || got != "application/sarif+json" {
		t.Fatalf("%d %s: %s", answer.Code, got, answer.Body)
	}
	got, err := reports.Parse(answer.Body, reports.Limits{})
	if err != nil || len(got.Findings) != 2 {
		t.Fatalf("%d findings, %v", len(got.Findings), err)
	}
	want := core.Finding{RuleID: "a", File: "x.go", Line: 1, EndLine: 1, Severity: core.High, Tool: "linter"}
	first := got.Findings[0]
	if first.RuleID != want.RuleID || first.File != want.File || first.Line != want.Line || first.Severity != want.Severity ||
		first.Tool != want.Tool || !strings.HasPrefix(first.PartialFingerprint, "scanhook/v") {
		t.Errorf("got %+v, want %+v", first, want)
	}
}

func TestExportSARIFPages(t *testing.T) {
	t.Parallel()
	b := setup(t, "linter")
	ref := b.push(t, 1)
	var body strings.Builder
	const findings = 4500
	for i := range findings {
		fmt.Fprintf(&body, `{"rule_id":"r%d","tool":"t%d","file":"f%d.go","line":1,"severity":"low","snippet":"%d"},`,
			i%7, i%2, i, i)
	}
	b.call(t, "uploader", "PUT", "/api/v1/scans/"+ref+"/results/linter", "["+strings.TrimSuffix(body.String(), ",")+"]", nil)
	answer := b.call(t, "triager", "GET", "/api/v1/scans/"+ref+"/sarif", "", nil)
	var log struct {
		Runs []struct {
			Tool    struct{ Driver struct{ Name string } }
			Results []struct{ PartialFingerprints map[string]string }
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, run := range log.Runs {
		for _, result := range run.Results {
			for _, fingerprint := range result.PartialFingerprints {
				seen[fingerprint] = true
			}
		}
	}
	if len(log.Runs) != 2 || len(seen) != findings {
		t.Errorf("%d runs with %d different findings, want 2 with %d", len(log.Runs), len(seen), findings)
	}
}

func TestExportSARIFIsDescribedAndGuarded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	nowhere := "/api/v1/scans/6ba7b810-9dad-11d1-80b4-00c04fd430c8/sarif"
	if got := b.call(t, "triager", "GET", nowhere, "", nil); got.Code != 404 {
		t.Errorf("a scan that does not exist: %d", got.Code)
	}
	if got := b.call(t, "", "GET", "/api/v1/scans/x/sarif", "", nil); got.Code != 401 {
		t.Errorf("without a token: %d", got.Code)
	}
	var description struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct{ Content map[string]any }
		}
	}
	b.call(t, "", "GET", "/openapi.json", "", &description)
	if description.Paths["/api/v1/scans/{ref}/sarif"]["get"].Responses["200"].Content["application/sarif+json"] == nil {
		t.Error("the export is not described")
	}
}

// The list and the exports show what the gate counts: an AI alone dismisses nothing critical.
func TestExportsFollowTheGate(t *testing.T) {
	t.Parallel()
	b := setup(t, "linter")
	ref := b.push(t, 1)
	b.call(t, "uploader", "PUT", "/api/v1/scans/"+ref+"/results/linter", `[{"rule_id":"r","file":"x.go","line":1,"severity":"critical"}]`, nil)
	path := fmt.Sprintf("/api/v1/findings/%d", b.finding(t, ref))
	check := func(who string, want bool) {
		t.Helper()
		var found struct{ Dismissed bool }
		b.call(t, "triager", "GET", path, "", &found)
		document := b.call(t, "triager", "GET", "/api/v1/scans/"+ref+"/gl-codequality", "", nil).Body.String()
		if found.Dismissed != want || strings.Contains(document, "x.go") == want {
			t.Errorf("after %s called it false: dismissed %t, %s", who, found.Dismissed, document)
		}
	}
	b.call(t, "machine", "PATCH", path, `{"triage_decision":"FP","ai_verdict":"FP","ai_reasoning":"a fixture"}`, nil)
	check("an AI", false)
	b.call(t, "triager", "POST", path+"/feedback", `{"user_verdict":"FP","comments":"a fixture"}`, nil)
	check("a person", true)
}
