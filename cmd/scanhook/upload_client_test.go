package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inFrontOf is a proxy before Scanhook that answers some requests itself: each that handle says true to.
func inFrontOf(t *testing.T, server string, handle func(n int64, w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	forward := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !handle(n.Add(1), w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// A server that asks to come again later, or breaks off after it has stored the report, gets it again, and has it once.
func TestUploadTriesAgain(t *testing.T) {
	t.Parallel()
	w, upload := uploads(t, `
scanners: {trivy: {upload: true}}
repositories: [{match: "**", scanners: [trivy]}]`)
	proxy := inFrontOf(t, w.scanhook, func(n int64, answer http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 1:
			answer.Header().Set("Retry-After", "2")
			answer.WriteHeader(http.StatusServiceUnavailable)
		case 2: // stored, but the answer is lost
			lost := httptest.NewRecorder()
			target, _ := url.Parse(w.scanhook)
			httputil.NewSingleHostReverseProxy(target).ServeHTTP(lost, r)
			if lost.Code != http.StatusOK {
				t.Errorf("the report was answered %d", lost.Code)
			}
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	})
	start := time.Now()
	got := upload(reportOf("a", "b"), "-", "--scanner", "trivy", "--server", proxy)
	got.expect(t, 0, "the server answered 503 Service Unavailable; trying again in 2", "unexpected EOF; trying again in",
		"stored 2 findings of trivy (2 new, 0 known)", "completed, fail: 2 new (2 high)\n  High      main.go:1 a")
	if strings.Contains(got.out, "trying") || time.Since(start) < 2*time.Second {
		t.Errorf("after %s, out: %s", time.Since(start), got.out)
	}
}

// A server that starts only now is waited for.
func TestUploadWaitsForAServer(t *testing.T) {
	t.Parallel()
	w, upload := uploads(t, `
scanners: {trivy: {upload: true}}
repositories: [{match: "**", scanners: []}]`)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	path := writeFile(t, reportOf("a"))
	target, _ := url.Parse(w.scanhook)
	server := &http.Server{Addr: address, Handler: httputil.NewSingleHostReverseProxy(target)}
	t.Cleanup(func() { _ = server.Close() })
	timer := time.AfterFunc(2*time.Second, func() { _ = server.ListenAndServe() })
	t.Cleanup(func() { timer.Stop() })
	upload("", path, "--scanner", "trivy", "--server", "http://"+address).expect(t, 0,
		"connection refused; trying again in", "stored 1 finding of trivy")
}

// The time is a limit for whatever the server asks for, and what is refused for good is not asked again.
func TestUploadGivesUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status     int
		retryAfter string
		tries      int64 // at least
		code       int
	}{
		"away too long":    {503, "3600", 2, 3},
		"too many":         {429, "", 2, 3},
		"in the past":      {503, "Fri, 31 Dec 1999 23:59:59 GMT", 2, 3},
		"absurd":           {503, "99999999999999", 2, 3},
		"broken for good":  {500, "", 1, 1},
		"refused for good": {422, "1", 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				tries.Add(1)
				w.Header().Set("Retry-After", test.retryAfter)
				w.WriteHeader(test.status)
				fmt.Fprint(w, `{"detail": "the sentence of the server"}`)
			}))
			t.Cleanup(server.Close)
			env := environment(map[string]string{"SCANHOOK_URL": server.URL, "SCANHOOK_API_TOKEN": "token-of-ci"})
			start := time.Now()
			got := uploadWith(t, env, "[]", "-", "--scanner", "trivy", "--scan", "x", "--retry-for", "1500ms")
			got.expect(t, test.code, "the sentence of the server")
			if n := tries.Load(); n < test.tries || test.tries == 1 && n > 1 || n > 3 || time.Since(start) > time.Minute {
				t.Errorf("%d tries in %s", n, time.Since(start))
			}
		})
	}
}

func TestUploadTellsFindings(t *testing.T) {
	t.Parallel()
	w, upload := uploads(t, `
scanners: {trivy: {upload: true}, semgrep: {upload: true}}
repositories: [{match: "**", scanners: [trivy, semgrep]}]`)
	var rules []string
	for i := range 33 {
		rules = append(rules, fmt.Sprintf("rule-%d", i))
	}
	got := upload(reportOf(rules...), "-", "--scanner", "trivy")
	got.expect(t, 0, "processing, waiting for semgrep\n", "\n  and 13 more\n"+w.scanhook+"/scans/")
	if n := strings.Count(got.out, "\n  High      main.go:"); n != 20 {
		t.Errorf("%d findings shown:\n%s", n, got.out)
	}
	got = upload(reportOf("a"), "-", "--scanner", "semgrep", "--json")
	got.expect(t, 0)
	var document struct {
		Status, URL, Verdict string
		NewFindings          []map[string]any `json:"new_findings"`
		More                 bool
		WaitingFor           []string `json:"waiting_for"`
	}
	if err := json.Unmarshal([]byte(got.out), &document); err != nil {
		t.Fatalf("%v: %s", err, got.out)
	}
	first := document.NewFindings[0]
	delete(first, "id")
	want := map[string]any{"tool": "trivy", "rule_id": "rule-0", "file": "main.go", "line": 1.0, "severity": "High", "title": ""}
	if diff := cmp.Diff(want, first); diff != "" || document.Verdict != "fail" || len(document.NewFindings) != 34 || document.More {
		t.Errorf("%s (-want +got):\n%s", got.out, diff)
	}
}
