package rules_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/zricethezav/gitleaks/v8/config"

	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/rules"
)

func builtin(t *testing.T) config.Config {
	t.Helper()
	detector, err := reports.SecretRules()
	if err != nil {
		t.Fatal(err)
	}
	return detector.Config
}

func TestProblemsOfAllowLists(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		allow rules.Allow
		want  string // a part of the message
	}{
		"broken":        {rules.Allow{Paths: []string{"docs/", "(open"}}, "allow.paths[1] is not a regular expression: missing closing )"},
		"glob":          {rules.Allow{Paths: []string{"**/docs/**"}}, "a glob such as **/docs/* is written (^|/)docs/"},
		"everything":    {rules.Allow{Paths: []string{".*"}}, "allow.paths[0] matches the empty text"},
		"empty":         {rules.Allow{Regexes: []string{""}}, "allow.regexes[0] matches the empty text"},
		"long":          {rules.Allow{Regexes: []string{strings.Repeat("a", 10_001)}}, "allow.regexes[0] is longer than 10000 bytes"},
		"huge":          {rules.Allow{Regexes: []string{"(?:a{500}b{500}){90}"}}, "allow.regexes[0] is "},
		"many":          {rules.Allow{Paths: slices.Repeat([]string{"a"}, 10_001)}, "allow.paths has 10001 entries"},
		"misspelled":    {rules.Allow{Rules: []string{"generic-api-keys"}}, `allow.rules[0] names the unknown rule "generic-api-keys" (did you mean "generic-api-key"?)`},
		"far from any":  {rules.Allow{Rules: []string{"x"}}, "each finding shows the id of its rule"},
		"taken before":  {rules.Allow{Rules: []string{"github-pat", "github-pat"}}, "allow.rules[1] names the unknown rule"},
		"secret inside": {rules.Allow{Regexes: []string{"sw0rdfish("}}, "allow.regexes[0] is not a regular expression"},
	} {
		_, _, err := rules.Extend(builtin(t), rules.Extension{Allow: test.allow})
		problems := new(rules.Problems)
		if !errors.As(err, problems) || len(*problems) != 1 || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "sw0rdfish") {
			t.Errorf("%s: want one problem with %q, got %v", name, test.want, err)
		}
	}
}

func TestProblemsOfFiles(t *testing.T) {
	t.Parallel()
	const rule = "[[rules]]\nid = \"own\"\n"
	for text, want := range map[string]string{
		"[[rules]": "rules.toml:1:",
		"\n[[rules]]\nid = \"a\"\nregexp = \"b\"\n":    "rules.toml:4: rules.regexp is no key of gitleaks' rules",
		"[[rules]]\nid = 3\n":                          "cannot be read as TOML",
		"[extend]\npath = \"other.toml\"\n":            "extend.path and extend.url are not followed",
		"[extend]\ndisabledRules = [\"githup-pat\"]\n": `extend.disabledRules names the unknown rule "githup-pat" (did you mean "github-pat"?)`,
		rule:                                                               `rule 1 ("own"): has neither regex nor path`,
		"[[rules]]\nregex = \"a\"\n":                                       "needs an id",
		rule + "regex = \"a(\"\n":                                          "regex is not a regular expression",
		rule + "regex = \"(?!a)b\"\n":                                      "regex is not a regular expression: invalid or unsupported Perl syntax",
		rule + "regex = \"a*\"\n":                                          "regex matches the empty text",
		rule + "path = \".*\"\n":                                           "path matches the empty text",
		rule + "regex = \"a\"\nentropy=9.5":                                "entropy must be from 0 to 8",
		rule + "regex = \"a\"\nsecretGroup = 1":                            "invalid regex secret group 1",
		rule + "regex = \"a\"\nsecretGroup = -1":                           "secretGroup must be",
		rule + "regex = \"a\"\nkeywords = [\"\"]":                          "keywords must be words",
		rule + "regex = \"a\"\n" + rule + "regex = \"b\"\n":                "has an id that another rule of the file has",
		rule + "regex = \"a\"\n[[rules.allowlists]]\nstopwords = [\"\"]\n": "has an empty stop word",
		rule + "regex = \"a\"\n[[rules.allowlists]]\ncommits = [\"a\"]\n":  "has commits, which are not looked at",
		rule + "regex = \"a\"\n[[rules.allowlists]]\n":                     "must contain at least one check",
		rule + "regex = \"a\"\n[[rules.allowlists]]\ntargetRules = [\"a\"]\npaths = [\"a\"]\n": "has targetRules",
		rule + "regex = \"a\"\n[[rules.required]]\nid = \"none\"\n":                            `requires the unknown rule "none"`,
		"[[allowlists]]\npaths = [\"a\"]\ncondition = \"xor\"\n":                               `condition must be "or" or "and"`,
		"[[allowlists]]\nregexes = [\"a\"]\nregexTarget = \"file\"\n":                          "regexTarget must be",
		"[[allowlists]]\nregexes = [\"a\"]\ntargetRules = [\"githup-pat\"]\n":                  `targetRules names the unknown rule "githup-pat" (did you mean "github-pat"?)`,
		strings.Repeat("# comment\n", 1<<17):                                                   "is larger than 1 MiB",
		manyRules(1001):                                                                        "has 1001 rules, more than 1000",
	} {
		_, _, err := rules.Extend(builtin(t), rules.Extension{Name: "rules.toml", File: []byte(text)})
		problems := new(rules.Problems)
		if !errors.As(err, problems) || len(*problems) != 1 || !strings.Contains(err.Error(), want) || (*problems)[0].Key != "rules" {
			t.Errorf("want one problem with %q, got %v of %.100q", want, err, text)
		}
	}
}

func manyRules(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "[[rules]]\nid = \"r%d\"\nregex = \"a\"\n", i)
	}
	return text.String()
}

// All mistakes of an extension are told at once.
func TestProblemsTogether(t *testing.T) {
	t.Parallel()
	_, _, err := rules.Extend(builtin(t), rules.Extension{
		Name: "a.toml", File: []byte("[[rules]]\nid = \"b\"\nregex = \"(\"\n[[rules]]\nid = \"c\"\nregex = \"a?\"\n[[allowlists]]\npaths = [\"[\"]\n"),
		Allow: rules.Allow{Paths: []string{"("}, Regexes: []string{"+"}, Rules: []string{"nothing"}},
	})
	if problems := new(rules.Problems); !errors.As(err, problems) || len(*problems) != 6 {
		t.Errorf("want six problems, got %v", err)
	}
}

func TestExtend(t *testing.T) {
	t.Parallel()
	base := builtin(t)
	before, amended := len(base.Rules), base.Rules["generic-api-key"]
	extended, added, err := rules.Extend(base, rules.Extension{
		Name: "a.toml", File: []byte(`
title = "ours"
minVersion = "v8.0.0"
[extend]
useDefault = true
disabledRules = ["jwt"]
[[rules]]
id = "acme-token"
description = "An Acme token"
regex = '''\bacme_([a-z0-9]{12})\b'''
secretGroup = 1
entropy = 2
keywords = ["ACME_"]
tags = ["internal"]
[[rules.required]]
id = "github-pat"
withinLines = 3
[[rules]]
id = "github-pat"
regex = '''ghp_[a-z]{10}'''
[[rules]]
id = "generic-api-key"
[rules.allowlist]
stopwords = ["Example"]
[[allowlists]]
targetRules = ["aws-access-token", "acme-token"]
condition = "AND"
paths = ['''^docs/''']
regexes = ['''EXAMPLE''']
[[allowlists]]
paths = ['''(?i)^Fixtures/''', '''^Other/''']
`),
		Allow: rules.Allow{Paths: []string{"^testdata/"}, Rules: []string{"private-key"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	own, replaced, changed := extended.Rules["acme-token"], extended.Rules["github-pat"], extended.Rules["generic-api-key"]
	switch {
	case len(base.Rules) != before || len(base.Rules["aws-access-token"].Allowlists) == len(extended.Rules["aws-access-token"].Allowlists):
		t.Error("want the rules that are extended left as they are")
	case len(extended.Rules) != before-2+1 || len(added) != 3:
		t.Errorf("want two rules less and one more, got %d of %d, added %d", len(extended.Rules), before, len(added))
	case own.SecretGroup != 1 || own.Entropy != 2 || !slices.Equal(own.Keywords, []string{"acme_"}) || *own.RequiredRules[0].WithinLines != 3:
		t.Errorf("got %+v", own)
	case len(replaced.Keywords) != 0 || len(replaced.Allowlists) != 0 || replaced.Regex.String() != "ghp_[a-z]{10}":
		t.Errorf("want the built-in rule replaced, got %+v", replaced)
	case changed.Regex != amended.Regex || len(changed.Allowlists) != len(amended.Allowlists)+1 || changed.Description != amended.Description:
		t.Errorf("want the built-in rule amended, got %+v", changed)
	case len(added[0].Allowlists) != 0:
		t.Errorf("want no allow list where secrets are masked, got %+v", added[0])
	}
	if _, known := extended.Keywords["acme_"]; !known {
		t.Error("want the keyword known")
	}
	allowed := func(path string) bool {
		return slices.ContainsFunc(extended.Allowlists, func(list *config.Allowlist) bool { return list.PathAllowed(path) })
	}
	for path, want := range map[string]bool{
		"testdata/a": true, "fixtures/a": true, "Other/a": true, "other/a": false, "docs/a": false, "a/testdata/b": false,
	} {
		if allowed(path) != want {
			t.Errorf("%s: allowed is %v", path, !want)
		}
	}
}
