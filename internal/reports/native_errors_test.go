package reports_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

func TestParseRefusesNatives(t *testing.T) {
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
			_, err := parse(test.report)
			if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want an invalid report with %q, got %v", test.want, err)
			}
		})
	}
}

func TestNativesKeepLimits(t *testing.T) {
	t.Parallel()
	many := `{"Results":[{"Target":"a.lock","Vulnerabilities":[` + strings.Repeat(`{"PkgName":"x"},`, 2) + `{}]}]}`
	if _, err := reports.Parse(strings.NewReader(many), reports.Limits{MaxResults: 2}); !errors.Is(err, core.ErrTooLarge) {
		t.Errorf("want too large, got %v", err)
	}
	element := `{"PkgName":"` + strings.Repeat("x", 1<<20) + `"},`
	long := `{"Results":[{"Target":"a.lock","Vulnerabilities":[` + strings.Repeat(element, 17) + `{}]}]}`
	report := mustParse(t, long)
	if want := 18; report.Results != want || report.Findings[0].File != "a.lock" {
		t.Errorf("want %d results in a.lock, got %d in %q", want, report.Results, report.Findings[0].File)
	}
}

// TestNativesAreKnownByTheirBeginning asserts that a report is known though only a part of its first result fits into
// what is looked at to tell its format.
func TestNativesAreKnownByTheirBeginning(t *testing.T) {
	t.Parallel()
	padding := strings.Repeat(" ", 1<<17)
	tests := map[string]string{
		"semgrep":        `{"results":[{"check_id":"a","path":"` + padding + `"}],"errors":[]}`,
		"semgrep errors": `{"errors":[{"level":"warn","type":"x","message":"` + padding + `"}],"results":[]}`,
		"trivy":          `{"SchemaVersion":2,"ArtifactName":"` + padding + `","Results":[]}`,
		"grype":          `{"matches":[{"vulnerability":{"id":"CVE-2024-0001","description":"` + padding + `"}}]}`,
		"snyk":           `{"vulnerabilities":[{"semver":{},"description":"` + padding + `"}],"ok":false}`,
		"gitlab":         `{"version":"15.0.0","vulnerabilities":[{"location":{},"identifiers":[],"name":"` + padding + `"}]}`,
		"bandit":         `{"errors":[],"generated_at":"","metrics":{"a":"` + padding + `"},"results":[{"test_id":"B1"}]}`,
		"checkov":        `{"check_type":"x","results":{"passed_checks":["` + padding + `"],"failed_checks":[{}]}}`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustParse(t, text)
		})
	}
}
