package sarif_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

func TestParseReadsRegions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		region     string
		start, end int
		snippet    string
	}{
		"lines":           {`"region":{"startLine":3,"endLine":5}`, 3, 5, ""},
		"one line":        {`"region":{"startLine":3}`, 3, 3, ""},
		"backwards":       {`"region":{"startLine":3,"endLine":1}`, 3, 3, ""},
		"spelt as floats": {`"region":{"startLine":3.0,"endLine":5.0}`, 3, 5, ""},
		"offsets only":    {`"region":{"charOffset":100,"endLine":7}`, 0, 0, ""},
		"negative":        {`"region":{"startLine":-3}`, 0, 0, ""},
		"beyond integers": {`"region":{"startLine":1e300}`, 0, 0, ""},
		"snippet":         {`"region":{"snippet":{"text":"a()"}},"contextRegion":{"snippet":{"text":"b()"}}`, 0, 0, "a()"},
		"snippet around": {
			`"region":{"startLine":1},"contextRegion":{"startLine":9,"snippet":{"text":"b()"}}`,
			1,
			1,
			"b()",
		},
		"null everywhere":  {`"region":null,"contextRegion":null,"artifactLocation":null`, 0, 0, ""},
		"indented snippet": {`"region":{"snippet":{"text":"\tif x {\n"}}`, 0, 0, "\tif x {\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := reportstest.Only(t, reportstest.SARIF(`"results":[{"locations":[{},{"physicalLocation":{`+test.region+`}}]}]`))
			if got.Line != test.start || got.EndLine != test.end || got.Snippet != test.snippet {
				t.Errorf("want %d-%d %q, got %d-%d %q", test.start, test.end, test.snippet, got.Line, got.EndLine, got.Snippet)
			}
		})
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
			if got := reportstest.Only(t, result(test.result)).Message; got != test.want {
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
			got := reportstest.Only(t, result(test.result))
			if got.CVEID != test.cve || got.CWE != test.cwe {
				t.Errorf("want %q %q, got %q %q", test.cve, test.cwe, got.CVEID, got.CWE)
			}
		})
	}
}

func TestParseSuppressions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ suppressions, want string }{
		"absent":            {`null`, ""},
		"empty":             {`[]`, ""},
		"under review":      {`[{"kind":"external","status":"underReview"}]`, ""},
		"rejected":          {`[{"kind":"external","status":"rejected"}]`, ""},
		"of another tongue": {`[{"status":"perhaps"}]`, ""},
		"by kind":           {`[{"kind":"inSource"}]`, "inSource"},
		"by justification": {
			`[{"kind":"inSource","status":"accepted","justification":" test code "}]`,
			"test code",
		},
		"without any word":           {`[{}]`, "suppressed by the scanner"},
		"one accepted, one rejected": {`[{"kind":"a","status":"rejected"},{"kind":"external"}]`, "external"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := reportstest.Only(t, result(`"suppressions":`+test.suppressions)).Suppressed
			if test.want == "" && got != nil || test.want != "" && (got == nil || *got != test.want) {
				t.Errorf("want %q, got %v", test.want, got)
			}
		})
	}
}

func TestParseCountsWhatItSkips(t *testing.T) {
	t.Parallel()
	got := reportstest.MustParse(t, reportstest.SARIF(`"results":[
		{"baselineState":"absent","level":"error"},{"baselineState":"new"},{"baselineState":"unchanged"},
		{"kind":"pass"},{"kind":"notApplicable","level":"none"},{"kind":"informational"},{"kind":"fail"}]`))
	if len(got.Findings) != 3 || got.Skipped != 4 || got.Results != 7 {
		t.Errorf("want 3 findings and 4 skipped of 7, got %d and %d of %d", len(got.Findings), got.Skipped, got.Results)
	}
}

func TestParseTextLimit(t *testing.T) {
	t.Parallel()
	text := reportstest.SARIF(`"results":[{"ruleId":"rule-name","message":{"text":"a long message"}}]`)
	report, err := reports.Parse(strings.NewReader(text), reports.Limits{MaxText: 8})
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Findings[0]; got.Message != "a lon…" || len(got.RuleID) > 2 {
		t.Errorf("want texts of 8 and 2 bytes, got %q and %q", got.Message, got.RuleID)
	}
}
