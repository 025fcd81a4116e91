package webhooks_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// runFacts are what a script read from a recorded payload, and what a row must say.
type runFacts struct {
	Project    string   `json:"project"`
	RepoURL    string   `json:"repo_url"`
	Branch     string   `json:"branch"`
	Tag        string   `json:"tag"`
	CommitSHA  string   `json:"commit_sha"`
	Duration   *float64 `json:"duration_seconds"`
	PipelineID int64    `json:"pipeline_id"`
	Artifact   *int64   `json:"artifact_bytes"`
	Status     string   `json:"status"`
	Conclusion string   `json:"conclusion"`
	Source     string   `json:"source"`
}

// Every recorded pipeline becomes a row that says what the payload says, on a scan that the pipeline itself made.
func TestRecordedPipelinesBecomeRows(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "shared", "testdata")
	manifest, err := os.ReadFile(filepath.Join(root, "manifest.json"))
	if err != nil {
		t.Skip("no recorded payloads beside this checkout")
	}
	var recorded struct {
		Webhooks []struct {
			Path, Platform, Event, Kind string
			Facts                       runFacts
		}
	}
	if err := json.Unmarshal(manifest, &recorded); err != nil {
		t.Fatal(err)
	}
	for _, w := range recorded.Webhooks {
		if w.Kind != "pipeline" {
			continue
		}
		t.Run(w.Path, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(filepath.Join(root, w.Path))
			if err != nil {
				t.Fatal(err)
			}
			policy := storetest.Policy
			policy.Tags = []string{"**"}
			s := storetest.Open(t, store.Config{Policies: core.Policies{{Match: "**", Policy: policy}}})
			delivery := seal(t, w.Platform, w.Event, string(body))
			got := send(t, serve(t, s), "/webhooks/"+w.Platform, delivery.Header, delivery.Body)
			if got.Status != http.StatusAccepted || got.Outcome != core.PipelineRecorded {
				t.Fatalf("answer = %+v", got)
			}
			w.Facts.check(t, s, w.Platform, got.Scan)
		})
	}
}

func (want runFacts) check(t *testing.T, s *store.Store, platform, reference string) {
	t.Helper()
	scan, err := s.GetScan(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := s.ListMetrics(t.Context(), store.MetricFilter{Platform: platform, Project: want.Project, Limit: 2})
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	run := runs[0]
	got := runFacts{
		Project: run.ProjectName, RepoURL: scan.RepoURL, Branch: scan.Branch, CommitSHA: run.CommitSHA,
		Duration: run.BuildDurationSeconds, PipelineID: run.PipelineID, Artifact: run.ArtifactSizeBytes,
		Status: run.Status, Source: run.Source,
	}
	want.Branch += want.Tag
	if want.Conclusion != "" && want.Status == "completed" {
		want.Status = want.Conclusion
	}
	want.Tag, want.Conclusion = "", ""
	if want.Duration != nil {
		*want.Duration = max(*want.Duration, 0) // times in the wrong order tell no duration below zero
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

const pipelineBody = `{"object_kind":"pipeline","object_attributes":{"id":31,"ref":"main","tag":false,
	"sha":"` + head + `","source":"SOURCE","status":"success",
	"created_at":"2026-11-23 12:00:00 UTC","finished_at":"2026-11-23 12:01:00 UTC",
	"duration":60.5,"queued_duration":null,"variables":[{"key":"DEPLOY_TOKEN","value":"swordfish-4711"}]},
	"project":{"id":7,"path_with_namespace":"acme/shop","web_url":"https://gitlab.com/acme/shop","default_branch":"main"},
	"builds":[{"id":1,"artifacts_file":{"filename":null,"size":null}},
		{"id":2,"artifacts_file":{"filename":"a.zip","size":12}}]}`

// A pipeline's variables may be secrets: nothing of them is kept, whatever kind of hook brings them.
func TestPipelineVariablesAreNotKept(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"Pipeline Hook", "System Hook"} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			url := storetest.SQLiteURL(t)
			s, err := store.Open(t.Context(), store.Config{
				URL: url, Policies: core.Policies{{Match: "**", Policy: storetest.Policy}},
			})
			if err != nil {
				t.Fatal(err)
			}
			delivery := seal(t, "gitlab", event, strings.ReplaceAll(pipelineBody, "SOURCE", "push"))
			got := send(t, serve(t, s), "/webhooks/gitlab", delivery.Header, delivery.Body)
			if got.Outcome != core.PipelineRecorded {
				t.Errorf("answer = %+v", got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(strings.TrimPrefix(url, "sqlite:") + "*")
			if err != nil || len(files) == 0 {
				t.Fatalf("no database at %s: %v", url, err)
			}
			for _, file := range files {
				content, err := os.ReadFile(file)
				if err != nil || bytes.Contains(content, []byte("swordfish")) || bytes.Contains(content, []byte("DEPLOY_TOKEN")) {
					t.Errorf("%s holds the pipeline's variables (%v)", file, err)
				}
			}
		})
	}
}

// The statuses that we post come back as pipelines of the source external.
func TestExternalPipelinesAreIgnored(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, store.Config{})
	delivery := seal(t, "gitlab", "Pipeline Hook", strings.ReplaceAll(pipelineBody, "SOURCE", "external"))
	got := send(t, serve(t, s), "/webhooks/gitlab", delivery.Header, delivery.Body)
	if got.Status != http.StatusAccepted || got.Outcome != core.OutcomeIgnored {
		t.Errorf("answer = %+v", got)
	}
	if scans, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 1}); err != nil || len(scans) > 0 {
		t.Errorf("%d scans, %v", len(scans), err)
	}
}
