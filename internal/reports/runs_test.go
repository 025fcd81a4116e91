package reports_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

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
			got := only(t, result(`"suppressions":`+test.suppressions)).Suppressed
			if test.want == "" && got != nil || test.want != "" && (got == nil || *got != test.want) {
				t.Errorf("want %q, got %v", test.want, got)
			}
		})
	}
}

func TestParseFingerprints(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ result, want string }{
		"none":          {``, ""},
		"sorted":        {`"partialFingerprints":{"b":"2","a":"1"}`, "a=1\nb=2"},
		"both kinds":    {`"partialFingerprints":{"a":"1"},"fingerprints":{"0":"x"}`, "0=x\na=1"},
		"escapes":       {`"partialFingerprints":{"a\"b":"1\n2","c":"d"}`, "a\"b=1\n2\nc=d"},
		"not strings":   {`"partialFingerprints":{"a":{"value":"x"},"b":"2","c":3,"d":["e","f"]}`, "b=2"},
		"value after":   {`"partialFingerprints":{"a":"1","b":{"c":"d"}}`, "a=1"},
		"not an object": {`"partialFingerprints":["a","b"]`, ""},
		"empty array":   {`"partialFingerprints":[]`, ""},
		"null":          {`"partialFingerprints":null`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := only(t, result(test.result)).PartialFingerprint; got != test.want {
				t.Errorf("want %q, got %q", test.want, got)
			}
		})
	}
}

func TestParseFailure(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ run, want string }{
		"successful": {
			`"invocations":[{"executionSuccessful":true,"toolExecutionNotifications":[{"message":{"text":"x"}}]}]`,
			"",
		},
		"not stated": {`"invocations":[{}]`, ""},
		"without reason": {
			`"invocations":[{"executionSuccessful":false}]`,
			"tool: the execution was not successful and the report does not say why",
		},
		"exit code": {`"invocations":[{"executionSuccessful":false,"exitCode":2}]`, "tool: exit code 2"},
		"exit description": {
			`"invocations":[{"executionSuccessful":false,"exitCode":2,"exitCodeDescription":"out of disk"}]`,
			"tool: out of disk",
		},
		"configuration": {
			`"invocations":[{"executionSuccessful":false,"toolConfigurationNotifications":[{"message":{"text":"no rules"}}]}]`,
			"tool: no rules",
		},
		"exception": {
			`"invocations":[{"executionSuccessful":false,"toolExecutionNotifications":[{"exception":{"message":"boom"}}]}]`,
			"tool: boom",
		},
		"odd exception": {
			`"invocations":[{"executionSuccessful":false,"toolExecutionNotifications":[
				{"exception":{"message":{}},"descriptor":{"id":"E1"}}]}]`,
			"tool: E1",
		},
		"several": {
			`"invocations":[{"executionSuccessful":false,"exitCode":1},
				{"executionSuccessful":false,"exitCode":1},{"executionSuccessful":false,"exitCode":3}]`,
			"tool: exit code 1; tool: exit code 3",
		},
		"external results": {
			`"externalPropertyFileReferences":{"results":[{"location":{"uri":"r.json"}}]}`,
			"the results are in an external file, not in the report; let the scanner write a single file",
		},
		"external taxonomy": {`"externalPropertyFileReferences":{"taxonomies":[{"location":{"uri":"t.json"}}]}`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := mustParse(t, sarifRun(`"results":[{}],`+test.run+`,"tool":{"driver":{"name":"tool"}}`))
			if report.Failure != test.want {
				t.Errorf("want %q, got %q", test.want, report.Failure)
			}
			if len(report.Findings) != 1 {
				t.Errorf("the finding was lost")
			}
		})
	}
}

func TestParseCountsWhatItSkips(t *testing.T) {
	t.Parallel()
	got := mustParse(t, sarifRun(`"results":[
		{"baselineState":"absent","level":"error"},{"baselineState":"new"},{"baselineState":"unchanged"},
		{"kind":"pass"},{"kind":"notApplicable","level":"none"},{"kind":"informational"},{"kind":"fail"}]`))
	if len(got.Findings) != 3 || got.Skipped != 4 || got.Results != 7 {
		t.Errorf("want 3 findings and 4 skipped of 7, got %d and %d of %d", len(got.Findings), got.Skipped, got.Results)
	}
}

func TestParseKeepsRunsApart(t *testing.T) {
	t.Parallel()
	run := func(tool, level string) string {
		return `{"results":[{"ruleIndex":0}],"tool":{"driver":{"name":"` + tool + `","rules":[{"id":"` + tool +
			`-1","defaultConfiguration":{"level":"` + level + `"}}]}}}`
	}
	got := mustParse(t, `{"version":"2.1.0","runs":[`+run("a", "error")+`,`+run("b", "note")+`,{}]}`)
	want := []core.Finding{
		{Tool: "a", RuleID: "a-1", Severity: core.High},
		{Tool: "b", RuleID: "b-1", Severity: core.Low},
	}
	if diff := cmp.Diff(want, got.Findings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseInlineExternalResults(t *testing.T) {
	t.Parallel()
	got := mustParse(t, `{"version":"2.1.0","runs":[],"inlineExternalProperties":[{"artifacts":[]},{"results":[{}]}]}`)
	if got.Failure == "" {
		t.Error("results that are not read must not pass for a clean report")
	}
}
