package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

// largeText is 9 MB of words, the same ones again and again.
func largeText(seed uint64) []byte {
	random, text := rand.New(rand.NewPCG(seed, 1)), []byte{}
	for len(text) < 90_000 {
		text = fmt.Appendf(text, "word%d = %x\n", random.IntN(100), random.Uint64())
	}
	return bytes.Repeat(text, 100)
}

// ranAt is when a commit's scan was asked for, and when its job began; zero if it has not.
func ranAt(t *testing.T, w *sandbox, sha string) (asked, began time.Time) {
	t.Helper()
	var scan struct {
		Timestamp time.Time `json:"timestamp"`
		Jobs      []struct {
			StartedAt time.Time `json:"started_at"`
		} `json:"jobs"`
	}
	ask(t, w, http.MethodGet, "/api/v1/scans/"+scansOf(t, w, sha)[0].Ref, "", &scan)
	return scan.Timestamp, scan.Jobs[0].StartedAt
}

// A project that pushes eight branches, each with 9 MB of text, delays the push of another by one job at most: so many of its jobs begin
// between that push and its own job.
func TestNoisyProjectsDelayOthersByOneJob(t *testing.T) {
	t.Parallel()
	w, quiet := setup(t, sandboxConfig{kind: "github"})
	noisy := filepath.Join(t.TempDir(), "noisy")
	forgetest.Git(t, "", "clone", "--quiet", quiet.Dir, noisy)
	w.platform.AddRepository(fakeforge.Repository{Project: "acme/noisy", Dir: noisy, DefaultBranch: "main"})
	startSandbox(t, w)
	push := func(project, branch, sha string) {
		if _, err := w.push(t.Context(), fakeforge.PushSpec{Project: project, Ref: "refs/heads/" + branch, After: sha}); err != nil {
			t.Fatal(err)
		}
	}
	push("acme/noisy", "main", quiet.Head)
	finalOf(t, w, quiet.Head)
	commits := make([]string, 8)
	for n := range commits {
		forgetest.Git(t, noisy, "checkout", "--quiet", "-b", fmt.Sprint("branch-", n), quiet.Head)
		if err := os.WriteFile(filepath.Join(noisy, "large.txt"), largeText(uint64(n)), 0o600); err != nil {
			t.Fatal(err)
		}
		forgetest.Git(t, noisy, "add", "large.txt")
		forgetest.Git(t, noisy, "commit", "--quiet", "--message", "Add a large text")
		commits[n] = forgetest.Git(t, noisy, "rev-parse", "HEAD")
	}
	for n, sha := range commits {
		push("acme/noisy", fmt.Sprint("branch-", n), sha)
	}
	push("acme/shop", "main", quiet.Before)
	finalOf(t, w, quiet.Before)
	asked, began := ranAt(t, w, quiet.Before)
	ahead, waiting := 0, 0
	for _, sha := range commits {
		switch _, other := ranAt(t, w, sha); {
		case other.IsZero() || other.After(began):
			waiting++
		case other.After(asked):
			ahead++
		}
	}
	t.Logf("of the noisy project's jobs, %d began while the quiet one's waited, and %d later or not yet", ahead, waiting)
	if ahead > 1 {
		t.Errorf("%s waited for %d jobs of another project, want one at most", quiet.Before, ahead)
	}
}
