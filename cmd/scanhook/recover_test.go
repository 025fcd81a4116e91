package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// missedPushes is how many pushes the outage tests let Scanhook miss; SCANHOOK_TEST_MISSED=500 measures the promise.
func missedPushes(t *testing.T) int {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv("SCANHOOK_TEST_MISSED")); err == nil {
		return n
	}
	return 30
}

func gitIn(t *testing.T, dir string, stdin string, args ...string) string {
	t.Helper()
	args = append([]string{"-C", dir, "-c", "user.name=A", "-c", "user.email=a@example.com"}, args...)
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commitOn makes a branch of a repository stand at a new commit on top of another one, without any webhook.
func commitOn(t *testing.T, dir, branch, parent string) string {
	t.Helper()
	sha := gitIn(t, dir, "", "commit-tree", parent+"^{tree}", "-p", parent, "-m", "Missed on "+branch)
	gitIn(t, dir, "", "update-ref", "refs/heads/"+branch, sha)
	return sha
}

// untilLookedAt waits until all projects have had their first look.
func untilLookedAt(t *testing.T, w *sandbox, db *store.Store, projects []string) {
	t.Helper()
	for _, project := range projects {
		inTime(t, "first look at "+project, func() bool {
			watched, err := db.GetTrackedProject(t.Context(), w.kind, project)
			return err == nil && watched.SyncedAt != nil
		})
	}
}

// outage pushes the first commit of each project, kills Scanhook, lets miss happen without a webhook, and brings it
// back.
func outage(t *testing.T, w *sandbox, projects []string, head string, miss func() []string) {
	t.Helper()
	w.release(t)
	doomed := process(t, w)
	db := w.look(t)
	for _, project := range projects {
		first := fakeforge.PushSpec{Project: project, Ref: "refs/heads/main", After: head}
		if _, err := w.push(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	untilLookedAt(t, w, db, projects)
	if err := doomed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = doomed.Wait()
	missed := miss()
	began := time.Now()
	process(t, w)
	for _, sha := range missed {
		inTime(t, "scan of "+sha, func() bool {
			list, err := db.ListScans(t.Context(), store.ScanFilter{CommitSHA: sha, Limit: 5})
			if len(list) > 1 {
				t.Fatalf("%s has %d scans", sha, len(list))
			}
			return err == nil && len(list) == 1 && list[0].Status.Ended() && list[0].Origin == "recover"
		})
	}
	t.Logf("%d missed pushes scanned %s after the return", len(missed), time.Since(began).Round(time.Second/10))
	finalOf(t, w, missed[len(missed)-1])
}

// Scanhook is down while many branches of one repository are pushed, and their webhooks are lost.
func TestOutageManyBranches(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		w, sample := setup(t, sandboxConfig{kind: "github", database: e.URL(t), recover: "2s"})
		outage(t, w, []string{"acme/shop"}, sample.Head, func() (missed []string) {
			for n := range missedPushes(t) {
				missed = append(missed, commitOn(t, sample.Dir, fmt.Sprint("feature/", n), sample.Head))
			}
			return missed
		})
	})
}

// The same with a push to each of many projects.
func TestOutageManyProjects(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "gitlab", recover: "5s"})
	var projects, dirs []string
	for n := range missedPushes(t) {
		project := fmt.Sprint("group/sub/project-", n)
		dir := filepath.Join(t.TempDir(), "project.git")
		gitIn(t, sample.Dir, "", "clone", "--quiet", "--bare", "--shared", sample.Dir, dir)
		w.platform.AddRepository(fakeforge.Repository{Project: project, Dir: dir})
		projects, dirs = append(projects, project), append(dirs, dir)
	}
	outage(t, w, projects, sample.Head, func() (missed []string) {
		for n, dir := range dirs {
			missed = append(missed, commitOn(t, dir, "main", gitIn(t, dir, "", "commit-tree", sample.Head+"^{tree}", "-p",
				sample.Head, "-m", fmt.Sprint(n))))
		}
		return missed
	})
}
