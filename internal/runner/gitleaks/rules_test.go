package gitleaks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/rules"
)

// ownSecret is of a kind that no built-in rule knows, and no word that looks like a token.
const ownSecret = "acme-correct-horse-battery"

// ownRules are an administrator's.
var ownRules = rules.Extension{
	Name: "own.toml",
	File: []byte(`
[[rules]]
id = "acme-password"
regex = '''\bacme-([a-z]+-[a-z]+-[a-z]+)\b'''
keywords = ["acme-"]
[[rules.allowlists]]
paths = ['''^examples/''']
`),
	Allow: rules.Allow{Paths: []string{"^testdata/"}, Regexes: []string{"^ghp_zY9x.*8$"}, Rules: []string{"private-key"}},
}

func extended(t *testing.T, by rules.Extension) *Rules {
	t.Helper()
	result, err := rulesOf(t).Extend(by)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestExtendedRules(t *testing.T) {
	t.Parallel()
	own := extended(t, ownRules)
	allowed := extended(t, rules.Extension{Allow: rules.Allow{Regexes: []string{"^ghp_z"}}})
	for name, test := range map[string]struct {
		rules      *Rules
		path, text string
		want       []string // rules that find something
	}{
		"own rule":          {own, "a.txt", "login " + ownSecret + "\n", []string{"acme-password"}},
		"allowed for it":    {own, "examples/a.txt", "login " + ownSecret + "\n", nil},
		"built-in rule":     {own, "a.py", "t = '" + githubToken + "'\n", []string{"github-pat"}},
		"rule not used":     {own, "a.pem", privateKey + "\n", nil},
		"allowed secret":    {allowed, "a.py", "t = '" + githubToken2 + "'\n", nil},
		"another secret":    {allowed, "a.py", "t = '" + githubToken + "'\n", []string{"github-pat"}},
		"allowed beside it": {allowed, "a.py", "t = '" + githubToken + "', '" + githubToken2 + "'\n", []string{"github-pat"}},
	} {
		contents, err := test.rules.Search(t.Context(), test.path, []byte(test.text))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range contents.Findings {
			got = append(got, f.RuleID)
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: want %v, got %v", name, test.want, got)
		}
		wantNoSecret(t, fmt.Sprintf("%+v", contents))
	}
	if !own.Allowed("testdata/a.py") || !own.Allowed("logo.png") || own.Allowed("src/testdata/a.py") {
		t.Error("want files left out by the built-in lists and the administrator's")
	}
}

// Each extension has a version and classes of its own.
func TestVersionsOfExtendedRules(t *testing.T) {
	t.Parallel()
	builtin := rulesOf(t)
	list := func(more string) rules.Extension {
		return rules.Extension{File: []byte("[[rules]]\nid = \"own\"\nregex = \"acme[0-9]+\"\n" + more)}
	}
	versions := map[string]string{builtin.Version(): "built in"}
	for name, by := range map[string]rules.Extension{
		"own": ownRules, "path": {Allow: rules.Allow{Paths: []string{"a"}}}, "regex": {Allow: rules.Allow{Regexes: []string{"a"}}},
		"without": {Allow: rules.Allow{Rules: []string{"jwt"}}}, "rule": list(""), "entropy": list("entropy = 1\n"),
		"text": list("description = \"b\"\n"), "required": list("[[rules.required]]\nid = \"jwt\"\n"),
		"near":     list("[[rules.required]]\nid = \"jwt\"\nwithinLines = 2\n"),
		"skipped":  list("skipReport = true\n"),
		"both":     list("[[allowlists]]\ncondition = \"AND\"\npaths = [\"a\"]\nstopwords = [\"b\"]\n"),
		"either":   list("[[allowlists]]\npaths = [\"a\"]\nstopwords = [\"b\"]\n"),
		"targeted": list("[[allowlists]]\ntargetRules = [\"own\"]\npaths = [\"a\"]\nstopwords = [\"b\"]\n"),
	} {
		version := extended(t, by).Version()
		if other, taken := versions[version]; taken || version != extended(t, by).Version() {
			t.Errorf("%s: want a version of its own and always the same, got that of %q", name, other)
		}
		versions[version] = name
	}
	if opening := builtin.WithArchives().Version(); versions[opening] != "" {
		t.Error("want another version where archives are opened")
	}
	both := extended(t, list("[[allowlists]]\ncondition = \"AND\"\npaths = [\"^docs/\"]\nregexes = [\"9$\"]\n"))
	if both.Allowed("docs/a") || both.ClassOf("docs/a") == both.ClassOf("a") {
		t.Error("want the contents of a file searched whose path is not enough to allow it")
	}
}

func TestTooManyConditions(t *testing.T) {
	t.Parallel()
	builtin := rulesOf(t)
	var text, equal strings.Builder
	for i := range maxConditions {
		fmt.Fprintf(&text, "[[rules]]\nid = \"r%d\"\nregex = \"a\"\npath = \"^p%d\"\n", i, i)
		fmt.Fprintf(&equal, "[[rules]]\nid = \"r%d\"\nregex = \"a\"\npath = \"^p\"\n", i)
	}
	if _, err := builtin.Extend(rules.Extension{File: []byte(text.String())}); err == nil || !strings.Contains(err.Error(), "conditions on paths") {
		t.Errorf("want too many conditions refused, got %v", err)
	}
	if _, err := builtin.Extend(rules.Extension{File: []byte(equal.String())}); err != nil {
		t.Errorf("equal conditions are one: %v", err)
	}
}

// What the administrator allows is no finding, but it is not shown either. Not parallel: the process masks by other rules.
func TestAllowedSecretsAreMasked(t *testing.T) {
	own := extended(t, ownRules)
	if err := MaskBy(own); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = MaskBy() }()
	line := "t = '" + githubToken + "', '" + githubToken2 + "', " + ownSecret + "\n"
	hasSecret := func(text string) bool {
		return strings.Contains(text, "horse") || strings.Contains(text, githubToken2[4:]) || strings.Contains(text, githubToken[4:])
	}
	contents, err := own.Search(t.Context(), "examples/a.py", []byte(line))
	if err != nil || len(contents.Findings) != 1 || hasSecret(contents.Findings[0].Snippet) {
		t.Errorf("want a finding whose code shows no secret, got %+v, %v", contents, err)
	}
	if said := reports.RedactText("fatal: " + line); hasSecret(said) {
		t.Errorf("want no secret in logs, got %s", said)
	}
	code, _, err := Redact(t.Context(), secrets.Key{}, "testdata/a.py", line, nil)
	if err != nil || hasSecret(code) {
		t.Errorf("want no secret in code, got %s, %v", code, err)
	}
	report := core.Report{Findings: []core.Finding{{Tool: "t", RuleID: "r", Title: "login with " + ownSecret, Message: "m"}}}
	reports.Redact(&report, secrets.Key{})
	if hasSecret(report.Findings[0].Title) {
		t.Errorf("want no secret in reports, got %+v", report.Findings)
	}
}
