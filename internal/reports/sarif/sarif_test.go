package sarif_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

func TestParseGolden(t *testing.T) {
	t.Parallel()
	name := filepath.Join("testdata", "rules_after_results.sarif")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	reportstest.Golden(t, name+".golden", reportstest.Render(reportstest.MustParse(t, string(raw))))
}

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
			report := reportstest.MustParse(t, reportstest.SARIF(`"results":[{}],`+test.run+`,"tool":{"driver":{"name":"tool"}}`))
			if report.Failure != test.want {
				t.Errorf("want %q, got %q", test.want, report.Failure)
			}
			if len(report.Findings) != 1 {
				t.Errorf("the finding was lost")
			}
		})
	}
}

func TestParseKeepsRunsApart(t *testing.T) {
	t.Parallel()
	run := func(tool, level string) string {
		return `{"results":[{"ruleIndex":0}],"tool":{"driver":{"name":"` + tool + `","rules":[{"id":"` + tool +
			`-1","defaultConfiguration":{"level":"` + level + `"}}]}}}`
	}
	got := reportstest.MustParse(t, `{"version":"2.1.0","runs":[`+run("a", "error")+`,`+run("b", "note")+`,{}]}`)
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
	got := reportstest.MustParse(t, `{"version":"2.1.0","runs":[],"inlineExternalProperties":[{"artifacts":[]},{"results":[{}]}]}`)
	if got.Failure == "" {
		t.Error("results that are not read must not pass for a clean report")
	}
}

func TestParseRecorded(t *testing.T) {
	t.Parallel()
	directory := reportstest.Testdata(t)
	for _, want := range reportstest.Manifest(t, directory) {
		if want.Family != "sarif" {
			continue
		}
		t.Run(want.Path, func(t *testing.T) {
			t.Parallel()
			file, err := os.Open(filepath.Join(directory, want.Path))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			got, err := reports.Parse(file, reports.Limits{})
			if want.MustFail == nil {
				return
			}
			if *want.MustFail {
				if !errors.Is(err, core.ErrInvalid) {
					t.Fatalf("want an invalid report, got %v", err)
				}
				return
			}
			if noRuns(want) {
				refusedWithoutRuns(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			compare(t, want, got)
		})
	}
}

// noRuns tells whether a recorded log has an empty list of runs.
func noRuns(want reportstest.Recorded) bool {
	name := filepath.Base(want.Path)
	return name == "Empty runs.sarif" || strings.Contains(want.Path, "NessusConverter") && name == "InvalidResults.sarif"
}

// tellsOfErrors tells whether a recorded log has a notification of an error.
func tellsOfErrors(want reportstest.Recorded) bool {
	switch filepath.Base(want.Path) {
	case "NotificationExceptionWithStack.sarif", "NestedInnerExceptionsInNotifications.sarif":
		return true
	}
	return false
}

func refusedWithoutRuns(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "no runs") {
		t.Errorf("want an invalid report, got %v", err)
	}
}

func compare(t *testing.T, want reportstest.Recorded, got core.Report) {
	t.Helper()
	if got.Results != want.Results {
		t.Errorf("want %d results, got %d", want.Results, got.Results)
	}
	if len(got.Findings)+got.Skipped != got.Results {
		t.Errorf("%d results are not %d findings and %d skipped", got.Results, len(got.Findings), got.Skipped)
	}
	failed := want.Features["executionSuccessful=false"] > 0 || want.Results == 0 && tellsOfErrors(want)
	if failed != (got.Failure != "") && want.Features["external property files"] == 0 {
		t.Errorf("unexpected failure %q", got.Failure)
	}
	scored := want.Features["rule security-severity"] + want.Features["result security-severity"]
	if scored == 0 && got.Skipped == 0 {
		compareSeverities(t, want, got)
	}
}

func compareSeverities(t *testing.T, want reportstest.Recorded, got core.Report) {
	t.Helper()
	severities := make(map[core.Severity]int)
	for _, finding := range got.Findings {
		severities[finding.Severity]++
	}
	for level, number := range want.Levels {
		severities[core.SeverityFromLevel(level)] -= number
	}
	for severity, surplus := range severities {
		if surplus != 0 {
			t.Errorf("%s: %+d findings more than the levels %v say", severity, surplus, want.Levels)
		}
	}
}

func TestPackedReportsSayTheSame(t *testing.T) {
	t.Parallel()
	directory := reportstest.Testdata(t)
	for _, recorded := range reportstest.Manifest(t, directory) {
		t.Run(recorded.Path, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(filepath.Join(directory, recorded.Path))
			if err != nil {
				t.Fatal(err)
			}
			reportstest.CheckPacked(t, raw, reports.Limits{})
		})
	}
}

func TestPackedReportsHaveSeveralRuns(t *testing.T) {
	t.Parallel()
	run := `{"results":[{"ruleId":"a","ruleIndex":0},{"ruleId":"b","suppressions":[{"kind":"inSource"}]}],
		"tool":{"driver":{"name":"x","rules":[{"id":"a","shortDescription":{"text":"A"}}]}}}`
	reportstest.CheckPacked(t, []byte(`{"version":"2.1.0","runs":[`+run+`,`+strings.Replace(run, "x", "y", 1)+`]}`), reports.Limits{})
}

// minimal is the least that one would decode of SARIF with json.Unmarshal: what Parse is measured against.
type minimal struct {
	Version string
	Runs    []struct {
		Tool struct {
			Driver struct {
				Name  string
				Rules []struct{ ID, Name string }
			}
		}
		Results []struct {
			RuleID    string
			RuleIndex int
			Level     string
			Message   struct{ Text string }
			Locations []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI string }
					Region           struct {
						StartLine, EndLine int
						Snippet            struct{ Text string }
					}
				}
			}
			PartialFingerprints map[string]string
		}
	}
}

// generate writes a SARIF log as large scanners do: results before the tool, a few hundred rules, thousands of files.
func generate(results int) []byte {
	var out bytes.Buffer
	out.WriteString(`{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{"results":[`)
	for i := range results {
		if i > 0 {
			out.WriteString(",\n")
		}
		fmt.Fprintf(&out, `{"ruleId":"pack/rule-%[1]d","ruleIndex":%[1]d,"level":"warning","message":{"text":`+
			`"The value %[2]d flows from a request into a query without being checked first."},"locations":[{`+
			`"physicalLocation":{"artifactLocation":{"uri":"src/module%[3]d/file%[3]d.go","uriBaseId":"%%SRCROOT%%",`+
			`"index":%[3]d},"region":{"startLine":%[4]d,"startColumn":3,"endLine":%[4]d,"endColumn":40,"snippet":{`+
			`"text":"rows, err := db.Query(\"SELECT \" + name%[2]d)"}}}}],"partialFingerprints":{`+
			`"primaryLocationLineHash":"%016[2]x:1"},"rank":50.0}`, i%300, i, i%4000, i%900+1)
	}
	out.WriteString(`],"tool":{"driver":{"name":"bench","rules":[`)
	for i := range 300 {
		if i > 0 {
			out.WriteString(",")
		}
		fmt.Fprintf(&out, `{"id":"pack/rule-%d","name":"Rule","shortDescription":{"text":"A rule"},`+
			`"properties":{"tags":["security","external/cwe/cwe-089"],"security-severity":"7.5"}}`, i)
	}
	out.WriteString(`]}}}]}`)
	return out.Bytes()
}

func BenchmarkParse(b *testing.B) {
	raw := generate(100_000)
	var report core.Report
	parse := func() {
		var err error
		report, err = reports.Parse(bytes.NewReader(raw), reports.Limits{})
		if err != nil || report.Results != 100_000 {
			b.Error(report.Results, err)
		}
	}
	var log minimal
	unmarshal := func(into any) func() {
		return func() {
			log = minimal{}
			if err := json.Unmarshal(raw, into); err != nil {
				b.Error(err)
			}
		}
	}
	var tree any
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	var ours, theirs, trees time.Duration
	for b.Loop() {
		ours += timed(parse)
		b.StopTimer()
		theirs += timed(unmarshal(&log))
		tree = nil
		trees += timed(unmarshal(&tree))
		b.StartTimer()
	}
	b.ReportMetric(float64(ours)/float64(theirs), "x/struct")
	b.ReportMetric(float64(ours)/float64(trees), "x/any")
	log, tree, report = minimal{}, nil, core.Report{}
	b.ReportMetric(peak(parse), "peak-MB")
	b.ReportMetric(kept(&report), "kept-MB")
	b.ReportMetric(peak(unmarshal(&log)), "struct-peak-MB")
}

func timed(work func()) time.Duration {
	runtime.GC()
	start := time.Now()
	work()
	return time.Since(start)
}

// kept is what the report itself takes of the heap.
func kept(report *core.Report) float64 {
	var with, without runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&with)
	*report = core.Report{}
	runtime.GC()
	runtime.ReadMemStats(&without)
	return float64(with.HeapAlloc-without.HeapAlloc) / (1 << 20)
}

// peak is how far the live heap grew while work ran, sampled every millisecond.
func peak(work func()) float64 {
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	highest := before.HeapAlloc
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return float64(highest-before.HeapAlloc) / (1 << 20)
		case <-ticker.C:
			runtime.ReadMemStats(&now)
			highest = max(highest, now.HeapAlloc)
		}
	}
}

// What a tool says of its own run is coverage: errors, and warnings that a file was not read.
func TestNotificationsAreCoverage(t *testing.T) {
	t.Parallel()
	const result = `{"ruleId":"a","locations":[{"physicalLocation":{"artifactLocation":{"uri":"b.js"}}}]}`
	at := func(uri string) string {
		return `"locations":[{"physicalLocation":{"artifactLocation":{"uri":"` + uri + `","uriBaseId":"ROOT"}}}]`
	}
	for name, test := range map[string]struct {
		notification, results, want string
	}{
		"error in a file":      {`{"level":"error","message":{"text":"no"},` + at("src/a.js") + `}`, result, "src/a.js"},
		"error":                {`{"level":"error","message":{"text":"no"}}`, result, "+1"},
		"error and no results": {`{"level":"error","message":{"text":"no"}}`, ``, "+1 failed"},
		"warning":              {`{"level":"warning","message":{"text":"rule x is old"},` + at("src/a.js") + `}`, result, ""},
		"note":                 {`{"level":"note","message":{"text":"syntax error"},` + at("src/a.js") + `}`, result, ""},
		"parse error":          {`{"message":{"text":"Parsing failed"},` + at("src/a.js") + `}`, ``, "src/a.js"},
		"syntax error by text": {`{"descriptor":{"id":"Syntax error"},"level":"warning","message":{"text":"Syntax error at line src/a.js:3:\n x"}}`, ``, "src/a.js"},
		"timeout by text":      {`{"descriptor":{"id":"Timeout"},"level":"warning","message":{"text":"Timeout when running a.b on src/a b.js:\n "}}`, ``, "src/a b.js"},
		"timeout anywhere":     {`{"level":"warning","message":{"text":"The analysis timed out"}}`, result, "+1"},
	} {
		report := reportstest.MustParse(t, reportstest.SARIF(`"tool":{"driver":{"name":"x"}},"results":[`+test.results+`],
			"originalUriBaseIds":{"ROOT":{"uri":"file:///home/ci/shop/"}},
			"invocations":[{"executionSuccessful":true,"toolExecutionNotifications":[`+test.notification+`]}]`))
		got := ""
		if report.Coverage != nil {
			left := report.Coverage.Left[0]
			got = strings.Join(left.Names, " ")
			if left.Hidden() > 0 {
				got = fmt.Sprintf("+%d", left.Hidden())
			}
		}
		if report.Failure != "" {
			got += " failed"
		}
		if got != test.want {
			t.Errorf("%s: left out %q, want %q", name, got, test.want)
		}
	}
}
