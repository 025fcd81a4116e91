package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFeedback(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scan, high, _ := reported(t, b)
	var got findingAnswer
	answer := b.call(t, "triager", "POST", high+"/feedback", `{"user_verdict":"FP","comments":"a test key"}`, &got)
	if answer.Code != http.StatusCreated || got.TriageDecision == nil || *got.TriageDecision != "FP" ||
		got.Verdict == nil || *got.Verdict != "pass" || got.Summary != "1 new (1 low), 1 dismissed" {
		t.Errorf("FP: %d %s", answer.Code, answer.Body)
	}
	if by := got.DecidedBy; by == nil || by.Source != "person" || by.Author != "ada" || by.Comment != "a test key" {
		t.Errorf("decided by %+v", got.DecidedBy)
	}
	var detail results
	b.call(t, "triager", "GET", scan, "", &detail)
	if len(detail.Statuses) != 1 || detail.Statuses[0]["state"] != "success" {
		t.Errorf("wanted statuses: %+v", detail.Statuses)
	}
	var fresh findingAnswer
	b.call(t, "triager", "GET", high, "", &fresh)
	if diff := cmp.Diff(got, fresh); diff != "" {
		t.Errorf("reading it again (-answer +got):\n%s", diff)
	}
}

func TestFeedbackIsWithdrawn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, high, _ := reported(t, b)
	withdraw := func(query string, want int) (got findingAnswer) {
		t.Helper()
		if answer := b.call(t, "triager", "DELETE", high+"/feedback"+query, "", &got); answer.Code != want {
			t.Errorf("withdrawing %s: %d %s", query, answer.Code, answer.Body)
		}
		return got
	}
	withdraw("", http.StatusNotFound)
	var said findingAnswer
	b.call(t, "triager", "POST", high+"/feedback", `{"user_verdict":"FP"}`, &said)
	withdraw(fmt.Sprintf("?word=%d", said.DecidedBy.ID+1), http.StatusConflict)
	got := withdraw(fmt.Sprintf("?word=%d&comments=a+mistake", said.DecidedBy.ID), http.StatusOK)
	if got.TriageDecision != nil || got.DecidedBy != nil || got.Verdict == nil || *got.Verdict != "fail" {
		t.Errorf("withdrawn: %+v", got)
	}
	withdraw("", http.StatusNotFound)
}

func TestPatchChangesOnlyWhatItNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, high, low := reported(t, b)
	steps := []struct{ body, want string }{
		{`{}`, `null null null null null null`},
		{`{"ai_verdict":"false positive","ai_confidence":0.5}`, `null "false positive" 0.5 null null null`},
		{`{"ai_reasoning":"a test key","red_team_success":false}`, `null "false positive" 0.5 "a test key" null false`},
		{`{"triage_decision":"FP","ai_confidence":0}`, `"FP" "false positive" 0 "a test key" null false`},
		{`{"ai_verdict":null,"red_team_success":null}`, `"FP" null 0 "a test key" null null`},
		{`{"red_team_success":true}`, `"TP" null 0 "a test key" null true`},
		{`{"remediation_patch":"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"}`,
			`"TP" null 0 "a test key" "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n" true`},
		{`{"triage_decision":null,"remediation_patch":null,"red_team_success":null}`, `null null 0 "a test key" null null`},
	}
	for _, step := range steps {
		var f findingAnswer
		if answer := b.call(t, "machine", "PATCH", high, step.body, &f); answer.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", step.body, answer.Code, answer.Body)
		}
		got := inJSON(f.TriageDecision, f.AIVerdict, f.AIConfidence, f.AIReasoning, f.RemediationPatch, f.RedTeamSuccess)
		if got != step.want {
			t.Errorf("after %s: %s, want %s", step.body, got, step.want)
		}
	}
	var other findingAnswer
	b.call(t, "triager", "GET", low, "", &other)
	if got := inJSON(other.TriageDecision, other.AIConfidence); got != "null null" || other.DecidedBy != nil {
		t.Errorf("the other finding changed: %s", got)
	}
}

func TestTriageRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, high, _ := reported(t, b)
	long := func(field string, n int) string { return fmt.Sprintf(`{"%s":%q}`, field, strings.Repeat("x", n)) }
	for name, c := range map[string]struct {
		role, method, path, body string
		want                     int
	}{
		"a reader patches":        {"reader", "PATCH", high, `{}`, 403},
		"nobody gives feedback":   {"", "POST", high + "/feedback", `{"user_verdict":"FP"}`, 401},
		"an unknown field":        {"machine", "PATCH", high, `{"severity":"Low"}`, 422},
		"a third decision":        {"machine", "PATCH", high, `{"triage_decision":"maybe"}`, 422},
		"a wrong type":            {"machine", "PATCH", high, `{"red_team_success":"yes"}`, 422},
		"too sure":                {"machine", "PATCH", high, `{"ai_confidence":1.5}`, 422},
		"a patch that is prose":   {"machine", "PATCH", high, `{"remediation_patch":"use a vault"}`, 422},
		"a patch of 300 kB":       {"machine", "PATCH", high, long("remediation_patch", 300_000), 422},
		"a body of 3 MB":          {"machine", "PATCH", high, long("remediation_patch", 3_000_000), 413},
		"a NUL":                   {"machine", "PATCH", high, `{"ai_reasoning":"a\u0000b"}`, 422},
		"not JSON":                {"machine", "PATCH", high, `{`, 400},
		"no such finding":         {"machine", "PATCH", "/api/v1/findings/4711", `{"ai_confidence":1}`, 404},
		"no such id":              {"triager", "GET", "/api/v1/findings/abc", "", 422},
		"an id beyond all":        {"triager", "GET", "/api/v1/findings/99999999999999999999", "", 422},
		"feedback without word":   {"triager", "POST", high + "/feedback", `{"comments":"hm"}`, 422},
		"feedback that says null": {"triager", "POST", high + "/feedback", `{"user_verdict":null}`, 422},
		"a long comment": {
			"triager", "POST", high + "/feedback", `{"user_verdict":"FP",` + long("comments", 11_000)[1:], 422,
		},
		"history of nothing": {"triager", "GET", "/api/v1/findings/4711/history", "", 404},
	} {
		answer := b.call(t, c.role, c.method, c.path, c.body, nil)
		if answer.Code != c.want || detail(t, answer) == "" {
			t.Errorf("%s: %d %s, want %d", name, answer.Code, answer.Body, c.want)
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, high, _ := reported(t, b)
	b.call(t, "machine", "PATCH", high, `{"triage_decision":"FP","ai_verdict":"FP"}`, nil)
	b.call(t, "machine", "PATCH", high, `{"red_team_success":true}`, nil)
	b.call(t, "admin", "POST", high+"/feedback", `{"user_verdict":"TP","comments":"it is real"}`, nil)
	want := []string{
		`ai ci {"ai_verdict":"FP","triage_decision":"FP"} FP `,
		`scanner ci {"red_team_success":true} TP `,
		`person root {"user_verdict":"TP"} TP it is real`,
	}
	var got []string
	for path := high + "/history?limit=2"; ; {
		var page results
		b.call(t, "triager", "GET", path, "", &page)
		for _, e := range page.Items {
			changes, _ := json.Marshal(e["changes"])
			line := fmt.Sprint(e["source"], " ", e["author"], " ", string(changes), " ", e["triage_decision"], " ", e["comment"])
			got = append(got, line)
		}
		if page.Next == "" {
			break
		}
		path = high + "/history?cursor=" + page.Next
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// A reason dismisses what is real. The finding, its alert, the history and the lists name it.
func TestReasonsOfADismissal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scan, high, low := reported(t, b)
	end := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	for name, body := range map[string]string{
		"FP that is real":   `{"user_verdict":"FP","reason":"wont_fix"}`,
		"a strange reason":  `{"user_verdict":"TP","reason":"boredom"}`,
		"a risk for ever":   `{"user_verdict":"TP","reason":"accepted_risk"}`,
		"an end that was":   `{"user_verdict":"TP","reason":"accepted_risk","expires_at":"2020-01-01T00:00:00Z"}`,
		"an end of nothing": fmt.Sprintf(`{"user_verdict":"TP","expires_at":%q}`, end.Format(time.RFC3339)),
	} {
		if answer := b.call(t, "triager", "POST", high+"/feedback", body, nil); answer.Code != http.StatusUnprocessableEntity || detail(t, answer) == "" {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
	if answer := b.call(t, "machine", "PATCH", high, `{"reason":"wont_fix","ai_verdict":"fine"}`, nil); answer.Code != http.StatusUnprocessableEntity {
		t.Errorf("an AI that says more than it may: %d %s", answer.Code, answer.Body)
	}
	var got struct {
		findingAnswer
		Reason string `json:"reason"`
		By     struct {
			Reason    string    `json:"reason"`
			ExpiresAt time.Time `json:"expires_at"`
		} `json:"decided_by"`
	}
	body := fmt.Sprintf(`{"user_verdict":"TP","reason":"accepted_risk","expires_at":%q,"comments":"until the rewrite"}`, end.Format(time.RFC3339))
	answer := b.call(t, "triager", "POST", high+"/feedback", body, &got)
	if answer.Code != http.StatusCreated || *got.TriageDecision != "TP" || *got.Verdict != "pass" || got.Summary != "1 new (1 low), 1 dismissed" ||
		got.Reason != "accepted_risk" || got.By.Reason != "accepted_risk" || !got.By.ExpiresAt.Equal(end) {
		t.Errorf("accepted: %d %s", answer.Code, answer.Body)
	}
	if answer := b.call(t, "machine", "PATCH", low, `{"reason":"used_in_tests"}`, &got); answer.Code != http.StatusOK || got.Reason != "used_in_tests" {
		t.Errorf("a scanner's reason: %d %s", answer.Code, answer.Body)
	}
	history := b.call(t, "triager", "GET", high+"/history", "", nil).Body.String()
	for _, part := range []string{`"reason":"accepted_risk"`, `"user_verdict":"TP"`, end.Format(time.RFC3339)} {
		if !strings.Contains(history, part) {
			t.Errorf("the history lacks %s: %s", part, history)
		}
	}
	for path, want := range map[string]string{
		"/api/v1/alerts?reason=accepted_risk&state=all":  `"rule_id"`,
		"/api/v1/alert-facets?state=dismissed":           `"reason":[{"name":"accepted_risk","n":1,"more":false},{"name":"used_in_tests","n":1,"more":false}]`,
		scan + "/sarif":                                  `Dismissed in Scanhook: accepted risk.`,
		scan + "/csv":                                    `Dismissed in Scanhook: used in tests.`,
		"/api/v1/alerts?reason=wont_fix&state=dismissed": `"items":[]`,
	} {
		if answer := b.call(t, "triager", "GET", path, "", nil).Body.String(); !strings.Contains(answer, want) {
			t.Errorf("%s lacks %s: %s", path, want, answer)
		}
	}
	sast := b.call(t, "triager", "GET", scan+"/gl-sast", "", nil).Body.String()
	if !strings.Contains(sast, `"vulnerabilities":[]`) {
		t.Errorf("what is dismissed counts in GitLab: %s", sast)
	}
}

// What is Critical is dismissed with a comment only, by whichever operation.
func TestCriticalFindingsAreDismissedWithComments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ref := b.push(t, 1)
	b.call(t, "uploader", "PUT", "/api/v1/scans/"+ref+"/results/trivy", strings.Replace(report, "high", "critical", 1), nil)
	var list, critical results
	b.call(t, "triager", "GET", "/api/v1/scans/"+ref+"/findings?severity=Critical", "", &list)
	b.call(t, "triager", "GET", "/api/v1/alerts?severity=Critical", "", &critical)
	if len(list.Items) != 1 || len(critical.Items) != 1 {
		t.Fatalf("findings: %+v, alerts: %+v", list, critical)
	}
	finding := fmt.Sprintf("/api/v1/findings/%.0f", list.Items[0]["id"])
	for _, c := range []struct{ method, path, silent, said string }{
		{"POST", finding + "/feedback", `"user_verdict":"FP"`, `"comments":"a test key"`},
		{"POST", finding + "/feedback", `"user_verdict":"TP","reason":"wont_fix"`, `"comments":"a test key"`},
		{"PATCH", finding, `"triage_decision":"FP"`, `"comments":"a test key"`},
		{"PATCH", finding, `"triage_decision":"FP","ai_verdict":"false positive"`, `"ai_reasoning":"a test key"`},
		{"POST", "/api/v1/alert-decisions?state=all", `"user_verdict":"FP"`, `"comments":"a test key"`},
		{"POST", "/api/v1/alert-decisions?state=all", fmt.Sprintf(`"user_verdict":"FP","alerts":[%.0f]`, critical.Items[0]["id"]), `"comments":"a test key"`},
	} {
		answer := b.call(t, "admin", c.method, c.path, "{"+c.silent+"}", nil)
		if answer.Code != http.StatusUnprocessableEntity || !strings.Contains(detail(t, answer), "with a comment only") {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.silent, answer.Code, answer.Body)
		}
		if answer := b.call(t, "admin", c.method, c.path, "{"+c.silent+","+c.said+"}", nil); answer.Code >= http.StatusBadRequest {
			t.Errorf("%s %s with a comment: %d %s", c.method, c.path, answer.Code, answer.Body)
		}
	}
}

func TestDecideAlertsForAReason(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scan, _, _ := reported(t, b)
	var done decided
	answer := b.call(t, "triager", "POST", "/api/v1/alert-decisions?state=all", `{"user_verdict":"TP","reason":"wont_fix"}`, &done)
	if answer.Code != http.StatusOK || done.Done != 2 {
		t.Errorf("deciding: %d %s", answer.Code, answer.Body)
	}
	var after results
	b.call(t, "triager", "GET", scan, "", &after)
	if after.Statuses[0]["description"] != "0 new, 2 dismissed" {
		t.Errorf("afterwards: %+v", after.Statuses)
	}
}

// Where two people dismiss a finding, the first one's word waits in the list of proposals, and they cannot approve it themselves.
func TestApproval(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	ref := b.push(t, 1)
	path, proposal := b.propose(t, ref)
	var list struct {
		Items []struct {
			ID             int64
			Author, Reason string
		}
	}
	b.call(t, "reader", "GET", "/api/v1/proposals", "", &list)
	if len(list.Items) != 1 || list.Items[0].ID != proposal || list.Items[0].Author != "ci" || list.Items[0].Reason != "wont_fix" {
		t.Errorf("what waits: %+v", list)
	}
	body := fmt.Sprintf(`{"proposal":%d}`, proposal)
	for role, want := range map[string]int{"machine": 403, "reader": 403, "": 401} {
		if answer := b.call(t, role, "POST", path+"/approval", body, nil); answer.Code != want {
			t.Errorf("%s approves: %d %s", role, answer.Code, answer.Body)
		}
	}
	if answer := b.call(t, "triager", "POST", path+"/approval", fmt.Sprintf(`{"proposal":%d}`, proposal+1), nil); answer.Code != http.StatusConflict {
		t.Errorf("another one: %d %s", answer.Code, answer.Body)
	}
	if answer := b.call(t, "machine", "PATCH", path, `{"triage_decision":"FP","comments":"noise"}`, nil); answer.Code != http.StatusUnprocessableEntity ||
		!strings.Contains(detail(t, answer), "two people dismiss this finding") {
		t.Errorf("a program: %d %s", answer.Code, answer.Body)
	}
	var got findingAnswer
	if answer := b.call(t, "triager", "POST", path+"/approval", body, &got); answer.Code != http.StatusOK || got.DecidedBy == nil ||
		got.DecidedBy.Author != "ada" || got.DecidedBy.By != "ci" || got.DecidedBy.Comment != "old" || got.Proposal != nil {
		t.Errorf("approved: %d %s", answer.Code, answer.Body)
	}
	if answer := b.call(t, "admin", "DELETE", fmt.Sprintf("%s/approval?proposal=%d", path, proposal), "", nil); answer.Code != http.StatusNotFound {
		t.Errorf("refused when it is too late: %d %s", answer.Code, answer.Body)
	}
}
