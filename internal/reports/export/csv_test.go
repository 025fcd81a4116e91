package export_test

import (
	"encoding/csv"
	"iter"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports/export"
)

func TestCSVHasARowForEachFinding(t *testing.T) {
	t.Parallel()
	findings := append(samples(), core.Finding{RuleID: "=HYPERLINK(\"http://x\")", File: "@a", Title: "\t-1", Message: "a,\"b\"\nc", AlertNumber: 17})
	rows, err := csv.NewReader(strings.NewReader(exportedAs(t, export.CSV, sampleJobs(), findings...))).ReadAll()
	if err != nil || len(rows) != len(findings)+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	last := map[string]string{}
	for i, column := range rows[0] {
		last[column] = rows[len(rows)-1][i]
	}
	for column, want := range map[string]string{
		"alert": "17", "rule_id": `'=HYPERLINK("http://x")`, "file": "'@a", "title": "'\t-1", "message": "a,\"b\"\nc", "line": "", "epss": "",
	} {
		if last[column] != want {
			t.Errorf("%s is %q, want %q", column, last[column], want)
		}
	}
	if reason := rows[2][13]; reason != "nosemgrep; Marked as a false positive in Scanhook." {
		t.Errorf("dismissed because of %q", reason)
	}
}

func TestCSVSaysThatItBrokeOff(t *testing.T) {
	t.Parallel()
	source := func(string, bool) iter.Seq2[core.Finding, error] {
		return func(yield func(core.Finding, error) bool) {
			if yield(samples()[0], nil) {
				yield(core.Finding{}, errBroken)
			}
		}
	}
	document, err := export.New(core.Scan{}, nil, source, export.CSV)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := document.Write(&out); err == nil || !strings.HasSuffix(out.String(), "incomplete: the export broke off; try again\n") {
		t.Errorf("%v: %s", err, out.String())
	}
}
