package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// Everything that changes something is in the audit log, with the name of the token.
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
		{"uploader", "PUT", "/scans/{ref}/results/{scanner}", "/api/v1/scans/" + ref + "/results/trivy", report, "report"},
		{"admin", "PUT", "/results/{scanner}", byCommit, report, "scan opened"},
		{"uploader", "POST", "/scans/{ref}/fail", "/api/v1/scans/" + ref + "/fail", `{"scanner":"trivy","reason":"no"}`, "report failed"},
		{"admin", "POST", "/scans/{ref}/override", "/api/v1/scans/" + ref + "/override", `{"reason":"tomorrow"}`, "override"},
		{"admin", "DELETE", "/scans/{ref}/override", "/api/v1/scans/" + ref + "/override", "", "override"},
		{"uploader", "POST", "/scans", "/api/v1/scans", commit, "scan opened"},
		{"uploader", "POST", "/scans/{ref}/rescan", "/api/v1/scans/" + ref + "/rescan", "", "rescan"},
		{"machine", "PATCH", "/findings/{id}", "/api/v1/findings/1", `{"ai_verdict":"unsure"}`, "triage"},
		{"triager", "POST", "/findings/{id}/feedback", "/api/v1/findings/1/feedback", `{"user_verdict":"TP"}`, "triage"},
		{"triager", "DELETE", "/findings/{id}/feedback", "/api/v1/findings/1/feedback", "", "triage"},
		{"triager", "POST", "/alerts/{platform}/{project}/{number}/comments", "/api/v1/alerts/github/acme%2Fshop/1/comments", `{"comments":"seen"}`, "comment"},
		{"triager", "POST", "/alert-decisions", "/api/v1/alert-decisions?severity=High", `{"user_verdict":"TP","batch":"one"}`, "triage"},
		{"triager", "DELETE", "/alert-decisions/{batch}", "/api/v1/alert-decisions/one", "", "triage"},
		{"triager", "POST", "/findings/{id}/approval", "/approval", "PROPOSAL", "triage"},
		{"triager", "DELETE", "/findings/{id}/approval", "/approval?proposal=PROPOSAL", "", "triage"},
		{"machine", "PATCH", "/metrics/{id}", fmt.Sprintf("/api/v1/metrics/%d", runs[0].ID), `{"expected":true}`, "expected"},
		{"admin", "POST", "/deliveries/{id}/derive", fmt.Sprintf("/api/v1/deliveries/%d/derive", b.setAside(t)), "", "derive again"},
		{"admin", "DELETE", "/scans/{ref}", "/api/v1/scans/" + ref, "", "scan deleted"},
		{"admin", "DELETE", "/projects/{platform}/{project}", "/api/v1/projects/github/acme%2Fshop", "", "project deleted"},
	} {
		called[call.method+" /api/v1"+call.route] = true
		if call.method == "PATCH" || strings.HasSuffix(call.route, "feedback") { // which speak of what the report brought
			b.call(t, "uploader", "PUT", "/api/v1/scans/"+ref+"/results/trivy", report, nil)
			want = append(want, "ci: report replaced")
			call.path = strings.Replace(call.path, "findings/1", fmt.Sprintf("findings/%d", b.finding(t, ref)), 1)
		}
		if strings.HasSuffix(call.route, "approval") {
			path, proposal := b.propose(t, ref)
			want = append(want, "ci: report replaced", "ci: triage")
			call.path = path + strings.Replace(call.path, "PROPOSAL", fmt.Sprint(proposal), 1)
			call.body = strings.Replace(call.body, "PROPOSAL", fmt.Sprintf(`{"proposal":%d}`, proposal), 1)
		}
		if answer := b.call(t, call.role, call.method, call.path, call.body, nil); answer.Code >= 300 {
			t.Errorf("%s %s: %d %s", call.method, call.path, answer.Code, answer.Body)
		}
		name := map[string]string{"triager": "ada", "uploader": "ci", "machine": "ci", "admin": "root"}[call.role]
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
