package jsonscan_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/jsonscan"

	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

// TestFormatsAreKnownByTheirBeginning asserts that a report is known though only a part of its first result fits into
// what is looked at to tell its format.
func TestFormatsAreKnownByTheirBeginning(t *testing.T) {
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
			reportstest.MustParse(t, text)
		})
	}
}

func TestParseTellsFormatsApart(t *testing.T) {
	t.Parallel()
	finding := `{"rule_id":"a","severity":"low"}`
	tests := map[string]struct {
		report  string
		results int
	}{
		"SARIF by runs":             {reportstest.SARIF(`"results":[{},{}]`), 2},
		"SARIF behind a BOM":        {"\uFEFF" + reportstest.SARIF(`"results":[{}]`), 1},
		"SARIF in an array":         {"[" + reportstest.SARIF(`"results":[{}]`) + "," + reportstest.SARIF(`"results":[{}]`) + "]", 2},
		"SARIF with an empty run":   {`{"runs":[{}],"version":"2.1.0"}`, 0},
		"SARIF without results":     {reportstest.SARIF(`"tool":{"driver":{"name":"staticcheck"}}`), 0},
		"SARIF with null results":   {reportstest.SARIF(`"results":null`), 0},
		"findings":                  {`{"tool":"x","findings":[` + finding + `]}`, 1},
		"items":                     {`{"items":[` + finding + `],"next":""}`, 1},
		"array of findings":         {"\n[" + finding + "," + finding + "]\n", 2},
		"nothing found, bare array": {`[]`, 0},
		"nothing found, null":       {"null\n", 0},
		"format far into the file": {
			`{"$schema":"x/sarif-2.1.0.json","properties":{"pad":"` + strings.Repeat(" ", 1<<17) + `"},` +
				`"version":"2.1.0","runs":[{}]}`,
			0,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := reportstest.MustParse(t, test.report).Results; got != test.results {
				t.Errorf("want %d results, got %d", test.results, got)
			}
		})
	}
}

// A line before the report is named, also where it begins as JSON does.
func TestSniffNamesBanners(t *testing.T) {
	t.Parallel()
	for text, banner := range map[string]bool{
		"[INFO] scanning\n{\"runs\":[]}":            true,
		"2026-01-02 scanning\n[]":                   true,
		"[1/3] scanning\ndone\n[\n]":                true,
		"{\n\"runs\":[]}":                           false,
		"[\n[1],\n{}\n]":                            false,
		"[1,\n{}]":                                  false,
		"{\"a\": \"" + "\\n" + "\",\n\"b\":[\n{}]}": false,
	} {
		_, err := jsonscan.NewCursor(strings.NewReader(text), jsonscan.Options{MaxBytes: 1 << 20, MaxElements: 10}).Sniff()
		if named := err != nil && strings.Contains(err.Error(), "banner"); named != banner {
			t.Errorf("%q: %v", text, err)
		}
	}
}
