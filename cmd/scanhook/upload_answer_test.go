package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What answers in Scanhook's place, or before it, gets a sentence, too.
func TestUploadUnderstandsStrangers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		header string // Location
		body   string
		code   int
		want   string
	}{
		"redirect":     {http.StatusMovedPermanently, "https://scan.example.com/x", "", 1, "redirects to https://scan"},
		"proxy's page": {http.StatusBadGateway, "", "<html>", 3, "answered 502 Bad Gateway, and not as Scanhook does"},
		"some page":    {http.StatusOK, "", "<html>", 1, "the answer is not Scanhook's"},
		"some JSON":    {http.StatusOK, "", "{}", 1, "the answer is not Scanhook's"},
		"list of reasons": {422, "", `{"detail": "no", "errors": [{"message": "too long", "location": "query.branch"}]}`, 1,
			"422: no; too long query.branch"},
		"escape codes":   {422, "", `{"detail": "red \u001b[31m::error::"}`, 1, "422: red [31m::error::"},
		"endless answer": {http.StatusOK, "", `{"scan": "` + strings.Repeat("x", maxAnswer), 1, "the answer is not Scanhook's"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", test.header)
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			env := environment(map[string]string{"SCANHOOK_URL": server.URL, "SCANHOOK_API_TOKEN": "token-of-ci"})
			got := uploadWith(t, env, "[]", "-", "--scanner", "trivy", "--scan", "x", "--retry-for", "0")
			got.expect(t, test.code, test.want)
			got.hides(t, "token-of-ci")
		})
	}
}

// A refusal is heard though the report would be larger than anybody waits for.
func TestUploadHearsRefusalBeforeSending(t *testing.T) {
	t.Parallel()
	w, upload := uploads(t, `
scanners: {trivy: {upload: true}}
repositories: [{match: "**", scanners: []}]`)
	got := upload(strings.Repeat("x", 64<<20), "-", "--scanner", "trivy", "--token", "another")
	got.expect(t, 1, "the server answered 401")
	got.hides(t, w.apiToken)
}

func TestDescribeAnswer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer uploadAnswer
		want   string
		closed bool
	}{
		"passed": {uploadAnswer{Scan: "r", Status: "completed", Verdict: "pass", Summary: "No findings"},
			"stored 0 findings of trivy (0 new, 0 known); scan r: completed, pass: No findings", false},
		"failed gate": {uploadAnswer{Scan: "r", Status: "completed", Verdict: "fail", Summary: "3 new (3 high)", Stored: 12,
			New: 3, Unchanged: 9},
			"stored 12 findings of trivy (3 new, 9 known); scan r: completed, fail: 3 new (3 high)", true},
		"left out": {uploadAnswer{Scan: "r", Status: "completed", Verdict: "pass", Summary: "1 known", Stored: 1,
			Unchanged: 1, Skipped: 1}, "stored 1 finding of trivy (0 new, 1 known), left out 1 result without a problem; " +
			"scan r: completed, pass: 1 known", false},
		"waiting": {uploadAnswer{Scan: "r", Status: "processing", WaitingFor: []string{"a", "b"}},
			"stored 0 findings of trivy (0 new, 0 known); scan r: processing, waiting for a, b", false},
		"failed scan": {uploadAnswer{Scan: "r", Status: "failed", Error: "a: timed out"},
			"stored 0 findings of trivy (0 new, 0 known); scan r: failed: a: timed out", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := test.answer.describe("trivy"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if err := test.answer.judge(); (err != nil) != test.closed {
				t.Errorf("judge() = %v, want an error: %t", err, test.closed)
			}
		})
	}
}
