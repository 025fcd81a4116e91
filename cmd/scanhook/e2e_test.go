package main

import (
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// A push becomes a status on both platforms, through every fault that passes, and without breaking one rule.
func TestPushBecomesStatus(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		for name, queue := range map[string][]fakeforge.Fault{
			"calm":           nil,
			"bad gateway":    {fakeforge.BadGateway()},
			"rate limited":   {fakeforge.RateLimited(time.Second)},
			"answer is lost": {fakeforge.Lost(), fakeforge.Drop()},
			"unknown commit": {fakeForges[kind](fakeforge.Config{}).UnknownCommit("x")},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				w, sample := setup(t, sandboxConfig{kind: kind})
				w.platform.Fail(queue...)
				startSandbox(t, w)
				pushTo(t, w, "main", "", sample.Before)
				first := finalOf(t, w, sample.Before)
				pushTo(t, w, "main", sample.Before, sample.Head)
				second := finalOf(t, w, sample.Head)
				if first.Description != "1 new (1 high)" || second.Description != "4 new (3 critical, 1 high), 1 unresolved, 1 known" {
					t.Errorf("statuses: %q, %q", first.Description, second.Description)
				}
				if refused := w.platform.Refused(); len(refused) > 0 {
					t.Errorf("the platform refused %+v", refused)
				}
			})
		}
	}
}

// All states of a commit land in the pipeline that CI made for the push, none in one of its own.
func TestGitLabStatusLandsInOnePipeline(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "gitlab"})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Head)
	finalOf(t, w, sample.Head)
	newer, err := w.platform.AddPipeline("acme/shop", sample.Head, "main", "nightly")
	if err != nil {
		t.Fatal(err)
	}
	statuses := w.platform.Statuses("acme/shop", sample.Head)
	for _, status := range statuses {
		if status.PipelineID != statuses[0].PipelineID || status.PipelineID == newer {
			t.Errorf("%s was posted to pipeline %d, want %d", status.State, status.PipelineID, statuses[0].PipelineID)
		}
	}
}

// A scan that cannot be done is an answer too: the commit gets its final status, with the reason.
func TestBrokenScannerGetsAnError(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github", extra: `
scanners: {lint: {command: [scanhook-test-no-such-program, "{source}"]}}
repositories: [{match: "**", scanners: [gitleaks, lint]}]`})
	startSandbox(t, w)
	pushTo(t, w, "main", "", sample.Head)
	status := finalOf(t, w, sample.Head)
	if status.State != "error" || !strings.HasPrefix(status.Description, "Scan failed: lint: ") {
		t.Errorf("status = %s %q, want an error that says why", status.State, status.Description)
	}
}
