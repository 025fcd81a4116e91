package reports_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`[`, 20_000)
	tests := map[string]struct{ report, want string }{
		"nothing":          {"", "the report is empty"},
		"white space":      {" \n\t", "the report is empty"},
		"only a BOM":       {"\uFEFF", "the report is empty"},
		"UTF-16":           {"\xff\xfe{\x00", "UTF-16"},
		"compressed bytes": {"\x1f\x8b\x08\x00", "compressed"},
		"UTF-16 unmarked":  {"{\x00\"\x00", "UTF-16"},
		"UTF-16, big end":  {"\x00{\x00\"", "UTF-16"},
		"a word":           {`scanner failed`, `begins with "scanner failed", which is not valid JSON`},
		"a banner":         {"Grype 0.1\n{\"matches\":[]}", `begins with "Grype 0.1", which is not valid JSON: if that is a banner`},
		"a string":         {`"runs"`, "unknown format: the report is neither an object"},
		"an unknown object": {
			`{"Vulnerabilities":[],"a/b":1}`,
			`an object with "Vulnerabilities", "a/b"; known are SARIF`,
		},
		"names the formats": {`{}`, `known are SARIF 2.1.0 (an object with "runs"); JSON findings`},
		"an unknown array":  {`[{"RuleID":"x"}]`, `an array of objects with "RuleID"`},
		"an array of words": {`["a"]`, "an array of something else than objects"},
		"two documents":     {sarifRun("") + `{}`, "something follows the end of the report"},
		"garbage behind":    {sarifRun("") + "\n]", "(line 2, column 1, byte "},
		"cut off": {
			`{"version":"2.1.0","runs":[{"results":[{"ruleId":"a"`,
			"/runs/0/results/0: the report ends too early",
		},
		"deep nesting": {
			sarifRun(`"results":[{"properties":` + deep),
			"/runs/0/results/0: not valid JSON: invalid character '[' exceeded max depth",
		},
		"deep unknown": {`{"x":` + deep, "exceeded max depth"},

		"old version": {
			`{"version":"1.0.0","runs":[]}`,
			`/version: the report is SARIF "1.0.0"; let the scanner write SARIF 2.1.0`,
		},
		"draft version":   {`{"runs":[],"version":"2.1.0-rtm.5"}`, `SARIF "2.1.0-rtm.5"`},
		"numeric version": {`{"version":2.1,"runs":[]}`, "/version: must be a string, not number"},
		"no version":      {`{"runs":[]}`, "the report has no version"},
		"no runs":         {`{"$schema":"sarif","version":"2.1.0"}`, "the report has no runs"},
		"null runs":       {`{"version":"2.1.0","runs":null}`, "/runs: is null"},
		"runs twice":      {`{"version":"2.1.0","runs":[],"runs":[]}`, "/runs: occurs twice"},
		"run is a word":   {`{"version":"2.1.0","runs":["x"]}`, "/runs/0: must be an object, not a string"},
		"results number":  {sarifRun(`"results":7`), "/runs/0/results: must be an array, not a number"},
		"results object":  {sarifRun(`"results":{}`), "/runs/0/results: must be an array, not an object"},
		"result is null":  {sarifRun(`"results":[null]`), "/runs/0/results/0: must be an object, not null"},
		"result is true":  {sarifRun(`"results":[true]`), "/runs/0/results/0: must be an object, not bool"},
		"unknown level": {
			sarifRun(`"results":[{},{"level":"fatal"}]`),
			`/runs/0/results/1/level: "fatal" is not one of error`,
		},
		"rule's level": {
			sarifRun(`"tool":{"driver":{"rules":[{"defaultConfiguration":{"level":"?"}}]}}`),
			"/runs/0/tool/driver/rules/0/defaultConfiguration/level: ",
		},

		"finding without rule": {
			`{"findings":[{"rule_id":"x","severity":"low"},{"severity":"low"}]}`,
			"/findings/1/rule_id: is missing",
		},
		"foreign findings":         {`{"findings":[{"severity":"low"}]}`, `or an array, of objects with "rule_id"`},
		"finding without severity": {`[{"rule_id":"x"}]`, `/0/severity: "" is not one of critical`},
		"finding's severity": {
			`{"items":[{"rule_id":"x","severity":"purple"}]}`,
			`/items/0/severity: "purple" is not`,
		},
		"findings is a word": {`{"findings":"none"}`, "/findings: must be an array, not a string"},
		"line is a word": {
			`{"findings":[{"rule_id":"x","line":"7"}]}`,
			"/findings/0/line: must be a number, not string",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := parse(test.report)
			if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want an invalid report with %q, got %v", test.want, err)
			}
			if diff := cmp.Diff(core.Report{}, report); diff != "" {
				t.Errorf("half a report was returned (-want +got):\n%s", diff)
			}
		})
	}
}

// What could only be stored changed is refused where that is asked for, with its place; without, it is replaced.
func TestVerbatim(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ report, want string }{
		"message": {
			sarifRun(`"results":[{"message":{"text":"a\u0000b"}}]`),
			"/runs/0/results/0: holds a NUL character (line 1, column 61, byte 60)",
		},
		"raw bytes":   {sarifRun("\"results\":[{\"ruleId\":\"\xff\"}]"), "/runs/0/results/0: holds bytes that are not UTF-8"},
		"half":        {sarifRun(`"results":[{"ruleId":"\ud800"}]`), "/runs/0/results/0: holds half a character"},
		"snippet":     {`[{"rule_id":"a","severity":"low","snippet":"\u0000"}]`, "/0: holds a NUL character"},
		"second line": {"{\"findings\":[\n{\"rule_id\":\"a\\u0000\",\"severity\":\"low\"}]}", "(line 2, column 14, byte 27)"},
		"key":         {`{"findings":[],"a\u0000":1}`, "holds a NUL character"},
		"ignored":     {`{"findings":[],"more":[{"x":"\u0000"}]}`, "/more/0: holds a NUL character"},
		"trivy":       {"{\"SchemaVersion\":2,\"Results\":[{\"Target\":\"\xff\",\"Vulnerabilities\":[]}]}", "not UTF-8"},
	} {
		for _, parse := range []func(io.Reader, reports.Limits) (core.Report, error){reports.Parse, reports.ParsePacked} {
			if _, err := parse(strings.NewReader(test.report), reports.Limits{}); err != nil {
				t.Errorf("%s: %v, want it to be taken by those who want what there is", name, err)
			}
			_, err := parse(strings.NewReader(test.report), reports.Limits{Verbatim: true})
			if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %s", name, err, test.want)
			}
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	t.Parallel()
	padding := strings.Repeat("{\"ruleId\": \"a\"},\n", 20_000)
	tests := map[string]struct{ report, want string }{
		"syntax": {
			"{\"version\": \"2.1.0\",\n \"runs\": [\n  {\"results\": [{},\n   {\"level\": oops}]}]}",
			"/runs/0/results/1: not valid JSON: invalid character 'o' looking for beginning of value " +
				"(line 4, column 14, byte 64)",
		},
		"missing comma": {
			"{\"runs\": [\n {} {}]}",
			"/runs/1: not valid JSON: invalid character '{' after array element (line 2, column 5, byte 15)",
		},
		"wrong type": {
			"{\"runs\": [{\"results\": [\n {},\n {\"level\": 5}]}]}",
			"/runs/0/results/1/level: must be a string, not number (line 3, column 13, byte 41)",
		},
		"nested field": {
			"{\"runs\": [{\"results\": [{\"locations\": [\n{\"physicalLocation\": {\"region\": {\"startLine\": \"1\"}}}]}]}]}",
			"/runs/0/results/0/locations/physicalLocation/region/startLine: must be a number, not string " +
				"(line 2, column 50, byte 88)",
		},
		"far below": {
			"{\"runs\": [{\"results\": [\n" + padding + "{\"ruleId\": 1}]}]}",
			"/runs/0/results/20000/ruleId: must be a string, not number (line 20002, column 13, byte 340036)",
		},
		"behind a BOM":  {"\uFEFF{\"runs\": 1}", "/runs: must be an array, not a number (line 1, column 14, byte 13)"},
		"escaped names": {"{\"runs\": [{\"a/b~c\": [}]}", "/runs/0/a~1b~0c: not valid JSON"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(test.report)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want %q, got %v", test.want, err)
			}
		})
	}
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	text := sarifRun(`"results":[{},{},{}]`)
	tests := map[string]struct {
		report string
		limits reports.Limits
		want   error
	}{
		"bytes exceeded":   {text, reports.Limits{MaxBytes: int64(len(text)) - 1}, core.ErrTooLarge},
		"bytes kept":       {text, reports.Limits{MaxBytes: int64(len(text))}, nil},
		"results exceeded": {text, reports.Limits{MaxResults: 2}, core.ErrTooLarge},
		"results kept":     {text, reports.Limits{MaxResults: 3}, nil},
		"findings exceeded": {
			`[{"rule_id":"a","severity":"low"},{"rule_id":"b","severity":"low"}]`,
			reports.Limits{MaxResults: 1},
			core.ErrTooLarge,
		},
		"one enormous value": {sarifRun(`"results":["` + strings.Repeat("x", 17<<20)), reports.Limits{}, core.ErrTooLarge},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := reports.Parse(strings.NewReader(test.report), test.limits); !errors.Is(err, test.want) {
				t.Errorf("want %v, got %v", test.want, err)
			}
		})
	}
}
