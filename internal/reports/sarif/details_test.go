package sarif_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

const richRun = `"tool":{"driver":{"name":"CodeQL","rules":[
	{"id":"js/xss","shortDescription":{"text":"XSS"},"help":{"text":"# XSS","markdown":"# XSS\nDo *not*."}},
	{"id":"unused","help":{"text":"never kept"}},
	{"id":"full","shortDescription":{"text":"Short"},"fullDescription":{"text":"A longer story."}}]}},
	"originalUriBaseIds":{"%SRCROOT%":{"uri":"file:///ci/shop/"}},
	"results":[
	{"ruleId":"full","message":{"text":"plain"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.js"}}}]},
	{"ruleId":"js/xss","message":{"text":"From a [user \"input\"](1) to {0}.","markdown":"From **here**","arguments":["x"]},
	"locations":[{"physicalLocation":{"artifactLocation":{"index":0},"region":{"startLine":9}}},
		{"message":{"text":"and here"},"physicalLocation":{"artifactLocation":{"uri":"b.js","uriBaseId":"%SRCROOT%"},"region":{"startLine":2,"endLine":3}}}],
	"relatedLocations":[{"id":1,"message":{"text":"user input"},"physicalLocation":{"artifactLocation":{"uri":"file:///ci/shop/in.js"},"region":{"startLine":4}}}],
	"codeFlows":[{"threadFlows":[{"locations":[
		{"location":{"message":{"text":"source"},"physicalLocation":{"artifactLocation":{"uri":"in.js"},"region":{"startLine":4,"snippet":{"text":"req.body"}}}}},
		{"nestingLevel":1,"location":{"message":{"text":"sink"},"physicalLocation":{"artifactLocation":{"index":0},"region":{"startLine":9}}}}]}]}],
	"fixes":[{"description":{"text":"Escape it"},"artifactChanges":[{"artifactLocation":{"index":0},"replacements":[
		{"deletedRegion":{"startLine":9,"startColumn":3,"endColumn":5},"insertedContent":{"text":"esc(x)"}}]}]}]}],
	"artifacts":[{"location":{"uri":"out.js"}}]`

// What is written in another way than the standard's costs the details, not the report.
func TestDetailsInAnotherFormCostNoReport(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]string{
		"number of a location":    strings.Replace(richRun, `{"message":{"text":"and here"},`, `{"id":"a","message":{"text":"and here"},`, 1),
		"message of a location":   strings.Replace(richRun, `{"message":{"text":"and here"},`, `{"message":"and here",`, 1),
		"help of a rule":          strings.Replace(richRun, `"help":{"text":"# XSS","markdown":"# XSS\nDo *not*."}`, `"help":"# XSS"`, 1),
		"Markdown of its help":    strings.Replace(richRun, `"markdown":"# XSS\nDo *not*."`, `"markdown":["# XSS"]`, 1),
		"related location":        strings.Replace(richRun, `"relatedLocations":[{"id":1`, `"relatedLocations":[{"id":"1"`, 1),
		"message of a flow":       strings.Replace(richRun, `"codeFlows":[{`, `"codeFlows":[{"message":"x",`, 1),
		"paths that are no lists": strings.Replace(richRun, `"codeFlows":[{`, `"codeFlows":{},"fixes":"none","x":[{`, 1),
	} {
		if run == richRun {
			t.Fatal(name, "is not in the report")
		}
		reportstest.CheckPacked(t, []byte(reportstest.SARIF(run)), reports.Limits{})
		if report := reportstest.MustParse(t, reportstest.SARIF(run)); report.Len() != 2 {
			t.Errorf("%s: %d findings", name, report.Len())
		}
	}
}

// All that a result says is kept, with files as the repository has them, though they are described after it.
func TestDetailsOfResult(t *testing.T) {
	t.Parallel()
	for name, parse := range map[string]func() (core.Report, error){
		"packed": func() (core.Report, error) {
			return reportstest.Packed(strings.NewReader(reportstest.SARIF(richRun)), reports.Limits{})
		},
		"unpacked": func() (core.Report, error) {
			return reports.Parse(strings.NewReader(reportstest.SARIF(richRun)), reports.Limits{})
		},
		"not in the usual form": func() (core.Report, error) {
			return reports.Parse(strings.NewReader(reportstest.SARIF(strings.ReplaceAll(richRun, `"kind"`, `"Kind"`)+`,"x":1`)), reports.Limits{})
		},
	} {
		report, err := parse()
		if err != nil {
			t.Fatal(name, err)
		}
		var plain, rich core.Finding
		plain, rich = *report.At(0, new(core.Finding)), *report.At(1, new(core.Finding))
		got, err := details.Unpack(rich.Details)
		want := details.Details{
			Text: `From a [user "input"](1) to x.`, Markdown: "From **here**",
			Places:  []details.Place{{File: "b.js", Line: 2, EndLine: 3, Message: "and here"}},
			Related: []details.Place{{ID: new(1), File: "in.js", Line: 4, EndLine: 4, Message: "user input"}},
			Flows: []details.Flow{{Steps: []details.Place{
				{File: "in.js", Line: 4, EndLine: 4, Message: "source", Code: "req.body"},
				{File: "out.js", Line: 9, EndLine: 9, Message: "sink", Level: 1}}}},
			Fixes: []details.Fix{{Message: "Escape it", Changes: []details.Change{
				{File: "out.js", Line: 9, EndLine: 9, Column: 3, EndColumn: 5, Text: "esc(x)"}}}},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(name, err, diff)
		}
		if rich.File != "out.js" || rich.Line != 9 || rich.Message != `From a user "input" to x.` || plain.Details != "" {
			t.Errorf("%s: %+v %q", name, rich, plain.Details)
		}
		wantHelp := map[core.RuleName]string{
			{Tool: "CodeQL", Rule: "js/xss"}: `{"markdown":"# XSS\nDo *not*."}`, {Tool: "CodeQL", Rule: "full"}: `{"text":"A longer story."}`,
		}
		if diff := cmp.Diff(wantHelp, report.Help); diff != "" {
			t.Error(name, diff)
		}
	}
}

// What is wrong, or too much, costs the details and not the report.
func TestDetailsAreBounded(t *testing.T) {
	t.Parallel()
	place := `{"physicalLocation":{"artifactLocation":{"uri":"` + strings.Repeat("d/", 900) + `a.js"},"region":{"startLine":1}}}`
	const whole = `{"deletedRegion":{"startLine":1},"insertedContent":{"text":"x"}}`
	flow := `{"threadFlows":[{"locations":[` + strings.Repeat(`{"location":`+place+`},`, 3000) + `{}]}]}`
	for name, members := range map[string]string{
		"no list":       `"codeFlows":{},"relatedLocations":"x","fixes":7`,
		"no objects":    `"codeFlows":[1,"a",null,[]],"relatedLocations":[null],"fixes":[{"artifactChanges":[{"replacements":[{}]}]}]`,
		"empty":         `"codeFlows":[],"relatedLocations":null,"fixes":[{}]`,
		"long flow":     `"codeFlows":[` + flow + `,` + flow + `]`,
		"many places":   `"relatedLocations":[` + strings.Repeat(place+",", 3000) + `{}]`,
		"many results'": `"locations":[` + strings.Repeat(place+",", 3000) + `{}]`,
		"long texts":    `"relatedLocations":[{"message":{"text":"` + strings.Repeat("word ", 10000) + `"}}]`,
		"long fix": `"fixes":[{"artifactChanges":[{"artifactLocation":{"uri":"a"},"replacements":[
			{"deletedRegion":{"startLine":1},"insertedContent":{"text":"` + strings.Repeat("a b ", 5000) + `"}}]}]}]`,
		"part of a fix":   `"fixes":[{"artifactChanges":[{"replacements":[` + whole + `,{"deletedRegion":7}]}]}]`,
		"file of a fix":   `"fixes":[{"artifactChanges":[{"replacements":[` + whole + `]},{"replacements":{}}]}]`,
		"binary in a fix": `"fixes":[{"artifactChanges":[{"replacements":[` + whole + `,{"deletedRegion":{"startLine":2},"insertedContent":{"binary":"AA=="}}]}]}]`,
	} {
		report := reportstest.MustParse(t, result(`"ruleId":"err","message":{"text":"m"},`+members))
		packed := report.Findings[0].Details
		d, err := details.Unpack(packed)
		steps := 0
		for _, f := range d.Flows {
			steps += len(f.Steps)
		}
		if err != nil || len(packed) > 80<<10 || steps > details.MaxSteps || len(d.Places) > details.MaxPlaces || len(d.Related) > details.MaxPlaces || len(d.Fixes) > 0 {
			t.Errorf("%s: %v, %d bytes, %d steps, %d and %d places, %d fixes", name, err, len(packed), steps, len(d.Places), len(d.Related), len(d.Fixes))
		}
		if strings.HasPrefix(name, "many") || name == "long flow" {
			if d.Omitted == 0 {
				t.Errorf("%s: nothing is said to be left out", name)
			}
		}
	}
}

// Secrets are masked in all that is kept, and of the code of a secret nothing is.
func TestDetailsAreMasked(t *testing.T) {
	t.Parallel()
	const token = "ghp_" + "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5"
	members := func(rule string) string {
		at := fmt.Sprintf(`{"message":{"text":"the %s"},"physicalLocation":{"artifactLocation":{"uri":"a.js"},"region":{"startLine":1,"snippet":{"text":"key = '%s'"}}}}`, token, token)
		return `"ruleId":"` + rule + `","message":{"text":"m","markdown":"**` + token + `**"},"relatedLocations":[` + at + `],
			"codeFlows":[{"message":{"text":"` + token + `"},"threadFlows":[{"locations":[{"location":` + at + `}]}]}],
			"fixes":[{"description":{"text":"` + token + `"},"artifactChanges":[{"artifactLocation":{"uri":"a.js"},"replacements":[{"deletedRegion":{"startLine":1},"insertedContent":{"text":"` + token + `"}}]}]}]`
	}
	for rule, coded := range map[string]bool{"err": true, "hardcoded-password": false} {
		report := reportstest.MustParse(t, result(members(rule)))
		packed := report.Findings[0].Details
		if strings.Contains(packed, token[4:]) || packed == "" {
			t.Errorf("%s: %s", rule, packed)
		}
		if got := strings.Contains(packed, `"code"`); got != coded {
			t.Errorf("%s: code is kept: %v", rule, got)
		}
		again := report
		reports.Redact(&again, secrets.Keyless)
		if again.Findings[0].Details != packed {
			t.Errorf("%s: masking twice changes %s to %s", rule, packed, again.Findings[0].Details)
		}
	}
	help := reportstest.MustParse(t, strings.Replace(reportstest.SARIF(richRun), "Do *not*.", "Not "+token, 1)).Help
	if text := help[core.RuleName{Tool: "CodeQL", Rule: "js/xss"}]; text == "" || strings.Contains(text, token) {
		t.Errorf("help: %q", text)
	}
}

// The checkout's root is cut off in details, too.
func TestDetailsBelowRoot(t *testing.T) {
	t.Parallel()
	report := reportstest.MustParse(t, result(`"ruleId":"err","message":{"text":"m"},"relatedLocations":[
		{"physicalLocation":{"artifactLocation":{"uri":"file:///home/ci/shop/src/a.js"}}}]`))
	reports.StripRoot(&report, "/home/ci/shop")
	if got, _ := details.Unpack(report.Findings[0].Details); len(got.Related) != 1 || got.Related[0].File != "src/a.js" {
		t.Errorf("%+v", got)
	}
}

// BenchmarkParseDetails reads results that all have a way through the code, as CodeQL writes them, and compares that with encoding/json.
func BenchmarkParseDetails(b *testing.B) {
	var out strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&out, `{"ruleId":"err","message":{"text":"From [input](1), number %d"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/f%d.js"},
			"region":{"startLine":%d}}}],"relatedLocations":[{"id":1,"physicalLocation":{"artifactLocation":{"uri":"src/in.js"},"region":{"startLine":%d}}}],
			"codeFlows":[{"threadFlows":[{"locations":[`, i, i%500, i+1, i+1)
		for step := range 6 {
			fmt.Fprintf(&out, `{"location":{"physicalLocation":{"artifactLocation":{"uri":"src/s%d.js","uriBaseId":"%%SRCROOT%%","index":%d},
				"region":{"startLine":%d,"startColumn":9,"endColumn":20}},"message":{"text":"step %d of %d"}}},`, step, step, i+step+1, step, i)
		}
		out.WriteString("{}]}]}]},")
	}
	raw := []byte(reportstest.SARIF(rules + `,"results":[` + out.String() + `{"ruleId":"err","message":{"text":"last"}}]`))
	b.SetBytes(int64(len(raw)))
	var ours, trees time.Duration
	for b.Loop() {
		ours += timed(func() {
			report, err := reportstest.Packed(bytes.NewReader(raw), reports.Limits{})
			if err != nil {
				b.Error(err)
			}
			report.EachDetailed(func(_ int, packed string) { details.Compress(packed) })
		})
		b.StopTimer()
		var tree any
		trees += timed(func() { _ = json.Unmarshal(raw, &tree) })
		b.StartTimer()
	}
	b.ReportMetric(float64(ours)/float64(trees), "x/any")
}
