package main

import (
	"context"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	fakegitlab "github.com/scanhook/scanhook/internal/fakeforge/gitlab"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// mergeRequest makes a pipeline of merge request 1 and tells of it, as GitLab does.
func mergeRequest(t *testing.T, w *sandbox, sha string, merged bool) int64 {
	t.Helper()
	id, err := w.platform.AddPipeline("acme/shop", sha, fakegitlab.MergeRequestRef(1, merged), "build")
	if err != nil {
		t.Fatal(err)
	}
	spec := fakeforge.PipelineSpec{Project: "acme/shop", SHA: sha, ID: id, Branch: "feature", MergeRequest: 1, Status: "running"}
	delivery, err := w.platform.Pipeline(t.Context(), w.hookURL(), spec)
	if err != nil || delivery.Status/100 != 2 {
		t.Fatalf("pipeline: %+v, %v", delivery, err)
	}
	return id
}

// finalIn waits for a commit's final status in a pipeline.
func finalIn(t *testing.T, w *sandbox, sha string, pipeline int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.platform.Wait(ctx, func(s fakeforge.Status) bool {
		return s.SHA == sha && s.State != "running" && s.PipelineID == pipeline
	})
	if err != nil {
		t.Fatalf("no final status in pipeline %d: %v; statuses: %+v", pipeline, err, w.platform.Statuses("acme/shop", sha))
	}
}

// onlyIn makes sure that every state of a commit landed in the pipeline, and that GitLab refused none.
func onlyIn(t *testing.T, w *sandbox, sha string, pipeline int64) {
	t.Helper()
	for _, status := range w.platform.Statuses("acme/shop", sha) {
		if status.PipelineID != pipeline {
			t.Errorf("%s %s was posted to pipeline %d, want %d", status.Context, status.State, status.PipelineID, pipeline)
		}
	}
	if refused := w.platform.Refused(); len(refused) > 0 {
		t.Errorf("the platform refused %+v", refused)
	}
}

// The commit that merging would result in is on no branch: only the event of its pipeline tells where it belongs.
func TestMergedResultsGetTheirStatus(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "gitlab"})
	startSandbox(t, w)
	merged := mergedResult(t, sample)
	pipeline := mergeRequest(t, w, merged, true)
	finalIn(t, w, merged, pipeline)
	onlyIn(t, w, merged, pipeline)
}

func mergedResult(t *testing.T, sample gitrepo.Checkout) string {
	t.Helper()
	sha := forgetest.Git(t, sample.Dir, "commit-tree", "-p", sample.Before, "-p", sample.Head, "-m", "Merge", sample.Head+"^{tree}")
	forgetest.Git(t, sample.Dir, "update-ref", fakegitlab.MergeRequestRef(1, true), sha)
	return sha
}

// A branch may have pipelines of its own beside those of its merge request, older and newer ones.
func TestMergeRequestGetsTheStatusOfItsHead(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "gitlab"})
	startSandbox(t, w)
	pipeline := mergeRequest(t, w, sample.Head, false)
	pushTo(t, w, "feature", sample.Before, sample.Head)
	finalIn(t, w, sample.Head, pipeline)
	onlyIn(t, w, sample.Head, pipeline)
}

// People push first and ask for a review then: the merge request shows its own, later pipeline.
func TestMergeRequestAfterThePush(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "gitlab"})
	startSandbox(t, w)
	pushTo(t, w, "feature", "", sample.Head)
	first := finalOf(t, w, sample.Head)
	pipeline := mergeRequest(t, w, sample.Head, false)
	finalIn(t, w, sample.Head, pipeline)
	open := map[int64]string{}
	for _, status := range w.platform.Statuses("acme/shop", sample.Head) {
		if open[status.PipelineID] = status.State; status.PipelineID != pipeline && status.PipelineID != first.PipelineID {
			t.Errorf("%s was posted to pipeline %d, which nobody made", status.State, status.PipelineID)
		}
	}
	if open[first.PipelineID] == "running" || len(w.platform.Refused()) > 0 {
		t.Errorf("left behind: %v; refused: %+v", open, w.platform.Refused())
	}
}
