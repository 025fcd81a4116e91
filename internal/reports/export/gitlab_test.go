package export_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports/export"
	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

// The schemas in testdata say what GitLab asks of these reports, in our own words.
func TestGitLabReportsAreValid(t *testing.T) {
	t.Parallel()
	for schema, format := range map[string]export.Format{"codequality": export.CodeQuality, "sast": export.SAST} {
		compiled, err := jsonschema.NewCompiler().Compile(filepath.Join("testdata", schema+".schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{
			"everything": exportedAs(t, format, sampleJobs(), samples()...),
			"hostile":    exportedAs(t, format, nil, hostile()...),
			"nothing":    exportedAs(t, format, nil),
		} {
			document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err != nil {
				t.Fatalf("%s of %s: %v\n%s", schema, what, err, text)
			}
			if err := compiled.Validate(document); err != nil {
				t.Errorf("%s of %s: %v\n%.500s", schema, what, err, text)
			}
		}
	}
}

// hostile are findings that say too little, or too much.
func hostile() []core.Finding {
	long := strings.Repeat("ü", 2<<20)
	return []core.Finding{
		{Severity: core.Low},
		{Severity: core.Low},
		{Tool: long, RuleID: long, Title: long, Message: long, File: "/etc/passwd", Line: -3, Severity: core.High, HelpURI: "javascript:alert(1)"},
		{Title: "\n\x1b[31m\u202e", RuleID: "r", File: "a", EndLine: 1, Severity: core.Critical, CWE: "CWE-", VulnerabilityIDs: "cve- -1 GHSA-x"},
	}
}

func TestGitLabKnowsFindingsAgain(t *testing.T) {
	t.Parallel()
	before := core.Finding{Tool: "gosec", RuleID: "G304", File: "a.go", Line: 3, Severity: core.High, AlertID: 7, Fingerprint: "v2:1"}
	after := before
	after.File, after.Line, after.Fingerprint = "b.go", 9, "v2:2"
	twin := after
	was, is := fingerprintsOf(t, before), fingerprintsOf(t, after, twin)
	if was[0] != is[0] {
		t.Errorf("a finding that moved is another one: %s, %s", was[0], is[0])
	}
	if is[0] == is[1] {
		t.Error("GitLab folds two findings into one")
	}
}

func fingerprintsOf(t *testing.T, findings ...core.Finding) (list []string) {
	t.Helper()
	var entries []struct{ Fingerprint string }
	if err := json.Unmarshal([]byte(exportedAs(t, export.CodeQuality, nil, findings...)), &entries); err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		list = append(list, entry.Fingerprint)
	}
	return list
}

func TestSASTReadsBack(t *testing.T) {
	t.Parallel()
	report := reportstest.MustParse(t, exportedAs(t, export.SAST, nil, samples()...))
	var got []string
	for _, f := range report.Findings {
		got = append(got, strings.Join([]string{f.Tool, f.RuleID, f.File, string(f.Severity), f.CWE}, " "))
	}
	want := []string{"gosec G304 cmd/a b#1.go Critical CWE-22", "gosec G101 old.go High ", "trivy GHSA-1 C:/x.lock Medium "}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("open findings are\n%q, want\n%q", got, want)
	}
	failed := reportstest.MustParse(t, exportedAs(t, export.SAST, sampleJobs(), samples()...))
	if !strings.Contains(failed.Failure, "no database") {
		t.Errorf("the failed scanner is not told: %q", failed.Failure)
	}
}

// exportedAs writes findings in a format.
func exportedAs(t *testing.T, format export.Format, jobs []core.Job, findings ...core.Finding) string {
	t.Helper()
	var out strings.Builder
	if err := writeAs(&out, format, jobs, findings); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
