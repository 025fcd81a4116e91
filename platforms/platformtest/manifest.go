package platformtest

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// recording is a payload that others recorded, with the facts that a script read from it; null is "does not say".
type recording struct {
	Path     string `json:"path"`
	Platform string `json:"platform"`
	Event    string `json:"event"`
	Kind     string `json:"kind"`
	Expect   string `json:"expect"`
	Facts    facts  `json:"facts"`
}

type facts struct {
	Project       string   `json:"project"`
	RepoURL       string   `json:"repo_url"`
	CloneURL      string   `json:"clone_url"`
	Branch        string   `json:"branch"`
	Tag           string   `json:"tag"`
	CommitSHA     string   `json:"commit_sha"`
	Before        string   `json:"before"`
	After         string   `json:"after"`
	Created       bool     `json:"created"`
	Deleted       bool     `json:"deleted"`
	ChangedFiles  *int     `json:"changed_files"`
	Duration      *float64 `json:"duration_seconds"`
	PipelineID    int64    `json:"pipeline_id"`
	ArtifactBytes *int64   `json:"artifact_bytes"`
	Status        string   `json:"status"`
	Conclusion    string   `json:"conclusion"`
	Source        string   `json:"source"`
	Truncated     bool     `json:"-"`
	Listed        int      `json:"commits_listed"`
	Total         *int     `json:"commits_total"`
}

// RunManifest parses every recorded payload of a platform and compares the outcome with the facts of the manifest.
func RunManifest(t *testing.T, platform platforms.Platform, name, eventHeader string) {
	var manifest struct {
		Webhooks []recording `json:"webhooks"`
	}
	if err := json.Unmarshal(Recorded(t, "manifest.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	for _, record := range manifest.Webhooks {
		if record.Platform != name {
			continue
		}
		t.Run(record.Path, func(t *testing.T) {
			t.Parallel()
			header := http.Header{"Content-Type": {"application/json"}}
			header.Set(eventHeader, record.Event)
			delivery, err := platform.Parse(header, Recorded(t, record.Path))
			record.check(t, delivery, err)
		})
	}
}

func (r recording) check(t *testing.T, delivery core.Delivery, err error) {
	if r.Expect == "reject" {
		if !IsInvalid(err) {
			t.Errorf("want core.ErrInvalid, got %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	switch event := delivery.Event.(type) {
	case core.Ignored:
		if r.Expect != "ignore" || event.Reason == "" {
			t.Errorf("want %s, got ignored: %q", r.Kind, event.Reason)
		}
	case core.ObservedStatus:
		if r.Expect != "ignore" || event.ID == 0 {
			t.Errorf("want %s, got a status: %+v", r.Kind, event)
		}
	case core.Request:
		if r.Expect != "ignore" || event.Number <= 0 || event.Target == "" {
			t.Errorf("want %s, got a request: %+v", r.Kind, event)
		}
	case core.Push:
		if r.Event == "merge_group" { // which the manifest does not describe
			return
		}
		compare(t, r.Facts.ofPush(), pushFacts(event))
	case core.Pipeline:
		compare(t, r.Facts.ofPipeline(), pipelineFacts(event))
	}
	if r.Expect == "facts" && delivery.Project != r.Facts.Project {
		t.Errorf("project: want %s, got %s", r.Facts.Project, delivery.Project)
	}
}

func compare(t *testing.T, want, got facts) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

// ofPush drops what only the script knows. A deleted ref has no commit and no files, whatever the payload still lists.
func (f facts) ofPush() facts {
	f.Truncated = f.Total != nil && *f.Total > f.Listed && f.ChangedFiles != nil
	f.Listed, f.Total, f.Source = 0, nil, ""
	if f.Deleted {
		f.CommitSHA, f.ChangedFiles, f.Truncated = "", nil, false
	}
	return f
}

// ofPipeline raises negative durations to zero, as the port promises.
func (f facts) ofPipeline() facts {
	if f.Duration != nil {
		clamped := max(*f.Duration, 0)
		f.Duration = &clamped
	}
	return f
}

func pushFacts(push core.Push) facts {
	return facts{
		Project: push.Project.Name, RepoURL: push.Project.URL, CloneURL: push.Project.CloneURL,
		Branch: push.Branch(), Tag: push.Tag(), CommitSHA: push.CommitSHA, Before: push.Before, After: push.After,
		Created: push.Created, Deleted: push.Deleted,
		ChangedFiles: push.Files.Count, Truncated: push.Files.Truncated,
	}
}

func pipelineFacts(pipeline core.Pipeline) facts {
	found := facts{
		Project: pipeline.Project.Name, RepoURL: pipeline.Project.URL, CloneURL: pipeline.Project.CloneURL,
		Branch: pipeline.Branch, Tag: pipeline.Tag, CommitSHA: pipeline.CommitSHA, PipelineID: pipeline.ID,
		ArtifactBytes: pipeline.ArtifactBytes, Status: pipeline.Status, Conclusion: pipeline.Conclusion,
		Source: pipeline.Source,
	}
	if pipeline.Duration != nil {
		seconds := pipeline.Duration.Seconds()
		found.Duration = &seconds
	}
	return found
}
