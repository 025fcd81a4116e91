package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/cmd/scanhook/remote"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

const (
	headSHA = "1111111111111111111111111111111111111111"
	flagSHA = "3333333333333333333333333333333333333333"
)

func environment(variables map[string]string) remote.Env {
	return func(name string) (string, bool) {
		value, set := variables[name]
		return value, set
	}
}

// reportOf is a report with findings of different rules, all High, in Scanhook's own format.
func reportOf(rules ...string) string {
	findings := make([]string, len(rules))
	for i, rule := range rules {
		findings[i] = fmt.Sprintf(`{"rule_id": %q, "file": "main.go", "line": %d, "severity": "High"}`, rule, i+1)
	}
	return `{"tool": "trivy", "findings": [` + strings.Join(findings, ",") + `]}`
}

// uploads is a sandbox in which nothing but uploads is waited for, and an upload to it.
func uploads(t *testing.T, extra string) (*sandbox, func(stdin string, args ...string) outcome) {
	t.Helper()
	w, _ := setup(t, sandboxConfig{kind: "github", extra: extra})
	startSandbox(t, w)
	env := environment(map[string]string{
		"SCANHOOK_URL": w.scanhook + "/", "SCANHOOK_API_TOKEN": w.apiToken + "\n",
		"GITHUB_REPOSITORY": "acme/shop", "GITHUB_REPOSITORY_ID": "42", "GITHUB_SHA": headSHA, "GITHUB_REF_NAME": "main",
		"GITHUB_REF_TYPE": "branch",
	})
	return w, func(stdin string, args ...string) outcome {
		got := uploadWith(t, env, stdin, args...)
		got.hides(t, w.apiToken)
		return got
	}
}

// uploadWith runs the command in an environment of its own, with the exit code that run would give.
func uploadWith(t *testing.T, env remote.Env, stdin string, args ...string) outcome {
	t.Helper()
	return commandWith(t, newUploadWith, env, stdin, args...)
}

func commandWith(t *testing.T, make func(*cli.Options, remote.Env) *cobra.Command, env remote.Env, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := cli.Strict(make(&cli.Options{Config: filepath.Join(t.TempDir(), "config.yaml")}, env))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	err := cmd.ExecuteContext(t.Context())
	if err != nil {
		fmt.Fprintln(&errs, err)
	}
	return outcome{exitCode(err), out.String(), errs.String()}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	w, upload := uploads(t, `
scanners: {trivy: {upload: true}}
repositories: [{match: "**", scanners: [trivy]}]`)
	upload(reportOf("a"), "-", "--scanner", "trivy").expect(t, 0,
		"stored 1 finding of trivy (1 new, 0 known); scan ", ": completed, fail: 1 new (1 high)\n  High      main.go:1 a")
	got := upload(reportOf("a", "b"), "-", "--scanner", "trivy", "--commit", flagSHA)
	got.expect(t, 0, "stored 2 findings of trivy (1 new, 1 known); scan ", ": completed, fail: 1 new (1 high), 1 known\n")

	scan := regexp.MustCompile(`scan (\S+):`).FindStringSubmatch(got.out)[1]
	again := upload(reportOf("a"), "-", "--scanner", "trivy", "--scan", w.scanhook+"/scans/"+scan)
	again.expect(t, 0, "stored 1 finding of trivy (0 new, 1 known); scan "+scan+": completed, pass: 0 new, 1 known, report replaced\n")
}

func TestUploadTakesFiles(t *testing.T) {
	t.Parallel()
	_, upload := uploads(t, `
scanners: {trivy: {upload: true}}
repositories: [{match: "**", scanners: []}]`)
	var zipped bytes.Buffer
	zipper := gzip.NewWriter(&zipped)
	if _, err := zipper.Write([]byte(reportOf("a", "b", "c"))); err != nil {
		t.Fatal(err)
	}
	if err := zipper.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"plain": reportOf("a", "b", "c"), "gzip": zipped.String()} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		upload("", path, "--scanner", "trivy").expect(t, 0, "stored 3 findings of trivy (3 new, 0 known)")
	}
	upload("", t.TempDir(), "--scanner", "trivy").expect(t, 1, "is a directory")
	upload("", "gone.sarif", "--scanner", "trivy").expect(t, 1, "reading the report: open gone.sarif")
}

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
		"endless answer": {http.StatusOK, "", `{"scan": "` + strings.Repeat("x", 8<<20+1), 1, "the answer is not Scanhook's"},
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

// Outside CI the commit is HEAD of the working directory, which only a process of its own can have elsewhere.
func TestUploadAsksGitForTheCommit(t *testing.T) {
	t.Parallel()
	sample, err := gitrepo.Sample(t.Context(), filepath.Join(t.TempDir(), "sample"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ dir, path, want string }{
		"repository":    {sample.Dir, os.Getenv("PATH"), "commit=" + sample.Head},
		"no repository": {t.TempDir(), os.Getenv("PATH"), "the commit is not known: run this inside the git repository"},
		"no git":        {sample.Dir, t.TempDir(), "git is not installed to ask"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "upload", writeFile(t, "[]"), "--scanner", "trivy",
				"--server", "http://127.0.0.1:1", "--retry-for", "0", "--token", "t", "--platform", "github", "--project", "acme/shop")
			cmd.Dir = test.dir
			cmd.Env = []string{"PATH=" + test.path, beMain + "=1"}
			if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), test.want) {
				t.Errorf("output: %s, want %q", out, test.want)
			}
		})
	}
}
