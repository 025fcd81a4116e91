package api_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestUploadsOfScannersThatRunHereAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, "gitleaks", "trivy")
	ref := b.push(t, 1)
	byCommit := "?platform=github&branch=main&project=acme/shop&commit=" + storetest.SHA(2)
	for scanner, want := range map[string]struct {
		code     int
		sentence string
	}{
		"gitleaks": {409, "gitleaks runs here"},
		"semgrep":  {422, "there are: trivy"}, // configured, but not listed
		"trify":    {422, "there are: trivy"},
		".hidden":  {422, "there are: trivy"},
	} {
		for _, call := range [][3]string{
			{"PUT", "/api/v1/scans/" + ref + "/results/" + scanner, report},
			{"PUT", "/api/v1/scans/" + ref + "/results/" + scanner, "not read at all"},
			{"PUT", "/api/v1/results/" + scanner + byCommit, report},
			{"POST", "/api/v1/scans/" + ref + "/fail", fmt.Sprintf(`{"scanner":%q,"reason":"no"}`, scanner)},
		} {
			answer := b.call(t, "admin", call[0], call[1], call[2], nil)
			if answer.Code != want.code || !strings.Contains(detail(t, answer), want.sentence) {
				t.Errorf("%s %s: %d %s, want %d %s", call[0], call[1], answer.Code, answer.Body, want.code, want.sentence)
			}
		}
	}
	var got results
	b.call(t, "viewer", "GET", "/api/v1/scans", "", &got)
	if len(got.Items) != 1 || got.Items[0]["status"] != "pending" {
		t.Errorf("refused reports left %v", got.Items)
	}
	if got := b.audit(t); len(got) != 0 {
		t.Errorf("refused reports are in the audit: %v", got)
	}
}

// audit lists who did what, the oldest first.
func (b *bench) audit(t *testing.T) (list []string) {
	t.Helper()
	var got results
	b.call(t, "admin", "GET", "/api/v1/audit?limit=100", "", &got)
	for _, item := range got.Items {
		list = append([]string{fmt.Sprintf("%s: %s", item["actor"], item["action"])}, list...)
	}
	return list
}

// Whatever changes something is in the audit, under the name of the token.
func TestEveryWriteIsAudited(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	ref := b.push(t, 2)
	b.runs(t, 0)
	runs, err := b.store.ListMetrics(t.Context(), store.MetricFilter{Platform: "github", Project: "acme/shop", Limit: 1})
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	commit := fmt.Sprintf(`{"platform":"github","project":"acme/shop","commit":%q}`, storetest.SHA(5))
	byCommit := "/api/v1/results/trivy?platform=github&project=acme/shop&commit=" + storetest.SHA(6)
	called := map[string]bool{}
	var want []string
	for _, call := range []struct{ role, method, route, path, body, action string }{
		{"scanner", "PUT", "/scans/{ref}/results/{scanner}", "/api/v1/scans/" + ref + "/results/trivy", report, "report"},
		{"admin", "PUT", "/results/{scanner}", byCommit, report, "scan opened"},
		{"scanner", "POST", "/scans/{ref}/fail", "/api/v1/scans/" + ref + "/fail", `{"scanner":"trivy","reason":"no"}`, "report failed"},
		{"scanner", "POST", "/scans", "/api/v1/scans", commit, "scan opened"},
		{"scanner", "POST", "/scans/{ref}/rescan", "/api/v1/scans/" + ref + "/rescan", "", "rescan"},
		{"scanner", "PATCH", "/findings/{id}", "/api/v1/findings/1", `{"ai_verdict":"unsure"}`, "triage"},
		{"viewer", "POST", "/findings/{id}/feedback", "/api/v1/findings/1/feedback", `{"user_verdict":"TP"}`, "triage"},
		{"viewer", "DELETE", "/findings/{id}/feedback", "/api/v1/findings/1/feedback", "", "triage"},
		{"scanner", "PATCH", "/metrics/{id}", fmt.Sprintf("/api/v1/metrics/%d", runs[0].ID), `{"expected":true}`, "expected"},
		{"admin", "DELETE", "/scans/{ref}", "/api/v1/scans/" + ref, "", "scan deleted"},
	} {
		called[call.method+" /api/v1"+call.route] = true
		if call.method == "PATCH" || strings.HasSuffix(call.route, "feedback") { // which speak of what the report brought
			b.call(t, "scanner", "PUT", "/api/v1/scans/"+ref+"/results/trivy", report, nil)
			want = append(want, "ci: report")
			call.path = strings.Replace(call.path, "findings/1", fmt.Sprintf("findings/%d", b.finding(t, ref)), 1)
		}
		if answer := b.call(t, call.role, call.method, call.path, call.body, nil); answer.Code >= 300 {
			t.Errorf("%s %s: %d %s", call.method, call.path, answer.Code, answer.Body)
		}
		name := map[string]string{"viewer": "reader", "scanner": "ci", "admin": "root"}[call.role]
		want = append(want, name+": "+call.action)
		if call.path == byCommit {
			want = append(want, name+": report")
		}
	}
	if diff := cmp.Diff(want, b.audit(t)); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	for operation := range b.operations(t) {
		if !strings.HasPrefix(operation, http.MethodGet) && !called[operation] {
			t.Errorf("%s is not tried here: does it tell the audit?", operation)
		}
	}
}

// finding is one of a scan's.
func (b *bench) finding(t *testing.T, ref string) int {
	t.Helper()
	var got results
	b.call(t, "viewer", "GET", "/api/v1/scans/"+ref+"/findings", "", &got)
	if len(got.Items) == 0 {
		t.Fatal("no findings")
	}
	return int(got.Items[0]["id"].(float64))
}

// operations are those of the description, by method and path.
func (b *bench) operations(t *testing.T) map[string]map[string]any {
	t.Helper()
	var described struct {
		Paths map[string]map[string]map[string]any
	}
	if err := json.Unmarshal(b.call(t, "", "GET", "/openapi.json", "", nil).Body.Bytes(), &described); err != nil {
		t.Fatal(err)
	}
	operations := map[string]map[string]any{}
	for path, methods := range described.Paths {
		for method, operation := range methods {
			operations[strings.ToUpper(method)+" "+path] = operation
		}
	}
	return operations
}

func TestExplainNamesWhoBroughtWhat(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	ref := b.push(t, 1)
	b.call(t, "scanner", "PUT", "/api/v1/scans/"+ref+"/results/trivy", report, nil)
	b.call(t, "admin", "PUT", "/api/v1/scans/"+ref+"/results/trivy", `{"findings":[]}`, nil)
	var got struct {
		Items []struct {
			ReferenceID string `json:"reference_id"`
			Steps       []struct{ Hop, Text, Detail string }
		}
	}
	b.call(t, "viewer", "GET", "/api/v1/explain/"+storetest.SHA(1)[:12], "", &got)
	if len(got.Items) != 1 || got.Items[0].ReferenceID != ref {
		t.Fatalf("stories: %+v", got)
	}
	story := ""
	for _, step := range got.Items[0].Steps {
		story += step.Hop + ": " + step.Text + ": " + step.Detail + "\n"
	}
	for _, text := range []string{
		"delivery: github announced",
		fmt.Sprintf("job: ci brought the report of trivy for commit 0000000: 2 findings, SHA-256 %x\n", sha256.Sum256([]byte(report))),
		"job: root brought the report of trivy for commit 0000000: 0 findings, SHA-256 ", "; replaces the report of ", " with 2 findings\n",
	} {
		if !strings.Contains(story, text) {
			t.Errorf("want %q in:\n%s", text, story)
		}
	}
	for path, code := range map[string]int{"abc": 422, storetest.SHA(9): 404} {
		if answer := b.call(t, "viewer", "GET", "/api/v1/explain/"+path, "", nil); answer.Code != code {
			t.Errorf("%s: %d, want %d", path, answer.Code, code)
		}
	}
}
