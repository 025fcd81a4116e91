package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/store/storetest"
)

// beMain makes the test binary behave as scanhook itself, so that a test can kill a real process.
const beMain = "SCANHOOK_TEST_BE_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(beMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// setup builds a sandbox with the sample repository in it; Scanhook is not running yet.
func setup(t *testing.T, cfg sandboxConfig) (*sandbox, fakeforge.Checkout) {
	t.Helper()
	cfg.dir, cfg.host = t.TempDir(), storetest.Host()
	cfg.log = slog.New(slog.NewTextHandler(&testWriter{t}, nil))
	w, err := newSandbox(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	sample, err := fakeforge.SampleRepository(t.Context(), filepath.Join(cfg.dir, "sample"))
	if err != nil {
		t.Fatal(err)
	}
	w.platform.AddRepository(fakeforge.Repository{Project: "acme/shop", Dir: sample.Dir, DefaultBranch: "main"})
	return w, sample
}

// testWriter gives Scanhook's log to the test, which shows it when it fails.
type testWriter struct{ t *testing.T }

func (w *testWriter) Write(line []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(line)))
	}
	return len(line), nil
}

// patience is how long tests wait for what shall come at once: machines that run them are busy.
const patience = 3 * time.Minute

func startSandbox(t *testing.T, w *sandbox) {
	t.Helper()
	if err := w.start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func pushTo(t *testing.T, w *sandbox, branch, before, after string) fakeforge.Delivery {
	t.Helper()
	spec := fakeforge.PushSpec{Project: "acme/shop", Ref: "refs/heads/" + branch, Before: before, After: after}
	delivery, err := w.push(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return delivery
}

// finalOf waits for a commit's final status.
func finalOf(t *testing.T, w *sandbox, sha string) fakeforge.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	status, err := w.final(ctx, sha)
	if err != nil {
		t.Fatalf("no final status of %s: %v; calls: %+v", sha, err, w.platform.Calls())
	}
	return status
}

var kinds = []string{"github", "gitlab"}

func TestDemo(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			if code := run(t.Context(), []string{"demo", "--once", "--platform", kind}, &out, &errs); code != 0 {
				t.Fatalf("exit %d: %s", code, errs.String())
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			last := lines[len(lines)-1]
			if !strings.HasPrefix(last, "✗ scanhook fail") || !strings.Contains(last, ": 4 new (3 critical, 1 high), 1 known  Details: http://127.0.0.1:") {
				t.Errorf("last line: %s", last)
			}
		})
	}
}

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
				if first.Description != "1 new (1 high)" || second.Description != "4 new (3 critical, 1 high), 1 known" {
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
