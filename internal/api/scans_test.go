package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/store/storetest"
)

func TestFailAndRescan(t *testing.T) {
	t.Parallel()
	b := setup(t, "trivy")
	ref := b.push(t, 1)
	var got results
	b.call(t, "scanner", "POST", "/api/v1/scans/"+ref+"/fail", `{"scanner":"trivy","reason":"no database"}`, &got)
	if got.Status != "failed" {
		t.Errorf("after giving up: %+v", got)
	}
	if answer := b.call(t, "scanner", "POST", "/api/v1/scans/"+ref+"/rescan", "", &got); answer.Code != 202 || got.Scan == ref {
		t.Errorf("rescan: %d %+v", answer.Code, got)
	}
	body := fmt.Sprintf(`{"platform":"github","project":"acme/shop","commit":%q}`, storetest.SHA(1))
	var again results
	b.call(t, "scanner", "POST", "/api/v1/scans", body, &again)
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
	b.call(t, "viewer", "GET", scan, "", &got)
	if got.Verdict != "fail" || got.VerdictReason != "fail_on: high, new findings only" || got.NumDeciding != 1 ||
		len(got.Deciding) != 1 || !strings.HasSuffix(high, fmt.Sprint("/", got.Deciding[0])) {
		t.Errorf("a scan that fails: %+v", got)
	}
	b.call(t, "viewer", "POST", high+"/feedback", `{"user_verdict":"FP"}`, nil)
	b.call(t, "viewer", "GET", scan, "", &got)
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
		b.call(t, "viewer", "GET", path, "", &page)
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
	if got := b.call(t, "viewer", "GET", "/api/v1/scans?cursor=%21", "", &bad); got.Code != 422 {
		t.Errorf("a made-up cursor: %d", got.Code)
	}
	b.call(t, "viewer", "GET", "/api/v1/scans?branch=main&status=pending&commit="+storetest.SHA(2), "", &bad)
	if len(bad.Items) != 1 {
		t.Errorf("filtered: %d scans, want 1", len(bad.Items))
	}
}
