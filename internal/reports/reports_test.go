package reports_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

var update = flag.Bool("update", false, "write the golden files")

func parse(text string) (core.Report, error) {
	return reports.Parse(strings.NewReader(text), reports.Limits{})
}

// sarifRun wraps the members of a run.
func sarifRun(members string) string { return `{"version":"2.1.0","runs":[{` + members + `}]}` }

func mustParse(t *testing.T, text string) core.Report {
	t.Helper()
	report, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// only returns the single finding of a report.
func only(t *testing.T, text string) core.Finding {
	t.Helper()
	report := mustParse(t, text)
	if len(report.Findings) != 1 {
		t.Fatalf("want 1 finding, got %d", len(report.Findings))
	}
	return report.Findings[0]
}

func TestParseGolden(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rules_after_results.sarif", "findings.json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := os.Open(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			report, err := reports.Parse(file, reports.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", name+".golden"), render(t, report))
		})
	}
}

// render writes down what a report states, without the fields that only the store fills.
func render(t *testing.T, report core.Report) string {
	t.Helper()
	var out strings.Builder
	fmt.Fprintf(&out, "results %d, skipped %d, failure %q\n", report.Results, report.Skipped, report.Failure)
	for _, f := range report.Findings {
		fmt.Fprintf(&out, "\n%s %s: %s\n", f.Tool, f.RuleID, f.Severity)
		fmt.Fprintf(&out, "  at      %s:%d-%d\n", f.File, f.Line, f.EndLine)
		fmt.Fprintf(&out, "  title   %s\n  message %s\n", f.Title, f.Message)
		fmt.Fprintf(&out, "  ids     %q %q %q\n", f.CVEID, f.CWE, f.HelpURI)
		fmt.Fprintf(&out, "  snippet %q\n  partial %q\n", f.Snippet, f.PartialFingerprint)
		if f.Suppressed != nil {
			fmt.Fprintf(&out, "  hidden  %q\n", *f.Suppressed)
		}
	}
	return out.String()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestParseTellsFormatsApart(t *testing.T) {
	t.Parallel()
	finding := `{"rule_id":"a","severity":"low"}`
	tests := map[string]struct {
		report  string
		results int
	}{
		"SARIF by runs":             {sarifRun(`"results":[{},{}]`), 2},
		"SARIF behind a BOM":        {"\uFEFF" + sarifRun(`"results":[{}]`), 1},
		"SARIF in an array":         {"[" + sarifRun(`"results":[{}]`) + "," + sarifRun(`"results":[{}]`) + "]", 2},
		"SARIF without runs in it":  {`{"runs":[],"version":"2.1.0"}`, 0},
		"SARIF without results":     {sarifRun(`"tool":{"driver":{"name":"staticcheck"}}`), 0},
		"SARIF with null results":   {sarifRun(`"results":null`), 0},
		"findings":                  {`{"tool":"x","findings":[` + finding + `]}`, 1},
		"items":                     {`{"items":[` + finding + `],"next":""}`, 1},
		"array of findings":         {"\n[" + finding + "," + finding + "]\n", 2},
		"nothing found, bare array": {`[]`, 0},
		"nothing found, null":       {"null\n", 0},
		"format far into the file": {
			`{"$schema":"x/sarif-2.1.0.json","properties":{"pad":"` + strings.Repeat(" ", 1<<17) + `"},` +
				`"version":"2.1.0","runs":[]}`,
			0,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := mustParse(t, test.report).Results; got != test.results {
				t.Errorf("want %d results, got %d", test.results, got)
			}
		})
	}
}

func TestParseKeepsErrorsOfTheReader(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	readers := map[string]io.Reader{
		"at once": iotest.ErrReader(broken),
		"later":   io.MultiReader(strings.NewReader(`{"version":"2.1.0","runs":[{"results":[{}`), iotest.ErrReader(broken)),
	}
	for name, reader := range readers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := reports.Parse(reader, reports.Limits{})
			if !errors.Is(err, broken) || errors.Is(err, core.ErrInvalid) {
				t.Errorf("want the reader's error alone, got %v", err)
			}
			if diff := cmp.Diff(core.Report{}, report); diff != "" {
				t.Errorf("half a report was returned (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseByteByByte(t *testing.T) {
	t.Parallel()
	text := sarifRun(`"results":[{"ruleId":"a"},{"ruleId":"b"}]`)
	got, err := reports.Parse(iotest.OneByteReader(strings.NewReader(text)), reports.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mustParse(t, text), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
