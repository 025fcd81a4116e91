// Package reportstest helps to test the packages that read and write reports.
package reportstest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

// Recorded is what the manifest of the shared test data says of a report, read by a script from the raw JSON.
type Recorded struct {
	Path     string         `json:"path"`
	Family   string         `json:"family"`
	MustFail *bool          `json:"must_fail"` // null where any clear answer will do
	Results  int            `json:"results"`
	Levels   map[string]int `json:"levels_effective"`
	Stated   map[string]int `json:"levels_stated"` // native formats only
	Tools    []string       `json:"tools"`
	Features map[string]int `json:"features"`
}

// Testdata finds the folder of recorded reports beside the repository, or skips the test.
func Testdata(t testing.TB) string {
	t.Helper()
	directory := filepath.Join(root(t), "..", "shared", "testdata")
	if _, err := os.Stat(directory); err != nil {
		t.Skip("no shared test data here")
	}
	return directory
}

// root is the folder of the repository.
func root(t testing.TB) string {
	t.Helper()
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for directory != "/" {
		if _, err := os.Stat(filepath.Join(directory, "go.mod")); err == nil {
			break
		}
		directory = filepath.Dir(directory)
	}
	return directory
}

// Manifest lists the recorded reports in a folder.
func Manifest(t testing.TB, directory string) []Recorded {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(directory, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Scanners []Recorded }
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list.Scanners
}

// Fixtures are the paths of the reports of scanners that the repository has.
func Fixtures(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root(t), "internal", "reports", "formats", "testdata", "scanners", "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatal("no fixtures", err)
	}
	return names
}

// SARIF wraps the members of a run.
func SARIF(members string) string { return `{"version":"2.1.0","runs":[{` + members + `}]}` }

// Parse reads a report with the default limits.
func Parse(text string) (core.Report, error) {
	return reports.Parse(strings.NewReader(text), reports.Limits{})
}

// MustParse is Parse for a report that is valid.
func MustParse(t testing.TB, text string) core.Report {
	t.Helper()
	report, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Only returns the single finding of a report.
func Only(t testing.TB, text string) core.Finding {
	t.Helper()
	report := MustParse(t, text)
	if len(report.Findings) != 1 {
		t.Fatalf("want 1 finding, got %d", len(report.Findings))
	}
	return report.Findings[0]
}

// Render writes what a report states, without the fields that only the store fills.
func Render(report core.Report) string {
	var out strings.Builder
	fmt.Fprintf(&out, "results %d, skipped %d, failure %q\n", report.Results, report.Skipped, report.Failure)
	for _, f := range report.Findings {
		fmt.Fprintf(&out, "\n%s %s: %s\n", f.Tool, f.RuleID, f.Severity)
		fmt.Fprintf(&out, "  at      %s:%d-%d\n", f.File, f.Line, f.EndLine)
		fmt.Fprintf(&out, "  title   %s\n  message %s\n", f.Title, f.Message)
		fmt.Fprintf(&out, "  ids     %q %q %q\n", f.CVEID, f.CWE, f.HelpURI)
		fmt.Fprintf(&out, "  snippet %q\n  partial %q\n", f.Snippet, f.PartialFingerprint)
		if f.About != (core.About{}) {
			fmt.Fprintf(&out, "  about   %+v\n", f.About)
		}
		if f.Suppressed != nil {
			fmt.Fprintf(&out, "  hidden  %q\n", *f.Suppressed)
		}
	}
	return out.String()
}

var update = flag.Bool("update", false, "write the golden files")

// Golden compares with a file, or writes it with -update.
func Golden(t testing.TB, path, got string) {
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

// CheckStorable asserts what the database and the pages rely on.
func CheckStorable(t testing.TB, f core.Finding) {
	t.Helper()
	texts := []string{
		f.Tool, f.RuleID, f.File, f.Title, f.Message, f.CVEID, f.CWE, f.HelpURI, f.Snippet, f.PartialFingerprint,
		f.About.Package, f.About.Aliases, f.About.Resource, f.About.FormerRules,
	}
	if f.Suppressed != nil {
		texts = append(texts, *f.Suppressed)
	}
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) || len(text) > 512 {
			t.Errorf("a text that cannot be stored: %q", text)
		}
	}
	if strings.HasPrefix(f.File, "/") || strings.HasPrefix(f.File+"/", "../") || strings.Contains(f.File+"/", "/../") {
		t.Errorf("a path outside of the repository: %q", f.File)
	}
	if f.Severity.Rank() == 0 || f.Line < 0 || f.EndLine < f.Line {
		t.Errorf("severity %q, lines %d-%d", f.Severity, f.Line, f.EndLine)
	}
}

// Packed is ParsePacked of a document as one report, whatever categories it has.
func Packed(r io.Reader, limits reports.Limits) (core.Report, error) {
	limits.Category = "all"
	list, err := reports.ParsePacked(r, limits)
	if err != nil {
		return core.Report{}, err
	}
	list[0].Category = ""
	return list[0], nil
}

// CheckPacked asserts that ParsePacked finds the same as Parse, of all categories together.
func CheckPacked(t testing.TB, raw []byte, limits reports.Limits) {
	t.Helper()
	want, open := reports.Parse(bytes.NewReader(raw), limits)
	got, packed := Packed(bytes.NewReader(raw), limits)
	if (open == nil) != (packed == nil) || open != nil && open.Error() != packed.Error() {
		t.Fatalf("want %v, got %v", open, packed)
	}
	if diff := cmp.Diff(want, unpacked(got), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("packed (-want +got):\n%s", diff)
	}
	parts, err := reports.ParsePacked(bytes.NewReader(raw), limits)
	findings := 0
	for _, part := range parts {
		findings += part.Len()
	}
	if (err == nil) != (open == nil) || findings != want.Len() {
		t.Errorf("by category: %d findings, want %d; %v", findings, want.Len(), err)
	}
}

// unpacked is a report with all findings in the open.
func unpacked(report core.Report) core.Report {
	var findings []core.Finding
	for i := range report.Len() {
		var scratch core.Finding
		findings = append(findings, *report.At(i, &scratch))
	}
	report.Findings, report.Packed = findings, nil
	return report
}
