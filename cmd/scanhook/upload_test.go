package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

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
		"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": headSHA, "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch",
	})
	return w, func(stdin string, args ...string) outcome {
		got := uploadWith(t, env, stdin, args...)
		got.hides(t, w.apiToken)
		return got
	}
}

// uploadWith runs the command in an environment of its own, with the exit code that run would give.
func uploadWith(t *testing.T, env lookup, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := strict(newUploadWith(&options{config: filepath.Join(t.TempDir(), "config.yaml")}, env))
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
	again.expect(t, 0, "stored 1 finding of trivy (0 new, 1 known); scan "+scan+": completed, pass: 0 new, 1 known\n")
}

func TestUploadGate(t *testing.T) {
	t.Parallel()
	_, upload := uploads(t, `
scanners: {trivy: {upload: true}, semgrep: {upload: true}}
repositories: [{match: "**", scanners: [trivy, semgrep]}]`)
	for _, step := range []struct {
		scanner, report string
		code            int
		want            string
	}{
		{"trivy", reportOf("a"), 0, "processing, waiting for semgrep"},
		{"semgrep", reportOf(), 1, "the gate is closed: 1 new (1 high)"},
		{"trivy", reportOf(), 0, "completed, pass: No findings"},
	} {
		upload(step.report, "-", "--gate", "--scanner", step.scanner).expect(t, step.code, step.want)
	}
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

func TestUploadRepeatsWhatTheServerSays(t *testing.T) {
	t.Parallel()
	w, upload := uploads(t, `
scanners: {trivy: {upload: true}, lint: {command: [lint]}, grype: {upload: true}}
repositories: [{match: "github/acme/known", scanners: [trivy]}, {match: "github/acme/*", scanners: []}]`)
	for name, test := range map[string]struct {
		stdin string
		args  []string
		code  int
		want  string
	}{
		"wrong token": {"[]", []string{"--token", "guessed-token"}, 1, "answered 401: Send a token from api.tokens"},
		"no report":   {"no report", nil, 1, "the server answered 422: "},
		"misspelt": {"[]", []string{"--scanner", "trify"}, 1,
			"answered 422: invalid: \"trify\" is no scanner whose reports this repository takes; there are: grype, trivy"},
		"not listed": {"[]", []string{"--scanner", "grype", "--project", "acme/known"}, 1,
			"answered 422: invalid: \"grype\" is no scanner whose reports this repository takes; there are: trivy"},
		"built in":       {"[]", []string{"--scanner", "gitleaks"}, 1, "answered 409: conflict: gitleaks runs here"},
		"command":        {"[]", []string{"--scanner", "lint"}, 1, "answered 409: conflict: lint runs here"},
		"other project":  {"[]", []string{"--project", "eve/shop"}, 1, "github/eve/shop matches no entry of repositories"},
		"unknown scan":   {"[]", []string{"--scan", "x"}, 1, "the server answered 404: "},
		"another server": {"[]", []string{"--server", w.platform.Base()}, 1, "not as Scanhook does"},
		"nobody listens": {"[]", []string{"--server", "http://127.0.0.1:1", "--retry-for", "0"}, 3,
			"connection refused: is that where Scanhook is reached? --server names another address"},
		"not an address": {"[]", []string{"--server", "localhost:8080"}, 2, "must be an address that starts"},
		"scanner a path": {"[]", []string{"--scanner", "a/b"}, 2, "--scanner is missing or a path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := upload(test.stdin, append([]string{"-", "--scanner", "trivy"}, test.args...)...)
			got.expect(t, test.code, test.want)
			got.hides(t, "guessed-token")
		})
	}
}

func TestUploadFindsServerAndToken(t *testing.T) {
	t.Parallel()
	w, _ := uploads(t, `
scanners: {trivy: {upload: true}}
repositories: [{match: "**", scanners: []}]`)
	file, report := w.file(t), writeFile(t, "[]")
	common := []string{"upload", report, "--scanner", "trivy", "--commit", headSHA, "--platform", "github",
		"--project", "acme/shop"}
	command(t, append(common, "--config", file, "--token", w.apiToken)...).expect(t, 0, "stored 0 findings of trivy")
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no server":       {[]string{"--config", file + ".gone", "--token", "t"}, 2, "--server or in SCANHOOK_URL"},
		"broken file":     {[]string{"--config", report, "--token", "t"}, 1, "config.yaml:1:1: "},
		"no token":        {[]string{"--config", file}, 2, "set SCANHOOK_API_TOKEN"},
		"no scanner":      {[]string{"--config", file, "--scanner", ""}, 2, "--scanner is missing"},
		"unknown flag":    {[]string{"--gates"}, 2, "unknown flag"},
		"second argument": {[]string{"more"}, 2, "use it as: scanhook upload REPORT --scanner NAME (2 arguments given)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{}, common...)
			command(t, append(args, test.args...)...).expect(t, test.code, test.want)
		})
	}
}
