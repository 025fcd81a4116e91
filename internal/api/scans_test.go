package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestFailAndRescan(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	ref := b.push(t, 1)
	var got results
	b.call(t, "uploader", "POST", "/api/v1/scans/"+ref+"/fail", `{"scanner":"trivy","reason":"no database"}`, &got)
	if got.Status != "failed" {
		t.Errorf("after giving up: %+v", got)
	}
	if answer := b.call(t, "uploader", "POST", "/api/v1/scans/"+ref+"/rescan", "", &got); answer.Code != 202 || got.Scan == ref {
		t.Errorf("rescan: %d %+v", answer.Code, got)
	}
	body := fmt.Sprintf(`{"platform":"github","project":"acme/shop","commit":%q}`, storetest.SHA(1))
	var again results
	b.call(t, "uploader", "POST", "/api/v1/scans", body, &again)
	if again.Scan != got.Scan {
		t.Errorf("asking for a scanned commit: %s, want the latest attempt %s", again.Scan, got.Scan)
	}
}

func TestScanNamesWhatDecidedItsVerdict(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scan, high, _ := reported(t, b)
	var got struct {
		Verdict, Reason string
		VerdictReason   string `json:"verdict_reason"`
		Deciding        []int64
		NumDeciding     int `json:"num_deciding"`
	}
	b.call(t, "triager", "GET", scan, "", &got)
	if got.Verdict != "fail" || got.VerdictReason != "fail_on: high, new findings only" || got.NumDeciding != 1 ||
		len(got.Deciding) != 1 || !strings.HasSuffix(high, fmt.Sprint("/", got.Deciding[0])) {
		t.Errorf("a scan that fails: %+v", got)
	}
	b.call(t, "triager", "POST", high+"/feedback", `{"user_verdict":"FP"}`, nil)
	b.call(t, "triager", "GET", scan, "", &got)
	if got.Verdict != "pass" || got.VerdictReason == "" || got.NumDeciding != 0 || len(got.Deciding) != 0 {
		t.Errorf("a scan that passes: %+v", got)
	}
}

func TestListsPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for n := range 5 {
		b.push(t, n)
	}
	var seen []string
	for path := "/api/v1/scans?limit=2"; path != ""; {
		var page results
		b.call(t, "triager", "GET", path, "", &page)
		for _, item := range page.Items {
			seen = append(seen, item["commit_sha"].(string))
		}
		path = ""
		if page.Next != "" {
			path = "/api/v1/scans?limit=2&cursor=" + page.Next
		}
	}
	if len(seen) != 5 || seen[0] != storetest.SHA(4) || seen[4] != storetest.SHA(0) {
		t.Errorf("scans listed: %v", seen)
	}
	var bad results
	if got := b.call(t, "triager", "GET", "/api/v1/scans?cursor=%21", "", &bad); got.Code != 422 {
		t.Errorf("a made-up cursor: %d", got.Code)
	}
	b.call(t, "triager", "GET", "/api/v1/scans?branch=main&status=pending&commit="+storetest.SHA(2), "", &bad)
	if len(bad.Items) != 1 {
		t.Errorf("filtered: %d scans, want 1", len(bad.Items))
	}
}

func TestScanTellsItsCoverage(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	ref := b.push(t, 1)
	var scan struct {
		Coverage any `json:"coverage"`
		Jobs     []struct {
			Coverage any `json:"coverage"`
		} `json:"jobs"`
	}
	b.call(t, "triager", http.MethodGet, "/api/v1/scans/"+ref, "", &scan)
	if scan.Coverage != nil {
		t.Errorf("before a report: %v", scan.Coverage)
	}
	searched := &core.Coverage{Searched: 12}
	searched.LeaveOut(core.LeftSize, 2, "big.sql")
	searched.LeaveOut(core.LeftHistory, 7)
	report := core.Report{Coverage: searched, Findings: []core.Finding{
		{RuleID: "key", File: "a.env", Line: 1, Severity: core.High, Commit: storetest.SHA(7)},
	}}
	if _, err := b.store.PutReport(t.Context(), ref, "trivy", report); err != nil {
		t.Fatal(err)
	}
	b.call(t, "triager", http.MethodGet, "/api/v1/scans/"+ref, "", &scan)
	want := map[string]any{"searched": 12.0, "left": []any{
		map[string]any{"reason": "history", "count": 7.0, "names": []any{}},
		map[string]any{"reason": "size", "count": 2.0, "names": []any{"big.sql"}},
	}}
	for of, got := range map[string]any{"scan": scan.Coverage, "job": scan.Jobs[len(scan.Jobs)-1].Coverage} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("coverage of the %s (-want +got):\n%s", of, diff)
		}
	}
	var findings struct {
		Items []struct {
			Commit string `json:"commit_sha"`
		} `json:"items"`
	}
	b.call(t, "triager", http.MethodGet, "/api/v1/scans/"+ref+"/findings", "", &findings)
	if len(findings.Items) != 1 || findings.Items[0].Commit != storetest.SHA(7) {
		t.Errorf("findings: %+v", findings)
	}
}

func TestOverride(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scan, _, _ := reported(t, b)
	for name, c := range map[string]struct {
		role, body string
		want       int
	}{
		"a triager": {"triager", `{"reason":"fine"}`, http.StatusForbidden}, "a scanner": {"machine", `{"reason":"fine"}`, http.StatusForbidden},
		"no reason": {"admin", `{}`, http.StatusUnprocessableEntity}, "an empty one": {"admin", `{"reason":"  "}`, http.StatusUnprocessableEntity},
	} {
		if answer := b.call(t, c.role, "POST", scan+"/override", c.body, nil); answer.Code != c.want {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
	var got struct {
		results
		Override *struct{ By, Reason string } `json:"override"`
	}
	answer := b.call(t, "admin", "POST", scan+"/override", `{"reason":"the fix comes tomorrow"}`, &got)
	if answer.Code != http.StatusOK || got.Override == nil || got.Override.Reason != "the fix comes tomorrow" || *got.Verdict != "fail" ||
		got.Statuses[0]["state"] != "success" || got.Statuses[0]["description"] != "Overridden by "+got.Override.By+": the fix comes tomorrow. "+got.Summary {
		t.Errorf("overridden: %d %s", answer.Code, answer.Body)
	}
	if answer := b.call(t, "admin", "POST", scan+"/override", `{"reason":"again"}`, nil); answer.Code != http.StatusConflict {
		t.Errorf("a second time: %d %s", answer.Code, answer.Body)
	}
	answer = b.call(t, "admin", "DELETE", scan+"/override", "", &got)
	if answer.Code != http.StatusOK || got.Statuses[0]["state"] != "failure" {
		t.Errorf("taken back: %d %s", answer.Code, answer.Body)
	}
}
