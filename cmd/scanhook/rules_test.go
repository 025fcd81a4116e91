package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/scanhook/scanhook/internal/config"
)

// A repository has the scanner's rules and its own, and those of the defaults unless it sets the key itself.
func TestRulesOfRepositories(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "own.toml")
	if err := os.WriteFile(file, []byte("[[rules]]\nid = \"acme\"\nregex = '''acme-[0-9]{8}'''\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("c.yaml", []byte(`
scanners:
  gitleaks: {builtin: gitleaks, allow: {paths: [^docs/]}}
  second: {builtin: gitleaks, archives: true}
defaults:
  gitleaks: {rules: `+file+`, allow: {paths: [^testdata/]}}
repositories:
  - match: github/acme/plain
  - match: github/acme/*
    archives: true
    gitleaks: {rules: "", allow: {paths: [^vendored/]}}
`), nil, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	policies, err := policiesOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	scanners, err := rulesOf(cfg, policies)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]bool{}
	for _, test := range []struct {
		scanner, project                string
		docs, testdata, vendored, finds bool
	}{
		{"gitleaks", "acme/plain", true, true, false, true},
		{"gitleaks", "ACME/other", true, false, true, false},
		{"gitleaks", "unknown/project", true, false, false, false},
		{"second", "acme/plain", false, true, false, true},
	} {
		rules := scanners[test.scanner].of("github", test.project)
		for path, want := range map[string]bool{"docs/a": test.docs, "testdata/a": test.testdata, "vendored/a": test.vendored} {
			if rules.Allowed(path) != want {
				t.Errorf("%s of %s: want %s allowed: %v", test.scanner, test.project, path, want)
			}
		}
		contents, err := rules.Search(t.Context(), "a", []byte("token acme-12345678\n"))
		if err != nil || len(contents.Findings) > 0 != test.finds {
			t.Errorf("%s of %s: want a finding: %v, got %+v, %v", test.scanner, test.project, test.finds, contents, err)
		}
		versions[rules.Version()] = true
	}
	if len(versions) != 4 {
		t.Errorf("want a version for each, got %v", versions)
	}
}
