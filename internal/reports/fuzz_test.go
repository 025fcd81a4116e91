package reports_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

func FuzzParse(f *testing.F) {
	for _, name := range []string{"rules_after_results.sarif", "findings.json"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	for _, name := range natives(f) {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(raw))
	}
	f.Add("\uFEFF" + sarifRun(`"results":[{"ruleId":"A/b","message":{"text":"{0} [a](1)","arguments":["x"]}}]`))
	f.Add(sarifRun(`"results":[{"locations":[{"physicalLocation":{"artifactLocation":{"uri":"..%2f\\a","index":0}}}]}]`))
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
			checkStorable(t, finding)
		}
		sameWhenPacked(t, []byte(text), reports.Limits{MaxBytes: 1 << 20, MaxText: 512})
		_, fault := core.JSONFault([]byte(text))
		_, err = reports.Parse(strings.NewReader(text), reports.Limits{MaxBytes: 1 << 20, MaxText: 512, Verbatim: true})
		if (err == nil) != (fault == "") {
			t.Fatalf("it holds %q, verbatim: %v", fault, err)
		}
	})
}

// checkStorable asserts what the database and the pages rely on.
func checkStorable(t *testing.T, f core.Finding) {
	t.Helper()
	texts := []string{
		f.Tool, f.RuleID, f.File, f.Title, f.Message, f.CVEID, f.CWE, f.HelpURI, f.Snippet, f.PartialFingerprint,
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
