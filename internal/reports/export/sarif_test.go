package export_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/reports/export"
	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

// What is exported of details is valid, and reads back as it was.
func TestExportKeepsDetails(t *testing.T) {
	t.Parallel()
	place := details.Place{File: "src/a b.js", Line: 4, EndLine: 5, Message: "user input", Code: "req.body"}
	numbered := place
	numbered.ID = new(1)
	want := details.Details{
		Text: "From [input](1).", Markdown: "From *[input](1)*", Places: []details.Place{{File: "other.js", Line: 2, EndLine: 2}},
		Related: []details.Place{numbered, {Message: "nowhere"}},
		Flows:   []details.Flow{{Message: "a way", Steps: []details.Place{place, {File: "b.js", Line: 9, EndLine: 9, Level: 2}}}},
		Fixes: []details.Fix{
			{Message: "escape", Changes: []details.Change{
				{File: "a.js", Line: 1, EndLine: 1, Column: 2, EndColumn: 3, Text: "x"}, {File: "a.js", Line: 3, EndLine: 4}, {File: "b.js", Line: 1, EndLine: 1, Text: "y\n"},
			}},
			{Message: "patch", Diff: "@@ -1 +1 @@\n-a\n+b\n"},
		},
		Links: []details.Link{{Title: "CWE", URL: "https://cwe.mitre.org/"}},
	}
	help := map[core.RuleName]details.Help{{Tool: "CodeQL", Rule: "js/xss"}: {Markdown: "# XSS"}, {Tool: "CodeQL", Rule: "plain"}: {Text: "Plain."}}
	findings := []core.Finding{
		{
			Tool: "CodeQL", RuleID: "js/xss", Title: "XSS", Message: "From input.", File: "src/a.js", Line: 7, EndLine: 7, Severity: core.High,
			Fingerprint: "v2:01", BaselineState: core.New, Details: string(details.Compress(details.Pack(want))),
		},
		{Tool: "CodeQL", RuleID: "plain", Title: "P", Message: "m", Severity: core.Low, Fingerprint: "v2:02", BaselineState: core.New, Details: "broken"},
	}
	document, err := export.New(core.Scan{}, nil, sourceOf(findings), export.SARIF)
	if err != nil {
		t.Fatal(err)
	}
	document.Help = help
	var out strings.Builder
	if err := document.Write(&out); err != nil {
		t.Fatal(err)
	}
	report := reportstest.MustParse(t, out.String())
	got, err := details.Unpack(report.Findings[0].Details)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	wantHelp := map[core.RuleName]string{}
	for rule, about := range help {
		wantHelp[rule] = details.PackHelp(about)
	}
	if diff := cmp.Diff(wantHelp, report.Help); diff != "" || report.Findings[0].Message != "From input." || report.Findings[1].Details != "" {
		t.Errorf("%q %q %s", report.Findings[0].Message, report.Findings[1].Details, diff)
	}
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(out.String()))
	if err == nil {
		err = sarifSchema(t).Validate(parsed)
	}
	if err != nil {
		t.Error(err)
	}
}
