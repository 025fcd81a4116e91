package reports_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

// nativeTools are the beginnings of the manifest's names for the tools whose own formats are read.
var nativeTools = []string{"semgrep", "trivy", "gitleaks", "gosec", "gitlab_", "snyk", "grype", "checkov", "bandit"}

// notReports are files that the manifest counts to a tool though they are not its reports.
var notReports = map[string]string{
	"summary-ids.json.golden": "a list of ids, made from a report",
	"empty_with_error.json":   "the messages of a package manager",
}

// moreThanCounted are findings in places where the manifest's script does not look.
var moreThanCounted = map[string]map[core.Severity]int{
	// snyk container test: "applications" inside of the image
	"snykcontainer_issue_9270.json": {core.Critical: 1, core.High: 2, core.Medium: 9},
	"snykcontainer_issue_epss.json": {core.Critical: 1, core.High: 2, core.Medium: 9},
	// taken out by a VEX document, and so suppressed
	"npm-with-suppressed.json.golden": {core.Low: 1},
}

func TestParseRecordedNative(t *testing.T) {
	t.Parallel()
	directory := testdata(t)
	for _, want := range manifest(t, directory) {
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
			case *want.MustFail || unlike || !want.supported():
				refused(t, want, got, err)
			case err != nil:
				t.Fatal(err)
			default:
				compareNative(t, want, got)
			}
		})
	}
}

func (r recorded) supported() bool {
	for _, tool := range nativeTools {
		if len(r.Tools) > 0 && strings.HasPrefix(r.Tools[0], tool) && !strings.Contains(r.Tools[0], "SBOM") {
			return true
		}
	}
	return false
}

// refused accepts that a report without findings is read whatever tool it comes from: [] says nothing of its author.
func refused(t *testing.T, want recorded, got core.Report, err error) {
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

func compareNative(t *testing.T, want recorded, got core.Report) {
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
		checkStorable(t, finding)
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
