package export_test

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports/export"
	"github.com/scanhook/scanhook/internal/reports/reportstest"
)

func TestExportGolden(t *testing.T) {
	t.Parallel()
	reportstest.Golden(t, filepath.Join("testdata", "export.sarif.golden"), exported(t, sampleJobs(), samples()...))
}

func TestExportIsValid(t *testing.T) {
	t.Parallel()
	schema := sarifSchema(t)
	for name, text := range map[string]string{
		"everything": exported(t, sampleJobs(), samples()...),
		"nothing":    exported(t, nil),
		"a failure":  exported(t, []core.Job{{Scanner: "x", State: core.JobFailed}}),
	} {
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sarifSchema is the one of OASIS, which others keep among their test data: with the alternatives of a region moved out
// of its properties, where they are no schema.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	file, err := os.Open(filepath.Join(reportstest.Testdata(t), "github__codeql-action", "src", "sarif-schema-2.1.0.json"))
	if err != nil {
		t.Skip("no copy of the schema here")
	}
	defer file.Close()
	document, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	region := document.(map[string]any)["definitions"].(map[string]any)["region"].(map[string]any)
	properties := region["properties"].(map[string]any)
	region["anyOf"] = properties["anyOf"]
	delete(properties, "anyOf")

	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("sarif.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestExportReadsBackTheSame(t *testing.T) {
	t.Parallel()
	findings := samples()
	report := reportstest.MustParse(t, exported(t, sampleJobs(), findings...))
	if report.Skipped != 1 || report.Failure != "trivy: no database" {
		t.Errorf("want the absent finding skipped and the failure kept, got %d and %q", report.Skipped, report.Failure)
	}
	want := findings[:5] // the last one is absent
	sameFindings(t, want, report.Findings)
}

// sameFindings leaves out what only the store knows, and the words of suppressions, of which a reader takes the first.
func sameFindings(t *testing.T, want, got []core.Finding) {
	t.Helper()
	ours := cmpopts.IgnoreFields(core.Finding{}, "JobID", "ScanID", "ID", "Fingerprint", "BaselineState", "TriageDecision", "Dismissed",
		"PartialFingerprint", "About", "Suppressed", "SecretHash", "Former")
	if diff := cmp.Diff(want, got, ours); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range min(len(want), len(got)) {
		if hidden := want[i].Dismissed; hidden != (got[i].Suppressed != nil) {
			t.Errorf("%s: suppressed %v, want %v", want[i].RuleID, got[i].Suppressed, hidden)
		}
	}
}

func TestExportOfEachFixtureReadsBackTheSame(t *testing.T) {
	t.Parallel()
	for _, name := range reportstest.Fixtures(t) {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want := reportstest.MustParse(t, string(raw)).Findings
		document := exported(t, nil, want...)
		got := reportstest.MustParse(t, document).Findings
		for _, f := range want {
			if f.SecretHash != "" && strings.Contains(document, f.SecretHash[1:]) {
				t.Errorf("%s: the hash of a secret is exported: %s", name, document)
			}
		}
		key := func(f core.Finding) string { return fmt.Sprint(f.Tool, f.RuleID, f.Title) }
		sorted := cmpopts.SortSlices(func(a, b core.Finding) bool { return key(a) < key(b) })
		if diff := cmp.Diff(want, got, sorted, cmpopts.IgnoreFields(core.Finding{}, "PartialFingerprint", "About", "SecretHash", "Former")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// An AI's word alone dismisses nothing that only people may: each format shows what the gate counts.
func TestExportsShowWhatCounts(t *testing.T) {
	t.Parallel()
	decision := core.FalsePositive
	counts := core.Finding{Tool: "gosec", RuleID: "counts", File: "a.go", Severity: core.Critical, TriageDecision: &decision}
	hidden := core.Finding{Tool: "gosec", RuleID: "hidden", File: "a.go", Severity: core.High, TriageDecision: &decision, Dismissed: true}
	for _, format := range []export.Format{export.CodeQuality, export.SAST} {
		text := exportedAs(t, format, nil, counts, hidden)
		if !strings.Contains(text, "counts") || strings.Contains(text, "hidden") {
			t.Errorf("%s: %s", format.Name, text)
		}
	}
	for _, format := range []export.Format{export.SARIF, export.CSV} {
		const dismissal = "Marked as a false positive"
		if alone, both := exportedAs(t, format, nil, counts), exportedAs(t, format, nil, hidden); strings.Contains(alone, dismissal) || !strings.Contains(both, dismissal) {
			t.Errorf("%s: %s\n%s", format.Name, alone, both)
		}
	}
}

func TestExportKeepsErrors(t *testing.T) {
	t.Parallel()
	if err := write(brokenWriter{}, nil, samples()); !errors.Is(err, errBroken) {
		t.Errorf("the writer's error is lost: %v", err)
	}
	failing := func(string, bool) iter.Seq2[core.Finding, error] {
		return func(yield func(core.Finding, error) bool) { yield(core.Finding{}, errBroken) }
	}
	if _, err := export.New(core.Scan{}, nil, failing, export.SARIF); !errors.Is(err, errBroken) {
		t.Errorf("the source's error is lost: %v", err)
	}
}

// Only what begins with the rules of a scan needs its findings twice, and only what writes their details needs these, once.
func TestExportsReadFindingsAsOftenAsNeeded(t *testing.T) {
	t.Parallel()
	for _, format := range export.Formats {
		read, want, detailed := 0, 1, 0
		if format.Name == export.SARIF.Name {
			want = 2
		}
		source := func(_ string, withDetails bool) iter.Seq2[core.Finding, error] {
			if withDetails {
				detailed++
			}
			return func(yield func(core.Finding, error) bool) { read++; yield(samples()[0], nil) }
		}
		document, err := export.New(core.Scan{}, nil, source, format)
		if err == nil {
			err = document.Write(io.Discard)
		}
		if err != nil || read != want || detailed != want-1 || format.Detailed != (detailed > 0) {
			t.Errorf("%s reads %d times, want %d, and %d times with details: %v", format.Name, read, want, detailed, err)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

var errBroken = errors.New("broken")

// samples are findings with everything that a finding can say.
func samples() []core.Finding {
	dismissed, reason := core.FalsePositive, "nosemgrep"
	return []core.Finding{
		{
			JobID: 1, Tool: "gosec", RuleID: "G304", File: "cmd/a b#1.go", Line: 3, EndLine: 4, Severity: core.Critical,
			Title: "File inclusion", Message: "A <file> is read: {0} 100%.", CWE: "CWE-22",
			HelpURI: "https://example.com/G304", Snippet: "os.Open(\n\tname)", Fingerprint: "v1:01", BaselineState: core.New,
		},
		{
			JobID: 1, Tool: "gosec", RuleID: "G304", File: "main.go", Line: 9, EndLine: 9, Severity: core.Low,
			Title: "Another title", Message: "m", Fingerprint: "v1:02", BaselineState: core.Unchanged,
			Suppressed: &reason, TriageDecision: &dismissed, Dismissed: true,
		},
		{
			JobID: 1, Tool: "gosec", RuleID: "G101", File: "old.go", Line: 1, EndLine: 1, Severity: core.High, Title: "t",
			Message: "m", Fingerprint: "v2:06", BaselineState: core.Unchanged, Commit: strings.Repeat("c", 40),
		},
		{
			JobID: 2, Tool: "trivy", RuleID: "CVE-2021-23337", Severity: core.High, Title: "lodash@4.17.20", Message: "Runs code.",
			CVEID: "CVE-2021-23337", Fingerprint: "v1:03", BaselineState: core.New, TriageDecision: &dismissed, Dismissed: true,
		},
		{
			JobID: 2, Tool: "trivy", RuleID: "GHSA-1", File: "C:/x.lock", Severity: core.Medium,
			Title: "Like CVE-2020-0001", Message: "Like CVE-2020-0001.", Snippet: "libx 1.0", Fingerprint: "v1:04", BaselineState: core.New,
		},
		{
			JobID: 9, Tool: "gosec", RuleID: "G101", File: "gone.go", Line: 1, EndLine: 1, Severity: core.High, Title: "t",
			Message: "m", Fingerprint: "v1:05", BaselineState: core.Absent,
		},
	}
}

func sampleJobs() []core.Job {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return []core.Job{
		{ID: 1, Scanner: "gosec", State: core.JobCompleted, StartedAt: &now, FinishedAt: &now},
		{ID: 2, Scanner: "trivy", State: core.JobFailed, Error: "no database"},
		{ID: 3, Scanner: "gitleaks", State: core.JobCompleted, StartedAt: &now,
			CoverageJSON: `{"searched":3,"left":[{"reason":"size","count":2,"names":["big.sql"]}]}`},
		{ID: 4, Scanner: "semgrep", State: core.JobRunning},
	}
}

// exported writes findings down as the SARIF of a scan.
func exported(t testing.TB, jobs []core.Job, findings ...core.Finding) string {
	t.Helper()
	var out strings.Builder
	if err := write(&out, jobs, findings); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func write(w io.Writer, jobs []core.Job, findings []core.Finding) error {
	return writeAs(w, export.SARIF, jobs, findings)
}

func writeAs(w io.Writer, format export.Format, jobs []core.Job, findings []core.Finding) error {
	written, err := export.New(core.Scan{
		ReferenceID: "6ba7b810-9dad-41d1-80b4-00c04fd430c8", CommitSHA: strings.Repeat("a1", 20), Branch: "main",
		RepoURL: "https://github.com/acme/shop",
	}, jobs, sourceOf(findings), format)
	if err != nil {
		return err
	}
	return written.Write(w)
}

func sourceOf(findings []core.Finding) export.Source {
	return func(tool string, _ bool) iter.Seq2[core.Finding, error] {
		return func(yield func(core.Finding, error) bool) {
			for _, finding := range findings {
				if (tool == "" || tool == finding.Tool) && !yield(finding, nil) {
					return
				}
			}
		}
	}
}
