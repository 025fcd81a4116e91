package reports_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/reports/reportstest"
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
		"two documents":     {reportstest.SARIF("") + `{}`, "something follows the end of the report"},
		"garbage behind":    {reportstest.SARIF("") + "\n]", "(line 2, column 1, byte "},
		"cut off": {
			`{"version":"2.1.0","runs":[{"results":[{"ruleId":"a"`,
			"/runs/0/results/0: the report ends too early",
		},
		"deep nesting": {
			reportstest.SARIF(`"results":[{"properties":` + deep),
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
		"results number":  {reportstest.SARIF(`"results":7`), "/runs/0/results: must be an array, not a number"},
		"results object":  {reportstest.SARIF(`"results":{}`), "/runs/0/results: must be an array, not an object"},
		"result is null":  {reportstest.SARIF(`"results":[null]`), "/runs/0/results/0: must be an object, not null"},
		"result is true":  {reportstest.SARIF(`"results":[true]`), "/runs/0/results/0: must be an object, not bool"},
		"unknown level": {
			reportstest.SARIF(`"results":[{},{"level":"fatal"}]`),
			`/runs/0/results/1/level: "fatal" is not one of error`,
		},
		"rule's level": {
			reportstest.SARIF(`"tool":{"driver":{"rules":[{"defaultConfiguration":{"level":"?"}}]}}`),
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
			report, err := reportstest.Parse(test.report)
			if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want an invalid report with %q, got %v", test.want, err)
			}
			if diff := cmp.Diff(core.Report{}, report); diff != "" {
				t.Errorf("half a report was returned (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	text := reportstest.SARIF(`"results":[{},{},{}]`)
	many := strings.Repeat("{},", 300_000) + "{}"
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
		"one enormous value": {reportstest.SARIF(`"results":["` + strings.Repeat("x", 17<<20)), reports.Limits{}, core.ErrTooLarge},
		"many suppressions":  {reportstest.SARIF(`"results":[{"suppressions":[` + many + `]}]`), reports.Limits{}, core.ErrTooLarge},
		"many taxa":          {reportstest.SARIF(`"results":[{"taxa":[` + many + `]}]`), reports.Limits{}, core.ErrTooLarge},
		"many tags":          {reportstest.SARIF(`"results":[{"properties":{"tags":[` + many + `]}}]`), reports.Limits{}, core.ErrTooLarge},
		"many identifiers": {
			`{"version":"15.0.0","scan":{"type":"sast","scanner":{"id":"x","name":"x"}},"vulnerabilities":[{"id":"1","location":{},"identifiers":[` + many + `]}]}`, reports.Limits{}, core.ErrTooLarge,
		},
		"many commas in a text": {
			reportstest.SARIF(`"results":[{"message":{"text":"` + strings.Repeat(`,\"`, 300_000) + `"}}]`), reports.Limits{}, nil,
		},
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

func FuzzParse(f *testing.F) {
	names := append(reportstest.Fixtures(f), filepath.Join("formats", "testdata", "findings.json"),
		filepath.Join("sarif", "testdata", "rules_after_results.sarif"))
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	f.Add("\uFEFF" + reportstest.SARIF(`"results":[{"ruleId":"A/b","message":{"text":"{0} [a](1)","arguments":["x"]}}]`))
	f.Add(reportstest.SARIF(`"results":[{"locations":[{"physicalLocation":{"artifactLocation":{"uri":"..%2f\\a","index":0}}}]}]`))
	f.Add(`[{"rule_id":"a","severity":7.5,"cwe":[79]}]`)
	f.Add(`{"runs":[{"results":[`)
	f.Add(`{"version":"1.0.0","runs":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		report, err := reports.Parse(strings.NewReader(text), reports.Limits{MaxBytes: 1 << 20, MaxText: 512})
		if err != nil {
			if !errors.Is(err, core.ErrInvalid) && !errors.Is(err, core.ErrTooLarge) {
				t.Fatalf("an error of no class: %v", err)
			}
			if report.Findings != nil || !utf8.ValidString(err.Error()) || len(err.Error()) > 4<<10 {
				t.Fatalf("half a report, or an error that nobody can read: %.200q", err)
			}
			return
		}
		if len(report.Findings)+report.Skipped != report.Results {
			t.Fatalf("%d findings and %d skipped of %d", len(report.Findings), report.Skipped, report.Results)
		}
		for _, finding := range report.Findings {
			reportstest.CheckStorable(t, finding)
		}
		reportstest.CheckPacked(t, []byte(text), reports.Limits{MaxBytes: 1 << 20, MaxText: 512})
		_, fault := core.JSONFault([]byte(text))
		_, err = reports.Parse(strings.NewReader(text), reports.Limits{MaxBytes: 1 << 20, MaxText: 512, Verbatim: true})
		if (err == nil) != (fault == "") {
			t.Fatalf("it holds %q, verbatim: %v", fault, err)
		}
	})
}

// Runs of several categories become several reports, wherever the category stands; what fails one leaves the others alone.
func TestParsePackedSplitsCategories(t *testing.T) {
	t.Parallel()
	run := func(category, results, more string) string {
		return `{"results":[` + results + `],"automationDetails":{"id":"` + category + `"}` + more + `}`
	}
	unread := `,"invocations":[{"toolExecutionNotifications":[{"level":"error","message":{"text":"no"},
		"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.js"}}}]}]}]`
	log := `{"version":"2.1.0","runs":[` + strings.Join([]string{
		run("/language:go/1", `{"ruleId":"a"}`, ""), run("js/", `{"ruleId":"b"}`, unread), run("language:go/2", `{"ruleId":"c"}`, unread),
		run("js/x", `{"ruleId":"d"}`, unread), run("no-category", "", ""), run("failed/", "", unread), run("build/linux/1", "", ""),
	}, ",") + `]}`
	list, err := reports.ParsePacked(strings.NewReader(log), reports.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range list {
		text := r.Category + ":"
		for i := range r.Len() {
			text += " " + r.At(i, new(core.Finding)).RuleID
		}
		if r.Coverage != nil {
			text += fmt.Sprintf(", left %d", r.Coverage.NotSearched())
		}
		if r.Failure != "" {
			text += ", failed"
		}
		got = append(got, text)
	}
	want := []string{"language:go: a c, left 1", "js: b d, left 1", ":", "failed:, left 1, failed", "build/linux:"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	whole, err := reports.ParsePacked(strings.NewReader(log), reports.Limits{Category: "mine"})
	if err != nil || len(whole) != 1 || whole[0].Category != "mine" || whole[0].Len() != 4 {
		t.Errorf("want one report of the category that was asked for, got %+v, %v", whole, err)
	}
	if _, err := reports.ParsePacked(strings.NewReader(log), reports.Limits{MaxResults: 3}); !errors.Is(err, core.ErrTooLarge) {
		t.Errorf("more results than may be: %v", err)
	}
	many := `{"version":"2.1.0","runs":[` + run("0/", "", "")
	for n := range 100 {
		many += "," + run(strings.Repeat("x", n+1)+"/", "", "")
	}
	for _, text := range []string{many + "]}", `{"version":"2.1.0","runs":[` + run(strings.Repeat("x", 201)+"/", "", "") + "]}"} {
		if _, err := reports.ParsePacked(strings.NewReader(text), reports.Limits{}); !errors.Is(err, core.ErrTooLarge) {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}
