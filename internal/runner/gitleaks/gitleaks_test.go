package gitleaks

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/zricethezav/gitleaks/v8/sources"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/match"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

func TestFindSecrets(t *testing.T) {
	t.Parallel()
	got := searchIn(t, gittest.Files{
		"src/config.py": "import os\n\n  TOKEN = \"" + githubToken + "\"  # gitleaks:allow\n",
		"keys/id_rsa":   "\n" + privateKey + "\n",
		"deploy.yml":    "api_key: \"" + apiKey + "\"\n",
		".git/config":   githubToken,
		"clean.go":      "package clean\n",
	})
	want := []core.Finding{
		{RuleID: "generic-api-key", File: "deploy.yml", Line: 1, EndLine: 1, Severity: core.High,
			Snippet: `api_key: "` + secrets.Key{}.Mask(apiKey) + `"`, SecretHash: secrets.Key{}.Hash(apiKey)},
		{RuleID: "private-key", File: "keys/id_rsa", Line: 2, EndLine: 5, Severity: core.Critical, Snippet: secrets.Key{}.Mask(privateKey),
			SecretHash: secrets.Key{}.Hash(privateKey)},
		{RuleID: "github-pat", File: "src/config.py", Line: 3, EndLine: 3, Severity: core.Critical,
			Snippet: `TOKEN = "` + secrets.Key{}.Mask(githubToken) + `"  # gitleaks:allow`, SecretHash: secrets.Key{}.Hash(githubToken)},
	}
	ignored := cmpopts.IgnoreFields(core.Finding{}, "Tool", "Title", "Message", "CWE", "PartialFingerprint", "Former")
	if diff := cmp.Diff(want, got, ignored); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	for _, f := range got {
		if f.Tool != "gitleaks" || f.Title == "" || !strings.Contains(f.Message, "Revoke") || f.CWE != "CWE-798" {
			t.Errorf("want a finding that says what to do, got %+v", f)
		}
	}
}

func TestFindSecretsHidesTheNeighbours(t *testing.T) {
	t.Parallel()
	encoded := base64.StdEncoding.EncodeToString([]byte("token = " + githubToken2 + "\n"))
	first, second := "a = '"+githubToken+"'", "b = '"+githubToken2+"'"
	around := func(key string) string { return "{" + first + ", key: '" + key + "', " + second + "}\n" }
	tests := map[string]struct {
		content string
		want    int // findings at least
	}{
		"two on one line":              {first + ", " + second + "\n", 2},
		"last line without its end":    {first + "\nc = 1\n" + second, 2},
		"longer than its rule":         {"a = '" + githubToken + apiKey + "'\n", 1},
		"beside a key":                 {around(privateKey), 3},
		"beside a key with CRLF":       {around(strings.ReplaceAll(privateKey, "\n", "\r\n")), 3},
		"beside an encoded one":        {first + ", b = '" + encoded + "'\n", 1},
		"on a very long line":          {strings.Repeat("x=1;", 4000) + first + strings.Repeat(";y=2", 4000) + second, 2},
		"among bytes that are no text": {"\x00\xff" + first + "\x00\n", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := searchIn(t, gittest.Files{"file": test.content})
			if len(got) < test.want {
				t.Errorf("want %d findings, got %+v", test.want, got)
			}
			for _, f := range got {
				clean := utf8.ValidString(f.Snippet) && !strings.Contains(f.Snippet, "\x00")
				if !clean || len(f.Snippet) > maxSnippet || strings.Contains(f.Snippet, encoded) {
					t.Errorf("want a short clean snippet, got %q", f.Snippet)
				}
			}
		})
	}
}

func TestFindSecretsLooksEverywhere(t *testing.T) {
	t.Parallel()
	line := "token = '" + githubToken + "'\n"
	tests := map[string]struct {
		name, content string
		want          int
	}{
		"name of an archive in a directory's name": {"x.zip.d/a.py", line, 1},
		"name of an archive inside the name":       {"config.gz.py", line, 1},
		"space and umlaut":                         {"ä b.py", line, 1},
		"name that is not UTF-8":                   {"\xe4.py", line, 1},
		"packages of others":                       {"node_modules/a/b.js", line, 0},
		"too large":                                {"dump.sql", line + strings.Repeat("insert\n", maxFile/7), 0},
		"far down":                                 {"long.txt", strings.Repeat("line\n", 100_000) + line, 1},
		"certificate store by its name":            {"keys/store.p12", "\x30\x82\x01", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := searchIn(t, gittest.Files{test.name: test.content})
			if len(got) != test.want {
				t.Fatalf("want %d findings, got %+v", test.want, got)
			}
			if name == "far down" && got[0].Line != 100_001 {
				t.Errorf("want line 100001, got %d", got[0].Line)
			}
		})
	}
}

func TestFindSecretsDoesNotFollowLinks(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	gittest.Write(t, outside, gittest.Files{"secret": "token = '" + githubToken + "'\n"})
	for name, target := range map[string]string{"file": filepath.Join(outside, "secret"), "dir": outside} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	report, err := Search(t.Context(), dir)
	if err != nil || len(report.Findings) > 0 {
		t.Errorf("want nothing, got %+v, %v", report, err)
	}
}

func TestFindSecretsStops(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	gittest.Write(t, dir, gittest.Files{"a": strings.Repeat("token = '"+githubToken+"'\n", 1000)})
	why := errors.New("time is up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := Search(ctx, dir); !errors.Is(err, why) {
		t.Errorf("want %v, got %v", why, err)
	}
}

func TestSecretsKeepTheirFingerprints(t *testing.T) {
	t.Parallel()
	fingerprints := func(content string) []string {
		findings := searchIn(t, gittest.Files{"a.py": content})
		match.Compare(findings, match.Previous{})
		var all []string
		for _, f := range findings {
			all = append(all, f.Fingerprint)
		}
		return all
	}
	first := "TOKEN = '" + githubToken + "'\n"
	second := "TOKEN = '" + githubToken2 + "'\n"
	before := fingerprints(first)
	tests := map[string]struct {
		content string
		want    int // findings
		known   int // of them the first one
	}{
		"moved and indented":       {"import os\n\n\t" + first, 1, 1},
		"another one above it":     {second + first, 2, 1},
		"the same one twice":       {first + first, 2, 1},
		"another one in its place": {second, 1, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after := fingerprints(test.content)
			known := 0
			for _, fingerprint := range after {
				if fingerprint == before[0] {
					known++
				}
			}
			if len(after) != test.want || known != test.known {
				t.Errorf("want %d findings and %d known, got %d and %d", test.want, test.known, len(after), known)
			}
		})
	}
}

func TestSeverityOfRule(t *testing.T) {
	t.Parallel()
	detector, err := reports.SecretRules()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]core.Severity{
		"private-key": core.Critical, "aws-access-token": core.Critical, "gitlab-pat": core.Critical,
		"generic-api-key": core.High, "gcp-api-key": core.High, "slack-webhook-url": core.High,
	}
	for rule, severity := range want {
		if _, known := detector.Config.Rules[rule]; !known {
			t.Errorf("%s is no rule", rule)
		}
		if got := severityOfRule(rule); got != severity {
			t.Errorf("%s: want %s, got %s", rule, severity, got)
		}
	}
	for _, begin := range criticalRules {
		known := false
		for rule := range detector.Config.Rules {
			known = known || strings.HasPrefix(rule, begin)
		}
		if !known {
			t.Errorf("no rule begins with %s", begin)
		}
	}
}

func TestPanicOfTheLibrary(t *testing.T) {
	t.Parallel()
	rules := rulesOf(t)
	dir := t.TempDir()
	gittest.Write(t, dir, gittest.Files{"a": "b"})
	defer func() {
		if cause, ok := recover().(panicked); !ok || !strings.Contains(cause.Error(), "searching a") {
			t.Errorf("want the panic on our goroutine, got %v", cause)
		}
	}()
	withoutRoot := &search{rules: rules}
	_ = withoutRoot.run(t.Context(), dir)
	t.Error("want a panic")
}

// Whatever surrounds a secret, it is found or not, but never shown.
func FuzzSecretsAreMasked(f *testing.F) {
	f.Add("a = '", "'\n", "b: ")
	f.Add("\n\n\t\"", "\"", "key: '"+privateKey+"'")
	f.Add(strings.Repeat("x", 5000), "\r\n", "\x00\xff")
	f.Add("", "=", "curl -u user:")
	rules := rulesOf(f)
	f.Fuzz(func(t *testing.T, before, between, after string) {
		text := before + githubToken + between + githubToken2 + after + githubToken + between
		leaks := rules.detect(t.Context(), sources.Fragment{Raw: text, FilePath: "a", StartLine: 1})
		for _, finding := range toFindings(leaks, nil, rules.key) {
			if strings.Contains(finding.Snippet, githubToken) || strings.Contains(finding.Snippet, githubToken2) {
				t.Errorf("a secret is shown: %q", finding.Snippet)
			}
			if len(finding.Snippet) > maxSnippet {
				t.Errorf("want at most %d bytes, got %d", maxSnippet, len(finding.Snippet))
			}
		}
	})
}
