package formats_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/reports/collect"
	"github.com/scanhook/scanhook/internal/reports/formats"
	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

func TestFixturesGolden(t *testing.T) {
	t.Parallel()
	for _, name := range reportstest.Fixtures(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			report, err := reports.Parse(file, reports.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got := reportstest.Render(report)
			if strings.Contains(got, "plainsecret") || strings.Contains(got, "swordfish") {
				t.Errorf("a secret was kept:\n%s", got)
			}
			reportstest.Golden(t, name+".golden", got)
		})
	}
}

func TestFormatsRefuse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ report, want string }{
		"GitLab without vulnerabilities": {
			`{"version":"15.0.0","scan":{"type":"sast"}}`,
			"/vulnerabilities: is missing; a GitLab report without findings has an empty list",
		},
		"GitLab with null": {`{"version":"15.0.0","vulnerabilities":null,"scan":{}}`, "/vulnerabilities: is missing"},
		"result is null": {
			`{"results":[{"check_id":"a"},null],"errors":[]}`,
			"/results/1: must be an object, not null",
		},
		"result is a word": {`{"matches":[{"vulnerability":{}},"x"]}`, "/matches/1: must be an object, not string"},
		"target is a number": {
			`{"SchemaVersion":2,"ArtifactName":"x","Results":[7]}`,
			"/Results/0: must be an object, not a number",
		},
		"results twice": {`{"results":[],"errors":[],"results":[]}`, "/results: occurs twice"},
		"package is a list": {
			`{"Results":[{"Target":"x","Vulnerabilities":[{"PkgName":[]}]}]}`,
			"/Results/0/Vulnerabilities/0/PkgName: must be a string, not array",
		},
		"project is a word":   {`[{"vulnerabilities":[],"packageManager":"npm"},"x"]`, "/1: must be an object, not a string"},
		"CycloneDX":           {`{"bomFormat":"CycloneDX","version":1,"vulnerabilities":[]}`, "unknown format"},
		"npm audit":           {`{"auditReportVersion":2,"vulnerabilities":{},"metadata":{}}`, "unknown format"},
		"osv-scanner":         {`{"results":[{"source":{},"packages":[]}]}`, "unknown format"},
		"another's results":   {`{"results":[]}`, "unknown format"},
		"names every format":  {`{"x":1}`, "semgrep JSON"},
		"a stream of objects": {`{"Target":"x"}` + "\n" + `{"Target":"y"}`, "something follows the end of the report"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := reportstest.Parse(test.report)
			if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want an invalid report with %q, got %v", test.want, err)
			}
		})
	}
}

func TestFormatsKeepLimits(t *testing.T) {
	t.Parallel()
	many := `{"Results":[{"Target":"a.lock","Vulnerabilities":[` + strings.Repeat(`{"PkgName":"x"},`, 2) + `{}]}]}`
	if _, err := reports.Parse(strings.NewReader(many), reports.Limits{MaxResults: 2}); !errors.Is(err, core.ErrTooLarge) {
		t.Errorf("want too large, got %v", err)
	}
	element := `{"PkgName":"` + strings.Repeat("x", 1<<20) + `"},`
	long := `{"Results":[{"Target":"a.lock","Vulnerabilities":[` + strings.Repeat(element, 17) + `{}]}]}`
	report := reportstest.MustParse(t, long)
	if want := 18; report.Results != want || report.Findings[0].File != "a.lock" {
		t.Errorf("want %d results in a.lock, got %d in %q", want, report.Results, report.Findings[0].File)
	}
}

func TestEachFixtureIsClaimedOnce(t *testing.T) {
	t.Parallel()
	for _, name := range reportstest.Fixtures(t) {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := claims(file)
		_ = file.Close()
		if len(claims) != 1 || err != nil {
			t.Errorf("%s: claimed by %q, %v", name, claims, err)
		}
	}
}

func TestNoTwoFormatsClaimOneReport(t *testing.T) {
	t.Parallel()
	directory := reportstest.Testdata(t)
	for _, recorded := range reportstest.Manifest(t, directory) {
		file, err := os.Open(filepath.Join(directory, recorded.Path))
		if err != nil {
			t.Fatal(err)
		}
		claims, err := claims(file)
		_ = file.Close()

		if len(claims) > 1 {
			t.Errorf("%s: %q claim it (%v)", recorded.Path, claims, err)
		}
	}
}

// knownTools are the beginnings of the manifest's names for the tools whose own formats are read.
var knownTools = []string{"semgrep", "trivy", "gitleaks", "gosec", "gitlab_", "snyk", "grype", "checkov", "bandit"}

// notReports are files that the manifest counts to a tool though they are not its reports.
var notReports = map[string]string{
	"summary-ids.json.golden": "a list of ids, made from a report",
	"empty_with_error.json":   "the messages of a package manager",
}

// moreThanCounted are findings in places where the manifest's script does not look, less those that a report repeats, and those of
// another severity.
var moreThanCounted = map[string]map[core.Severity]int{
	// snyk container test: "applications" inside of the image
	"snykcontainer_issue_9270.json": {core.Critical: 1, core.High: 2, core.Medium: 9, core.Low: -7},
	"snykcontainer_issue_epss.json": {core.Critical: 1, core.High: 2, core.Medium: 9},
	// taken out by a VEX document, and so suppressed
	"npm-with-suppressed.json.golden": {core.Low: 1},
	// one vulnerability on several paths
	"all_projects_issue4277.json": {core.High: -18, core.Medium: -14, core.Low: -1},
	// without a word for its severity, but with a score
	"issue_9618.json": {core.High: 1, core.Medium: -1},
	// one finding twice
	"repeated_findings.json": {core.Medium: -1},
	"dd2.json":               {core.Medium: -1},
}

func TestRecordedReportsOfScanners(t *testing.T) {
	t.Parallel()
	directory := reportstest.Testdata(t)
	for _, want := range reportstest.Manifest(t, directory) {
		if want.Family != "native" {
			continue
		}
		t.Run(want.Path, func(t *testing.T) {
			t.Parallel()
			file, err := os.Open(filepath.Join(directory, want.Path))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			got, err := reports.Parse(file, reports.Limits{MaxText: 512})
			_, unlike := notReports[filepath.Base(want.Path)]
			switch {
			case want.MustFail == nil:
			case *want.MustFail || unlike || !supported(want):
				refused(t, want, got, err)
			case err != nil:
				t.Fatal(err)
			default:
				compareFindings(t, want, got)
			}
		})
	}
}

// supported tells whether a recorded report is of a tool whose own format is read.
func supported(r reportstest.Recorded) bool {
	for _, tool := range knownTools {
		if len(r.Tools) > 0 && strings.HasPrefix(r.Tools[0], tool) && !strings.Contains(r.Tools[0], "SBOM") {
			return true
		}
	}
	return false
}

// refused accepts that a report without findings is read whatever tool it comes from: [] says nothing of its author.
func refused(t *testing.T, want reportstest.Recorded, got core.Report, err error) {
	t.Helper()
	switch {
	case err == nil && want.Results == 0 && got.Results == 0 && !*want.MustFail:
		return
	case !errors.Is(err, core.ErrInvalid):
		t.Fatalf("want an invalid report, got %d results and %v", got.Results, err)
	}
	known := strings.Contains(err.Error(), "known are SARIF") || strings.Contains(err.Error(), "not valid JSON") ||
		strings.Contains(err.Error(), "follows the end of the report")
	if !known && !*want.MustFail {
		t.Errorf("the answer does not help: %v", err)
	}
}

func compareFindings(t *testing.T, want reportstest.Recorded, got core.Report) {
	t.Helper()
	if got.Failure != "" {
		t.Errorf("unexpected failure %q", got.Failure)
	}
	if len(got.Findings)+got.Skipped != got.Results {
		t.Errorf("%d results are not %d findings and %d skipped", got.Results, len(got.Findings), got.Skipped)
	}
	surplus, total := make(map[core.Severity]int), -want.Results
	for _, finding := range got.Findings {
		surplus[finding.Severity]++
		total++
		reportstest.CheckStorable(t, finding)
	}
	for word, number := range want.Stated {
		if severity, ok := core.SeverityFromWord(word); ok && word != "(absent)" {
			surplus[severity] -= number
		} else {
			surplus[core.Medium] -= number
		}
	}
	more := 0
	for severity, number := range moreThanCounted[filepath.Base(want.Path)] {
		surplus[severity] -= number
		more += number
	}
	if total != more {
		t.Errorf("%d findings more than the file has", total)
	}
	for severity, number := range surplus {
		if number != 0 && len(want.Stated) > 0 {
			t.Errorf("%s: %+d findings more than %v", severity, number, want.Stated)
		}
	}
}

// claims names the formats that recognize a report.
func claims(r io.Reader) ([]string, error) {
	seen, err := collect.New(r, collect.Limits{}, false).Sniff()
	var names []string
	for _, format := range formats.All {
		if err == nil && format.Recognizes(seen) {
			names = append(names, format.Name)
		}
	}
	return names, err
}

// A file that a tool could not read is left out, once, by the path that its findings have.
func TestFilesThatAToolCouldNotReadAreLeftOut(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"errors":[{"filename":"./app.py","reason":"syntax error"},{"filename":"app.py"}],"generated_at":"","metrics":{},"results":[]}`:                      "app.py",
		`{"errors":[{"filename":7},"x",null],"generated_at":"","metrics":{},"results":[]}`:                                                                    "+3",
		`{"errors":{},"generated_at":"","metrics":{},"results":[]}`:                                                                                           "",
		`{"check_type":"terraform","results":{"failed_checks":[],"parsing_errors":["/main.tf","/b.tf",7]}}`:                                                   "b.tf main.tf +1",
		`{"check_type":"terraform","results":{"failed_checks":[],"parsing_errors":null}}`:                                                                     "",
		`{"results":[],"errors":[{"level":"warn","type":"Syntax error","message":"no","path":"src/a.js"}]}`:                                                   "src/a.js",
		`{"results":[],"errors":[{"level":"error","type":"Timeout","location":{"path":"src/a.js"}}]}`:                                                         "src/a.js failed",
		`{"results":[],"errors":[{"level":"warn","type":["PartialParsing",[]],"spans":[{"file":"src/a.js"}]}]}`:                                               "src/a.js",
		`{"results":[],"errors":[],"paths":{"skipped":[{"path":"big.js","reason":"too_big"},{"path":"x","reason":"other"}]}}`:                                 "big.js",
		`{"results":[],"errors":[],"paths":{"skipped":[{"path":"a.js","reason":"semgrepignore_patterns_match"},{"path":"a.js","reason":"wrong_language"}]}}`:  "a.js",
		`{"results":[],"errors":[],"paths":{"skipped":[{"path":"a.js","reason":"analysis_failed_parser_or_internal_error"}]}}`:                                "a.js",
		`{"Golang errors":{"/src/cart/a.go":[{"line":3,"error":"no"}],"/main.go":[{"line":3,"error":"no"}]},"Issues":[]}`:                                     "./ src/cart/ failed",
		`{"version":"15.0.0","scan":{"status":"success","messages":[{"level":"error","value":"no"}]},"vulnerabilities":[]}`:                                   "+1 failed",
		`{"version":"15.0.0","scan":{"status":"success","messages":[{"level":"warn","value":"Syntax error at line src/a.js:3:\n no"}]},"vulnerabilities":[]}`: "src/a.js",
		`{"version":"15.0.0","scan":{"status":"success","messages":[{"level":"warn","value":"deprecated"}]},"vulnerabilities":[]}`:                            "",
		`[{"ok":true,"packageManager":"npm","vulnerabilities":[]},{"ok":false,"error":"no lock file","path":"/b","displayTargetFile":"b/package.json"}]`:      "b/package.json failed",
		`[{"ok":false,"vulnerabilities":[{"id":"SNYK-1","name":"x","title":"DoS","severity":"low","semver":{}}]},{"ok":false,"error":"no","path":"/b"}]`:      "+1",
		`{"ClusterName":"c","Resources":[{"Kind":"Pod","Name":"a","Error":"no image"},{"Kind":"Pod","Name":"b","Results":[{"Target":"t","Class":"config",
			"Misconfigurations":[{"ID":"KSV001","Severity":"LOW"}]}]}]}`: "+1",
		`{"ClusterName":"c","Resources":[{"Kind":"Pod","Name":"a","Error":"no image"}]}`: "+1 failed",
	} {
		report, err := reportstest.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var left []string
		if report.Coverage != nil {
			omission := report.Coverage.Left[0]
			left = slices.Sorted(slices.Values(omission.Names))
			if hidden := omission.Count - len(left); hidden > 0 {
				left = append(left, "+"+strconv.Itoa(hidden))
			}
		}
		if report.Failure != "" {
			left = append(left, "failed")
		}
		if got := strings.Join(left, " "); got != want {
			t.Errorf("%s: left out %q, want %q", text, got, want)
		}
	}
}

// Where a tool has no word for the severity, or the word unknown, the score decides.
func TestUnknownSeverityIsScored(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"grype, null":    `{"matches":[{"vulnerability":{"id":"CVE-2098-1111","severity":null,"cvss":[{"metrics":{"baseScore":9.8}}]},"artifact":{"name":"x"}}]}`,
		"grype, unknown": `{"matches":[{"vulnerability":{"id":"CVE-2098-1111","severity":"Unknown","cvss":[{"metrics":{"baseScore":5}},{"metrics":{"baseScore":9.8}}]},"artifact":{"name":"x"}}]}`,
		"grype, related": `{"matches":[{"vulnerability":{"id":"GHSA-q2wr-7h4c-m9xp","severity":"Unknown"},"relatedVulnerabilities":[{"id":"CVE-2098-1111","cvss":[{"metrics":{"baseScore":9.8}}]}],"artifact":{"name":"x"}}]}`,
		"trivy, unknown": `{"SchemaVersion":2,"ArtifactName":".","Results":[{"Target":"go.mod","Class":"lang-pkgs","Vulnerabilities":[{"VulnerabilityID":"CVE-2098-1111","PkgName":"x","Severity":"UNKNOWN","CVSS":{"nvd":{"V3Score":9.8}}}]}]}`,
	} {
		if f := reportstest.Only(t, text); f.Severity != core.Critical {
			t.Errorf("%s: %s", name, f.Severity)
		}
	}
}

// Semgrep's platform writes positions as numbers and as texts.
func TestSemgrepPositionsMayBeTexts(t *testing.T) {
	t.Parallel()
	f := reportstest.Only(t, `{"vulns":[{"title":"DoS","advisory":{"ruleId":"r","severity":"HIGH"},"matchedDependency":{"name":"x"},
		"dependencyFileLocation":{"path":"package-lock.json","startLine":"12"}}]}`)
	if f.File != "package-lock.json" || f.Line != 12 {
		t.Errorf("%+v", f)
	}
}

// What formats besides SARIF say of findings is kept too: semgrep's way of the data and its fix, and links.
func TestFormatsKeepDetails(t *testing.T) {
	t.Parallel()
	const semgrep = `{"version":"1","results":[{"check_id":"a.b","path":"./src/a.py","start":{"line":9,"col":3},"end":{"line":9,"col":8},"extra":{
		"message":"m","severity":"ERROR","lines":"x","fix":"esc(x)","dataflow_trace":{
			"taint_source":["CliLoc",[{"path":"src/in.py","start":{"line":1},"end":{"line":2}},"argv"]],
			"intermediate_vars":[{"location":{"path":"src/in.py","start":{"line":3}},"content":"requires login"},7],
			"taint_sink":["CliCall",[[{"path":"src/a.py","start":{"line":8}},"f(x)"],[],["CliLoc",[{"path":"src/f.py","start":{"line":5}},"eval(x)"]]]]}}},
		{"check_id":"odd","path":"b.py","start":{"line":1},"end":{"line":1},"extra":{"message":"m","severity":"ERROR","lines":"x","fix":7,
			"dataflow_trace":{"taint_source":[],"intermediate_vars":{},"taint_sink":["CliCall",["x"]]}}}],"errors":[],"paths":{}}`
	report := reportstest.MustParse(t, semgrep)
	got, _ := details.Unpack(report.Findings[0].Details)
	want := details.Details{
		Flows: []details.Flow{{Steps: []details.Place{
			{File: "src/in.py", Line: 1, EndLine: 2, Code: "argv"}, {File: "src/in.py", Line: 3, EndLine: 3},
			{File: "src/a.py", Line: 8, EndLine: 8, Code: "f(x)"}, {File: "src/f.py", Line: 5, EndLine: 5, Code: "eval(x)", Level: 1}}}},
		Fixes: []details.Fix{{Changes: []details.Change{{File: "src/a.py", Line: 9, EndLine: 9, Column: 3, EndColumn: 8, Text: "esc(x)"}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" || report.Findings[1].Details != "" {
		t.Error(report.Findings[1].Details, diff)
	}
	f := reportstest.Only(t, `{"SchemaVersion":2,"Results":[{"Target":"go.mod","Class":"lang-pkgs","Vulnerabilities":[{"VulnerabilityID":"CVE-2024-0001",
		"PkgName":"p","Severity":"HIGH","PrimaryURL":"https://avd.example/1","References":["https://avd.example/1","https://a.example/","javascript:x"]}]}]}`)
	if links, _ := details.Unpack(f.Details); len(links.Links) != 1 || links.Links[0].URL != "https://a.example/" {
		t.Errorf("links: %+v", links.Links)
	}
	f = reportstest.Only(t, `{"version":"15.0.0","remediations":[7,{"fixes":[{"id":"v1"},{"id":"v2"}],"summary":"Upgrade","diff":"QEAgLTEgKzEgQEAKLWEKK2IK"}],
		"vulnerabilities":[{"id":"v1","severity":"High","location":{"file":"a"},"identifiers":[{"type":"x","name":"n","value":"v","url":"https://a.example/"}],
		"links":[{"url":"https://b.example/"}]}]}`)
	got, _ = details.Unpack(f.Details)
	want = details.Details{Links: []details.Link{{URL: "https://b.example/"}}, Fixes: []details.Fix{{Message: "Upgrade", Diff: "@@ -1 +1 @@\n-a\n+b\n"}}}
	if diff := cmp.Diff(want, got); diff != "" || f.HelpURI != "https://a.example/" {
		t.Error(f.HelpURI, diff)
	}
	f = reportstest.Only(t, `{"version":"14.0.0","remediations":"none","vulnerabilities":[{"id":7,"severity":"High","location":{"file":"a"},"identifiers":[]}]}`)
	if f.Details != "" || f.File != "a" {
		t.Errorf("a number for an id: %+v", f)
	}
}
