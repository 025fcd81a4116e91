package runner

import (
	"strings"
	"testing"

	"github.com/zricethezav/gitleaks/v8/sources"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

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
	for _, begin := range graveRules {
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
	detector, err := reports.SecretRules()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, files{"a": "b"})
	defer func() {
		if cause, ok := recover().(panicked); !ok || !strings.Contains(cause.Error(), "searching a") {
			t.Errorf("want the panic on our goroutine, got %v", cause)
		}
	}()
	withoutRoot := &secretSearch{detector: detector}
	_ = withoutRoot.run(t.Context(), dir)
	t.Error("want a panic")
}

// Whatever surrounds a secret, it is found or not, but never shown.
func FuzzSecretsAreMasked(f *testing.F) {
	f.Add("a = '", "'\n", "b: ")
	f.Add("\n\n\t\"", "\"", "key: '"+privateKey+"'")
	f.Add(strings.Repeat("x", 5000), "\r\n", "\x00\xff")
	f.Add("", "=", "curl -u user:")
	detector, err := reports.SecretRules()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, before, between, after string) {
		text := before + githubToken + between + githubToken2 + after + githubToken + between
		search := &secretSearch{detector: detector}
		leaks := search.detect(t.Context(), sources.Fragment{Raw: text, FilePath: "a", StartLine: 1})
		for _, finding := range toFindings(leaks) {
			if strings.Contains(finding.Snippet, githubToken) || strings.Contains(finding.Snippet, githubToken2) {
				t.Errorf("a secret is shown: %q", finding.Snippet)
			}
			if len(finding.Snippet) > maxSnippet {
				t.Errorf("want at most %d bytes, got %d", maxSnippet, len(finding.Snippet))
			}
		}
	})
}
