package reports_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

// recorded is what the manifest of the shared test data says of a report, read by a script from the raw JSON.
type recorded struct {
	Path     string         `json:"path"`
	Family   string         `json:"family"`
	MustFail *bool          `json:"must_fail"` // null where any clear answer will do
	Results  int            `json:"results"`
	Levels   map[string]int `json:"levels_effective"`
	Stated   map[string]int `json:"levels_stated"` // native formats only
	Tools    []string       `json:"tools"`
	Features map[string]int `json:"features"`
}

// testdata finds the folder that the sessions of the project share; it is not part of the repository.
func testdata(t testing.TB) string {
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
	directory = filepath.Join(directory, "..", "shared", "testdata")
	if _, err := os.Stat(directory); err != nil {
		t.Skip("no shared test data here")
	}
	return directory
}

func manifest(t testing.TB, directory string) []recorded {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(directory, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Scanners []recorded }
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list.Scanners
}

func TestParseRecorded(t *testing.T) {
	t.Parallel()
	directory := testdata(t)
	for _, want := range manifest(t, directory) {
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
			if err != nil {
				t.Fatal(err)
			}
			compare(t, want, got)
		})
	}
}

func compare(t *testing.T, want recorded, got core.Report) {
	t.Helper()
	if got.Results != want.Results {
		t.Errorf("want %d results, got %d", want.Results, got.Results)
	}
	if len(got.Findings)+got.Skipped != got.Results {
		t.Errorf("%d results are not %d findings and %d skipped", got.Results, len(got.Findings), got.Skipped)
	}
	failed := want.Features["executionSuccessful=false"] > 0
	if failed != (got.Failure != "") && want.Features["external property files"] == 0 {
		t.Errorf("unexpected failure %q", got.Failure)
	}
	scored := want.Features["rule security-severity"] + want.Features["result security-severity"]
	if scored == 0 && got.Skipped == 0 {
		compareSeverities(t, want, got)
	}
}

func compareSeverities(t *testing.T, want recorded, got core.Report) {
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
