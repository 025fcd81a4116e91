package reports_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

// rules are the driver and an extension that the tests below refer to.
const rules = `"tool":{"driver":{"name":"tool","globalMessageStrings":{"all":{"text":"for {0}"}},"rules":[
	{"id":"err","defaultConfiguration":{"level":"error"},"shortDescription":{"text":"An error"}},
	{"id":"same","name":"First"},{"id":"same","name":"Second"},
	{"id":"scored","properties":{"security-severity":"9.8"},"messageStrings":{"m":{"text":"{1} of {0} {{x}} {9}"}}},
	{"id":"odd","properties":{"security-severity":"high"},"helpUri":"data:text/html,x","fullDescription":{"text":"Full"}},
	{"id":"php","properties":[]}]},
	"extensions":[{"name":"ext","guid":"g-ext","rules":[{"id":"plug","guid":"g-plug","name":"Plugged",
	"defaultConfiguration":{"level":"note"},"helpUri":"https://example.com/x"}]}]}`

func result(members string) string { return sarifRun(rules + `,"results":[{` + members + `}]`) }

func TestParseSeverity(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		result string
		want   core.Severity
	}{
		"nothing stated":                 {``, core.Medium},
		"level":                          {`"level":"note"`, core.Low},
		"level before the rule's":        {`"level":"note","ruleId":"err"`, core.Low},
		"rule's level":                   {`"ruleId":"err"`, core.High},
		"rule's level, by index":         {`"ruleIndex":0`, core.High},
		"rule's level, of a variant":     {`"ruleId":"err/1/a"`, core.High},
		"rule's level, of an extension":  {`"rule":{"index":0,"toolComponent":{"index":0}}`, core.Low},
		"extension by name":              {`"rule":{"index":0,"toolComponent":{"name":"ext"}}`, core.Low},
		"extension by guid":              {`"rule":{"index":0,"toolComponent":{"guid":"g-ext"}}`, core.Low},
		"rule by guid":                   {`"rule":{"guid":"g-plug"}`, core.Low},
		"rule of an extension by its id": {`"ruleId":"plug"`, core.Low},
		"index out of range":             {`"ruleId":"err","ruleIndex":77`, core.High},
		"negative index":                 {`"ruleId":"err","ruleIndex":-1`, core.High},
		"index of another rule":          {`"ruleId":"err","ruleIndex":1`, core.High},
		"unknown rule":                   {`"ruleId":"what"`, core.Medium},
		"rule's score before level":      {`"ruleId":"scored","level":"note"`, core.Critical},
		"own score before all": {
			`"ruleId":"scored","level":"error","properties":{"security-severity":2}`,
			core.Low,
		},
		"own score as a string":         {`"properties":{"security-severity":" 7.0 "}`, core.High},
		"score that is no number":       {`"ruleId":"odd","level":"error"`, core.High},
		"score out of range":            {`"properties":{"security-severity":"11"}`, core.Medium},
		"score NaN":                     {`"properties":{"security-severity":"NaN"}`, core.Medium},
		"level of another tongue":       {`"level":"CRITICAL"`, core.Critical},
		"level none":                    {`"level":"none"`, core.Low},
		"not failed but with a level":   {`"kind":"review","level":"error"`, core.High},
		"properties as PHP writes them": {`"ruleId":"php","properties":[]`, core.Medium},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := only(t, result(test.result)).Severity; got != test.want {
				t.Errorf("want %s, got %s", test.want, got)
			}
		})
	}
}

func TestParseConfiguredLevel(t *testing.T) {
	t.Parallel()
	invocations := `"invocations":[{},{"ruleConfigurationOverrides":[
		{"descriptor":{"index":1},"configuration":{"level":"error"}},
		{"descriptor":{"id":"err"},"configuration":{"level":"note"}}]}]`
	report := mustParse(t, sarifRun(`"results":[
		{"ruleId":"err","provenance":{"invocationIndex":1}},
		{"ruleId":"err","provenance":{"invocationIndex":0}},
		{"ruleId":"err","level":"warning","provenance":{"invocationIndex":1}},
		{"ruleId":"err","provenance":{"invocationIndex":9}}],`+invocations+`,`+rules))
	for i, want := range []core.Severity{core.Low, core.High, core.Medium, core.High} {
		if got := report.Findings[i].Severity; got != want {
			t.Errorf("result %d: want %s, got %s", i, want, got)
		}
	}
}

func TestParseMessage(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ result, want string }{
		"text":                     {`"message":{"text":" hello "}`, "hello"},
		"text before markdown":     {`"message":{"text":"a","markdown":"*a*"}`, "a"},
		"markdown alone":           {`"message":{"markdown":"*a*"}`, "*a*"},
		"rule's string":            {`"ruleId":"scored","message":{"id":"m","arguments":["a","b"]}`, "b of a {x} {9}"},
		"tool's string":            {`"message":{"id":"all","arguments":["you"]}`, "for you"},
		"unknown string":           {`"ruleId":"err","message":{"id":"what"}`, "An error"},
		"arguments in a text":      {`"message":{"text":"{0}{0}","arguments":["x"]}`, "xx"},
		"argument with a brace":    {`"message":{"text":"{0} {1}","arguments":["{1}","b"]}`, "{1} b"},
		"braces without arguments": {`"message":{"text":"fmt {0} {{y}} }"}`, "fmt {0} {{y}} }"},
		"link to a location": {
			`"message":{"text":"[input](1) meets [docs](https://a.b)"}`,
			"input meets [docs](https://a.b)",
		},
		"none, but a rule":      {`"ruleId":"err"`, "An error"},
		"none, but a long rule": {`"ruleId":"odd","message":null`, "Full"},
		"NUL":                   {`"message":{"text":"a\u0000b"}`, "a\uFFFDb"},
		"half a surrogate":      {`"message":{"text":"a\ud800b"}`, "a\uFFFDb"},
		"invalid UTF-8":         {"\"message\":{\"text\":\"a\xffb\"}", "a\uFFFDb"},
		"too long": {
			`"message":{"text":"` + strings.Repeat("é", 5000) + `"}`,
			strings.Repeat("é", 4094) + "…",
		},
		"bomb of arguments": {
			`"message":{"text":"` + strings.Repeat("{0}", 5000) + `","arguments":["` + strings.Repeat("x", 9000) + `"]}`,
			strings.Repeat("x", 8189) + "…",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := only(t, result(test.result)).Message; got != test.want {
				t.Errorf("want %.80q, got %.80q", test.want, got)
			}
		})
	}
}

func TestParseIdentifiers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ result, cve, cwe string }{
		"none": {`"ruleId":"GHSA-xx"`, "", ""},
		"CVE as rule": {
			`"ruleId":"cve-2021-44228-log4j","message":{"text":"CVE-2020-0001"}`,
			"CVE-2021-44228",
			"",
		},
		"CVE in brackets":    {`"ruleId":"BDSA-2020-1 (CVE-2020-11022)"`, "CVE-2020-11022", ""},
		"CVE in a tag":       {`"properties":{"tags":["x","CVE-2024-3094"]}`, "CVE-2024-3094", ""},
		"CVE in properties":  {`"properties":{"CVE":["CVE-2024-3094"]}`, "CVE-2024-3094", ""},
		"CVE in the message": {`"message":{"text":"see CVE-1999-00012."}`, "CVE-1999-00012", ""},
		"not a CVE":          {`"message":{"text":"XCVE-2020-1234 CVE-20-1234 CVE-2020-123 CVE-2020-"}`, "", ""},
		"CWE in a tag":       {`"properties":{"tags":["security","external/cwe/cwe-079"]}`, "", "CWE-79"},
		"CWE with its name":  {`"properties":{"tags":["CWE-22: Path Traversal"]}`, "", "CWE-22"},
		"CWE in properties":  {`"properties":{"cwe":"CWE-89"}`, "", "CWE-89"},
		"CWE as a number":    {`"properties":{"cwe":[89, 90]}`, "", "CWE-89"},
		"CWE as a taxon": {
			`"taxa":[{"id":"1","toolComponent":{"name":"OWASP"}},{"id":"327","toolComponent":{"name":"CWE"}}]`,
			"",
			"CWE-327",
		},
		"CWE as rule":           {`"ruleId":"CWE-798"`, "", "CWE-798"},
		"not a CWE":             {`"properties":{"cwe":"none","tags":["cwe-", "cwe-0", {"a":1}, [["CWE-1"]]]}`, "", ""},
		"CWE not from any text": {`"message":{"text":"CWE-1"}`, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := only(t, result(test.result))
			if got.CVEID != test.cve || got.CWE != test.cwe {
				t.Errorf("want %q %q, got %q %q", test.cve, test.cwe, got.CVEID, got.CWE)
			}
		})
	}
}

func TestParseTextLimit(t *testing.T) {
	t.Parallel()
	text := sarifRun(`"results":[{"ruleId":"rule-name","message":{"text":"a long message"}}]`)
	report, err := reports.Parse(strings.NewReader(text), reports.Limits{MaxText: 8})
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Findings[0]; got.Message != "a lon…" || len(got.RuleID) > 2 {
		t.Errorf("want texts of 8 and 2 bytes, got %q and %q", got.Message, got.RuleID)
	}
}
