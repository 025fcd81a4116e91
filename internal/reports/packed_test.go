package reports_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
)

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

func TestPackedReportsSayTheSame(t *testing.T) {
	t.Parallel()
	directory := testdata(t)
	for _, recorded := range manifest(t, directory) {
		t.Run(recorded.Path, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(filepath.Join(directory, recorded.Path))
			if err != nil {
				t.Fatal(err)
			}
			sameWhenPacked(t, raw, reports.Limits{})
		})
	}
}

func sameWhenPacked(t *testing.T, raw []byte, limits reports.Limits) {
	t.Helper()
	want, open := reports.Parse(bytes.NewReader(raw), limits)
	got, packed := reports.ParsePacked(bytes.NewReader(raw), limits)
	if (open == nil) != (packed == nil) || open != nil && open.Error() != packed.Error() {
		t.Fatalf("want %v, got %v", open, packed)
	}
	if diff := cmp.Diff(want, unpacked(got), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("packed (-want +got):\n%s", diff)
	}
}

func TestPackedReportsHaveSeveralRuns(t *testing.T) {
	t.Parallel()
	run := `{"results":[{"ruleId":"a","ruleIndex":0},{"ruleId":"b","suppressions":[{"kind":"inSource"}]}],
		"tool":{"driver":{"name":"x","rules":[{"id":"a","shortDescription":{"text":"A"}}]}}}`
	sameWhenPacked(t, []byte(`{"version":"2.1.0","runs":[`+run+`,`+strings.Replace(run, "x", "y", 1)+`]}`), reports.Limits{})
}
