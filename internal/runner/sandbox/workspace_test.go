package sandbox_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
)

func TestWorkspaceIsPrivate(t *testing.T) {
	t.Parallel()
	space := sandboxtest.Open(t)
	for _, dir := range []string{space.Root, space.Source, space.Home, space.Temp, space.Reports} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("want %s for us alone, got %v, %v", dir, info, err)
		}
	}
}

// As root, nothing is without permission; the test says more for other users.
func TestWorkspaceIsRemovedWithoutWritePermission(t *testing.T) {
	t.Parallel()
	space := sandboxtest.Open(t)
	gittest.Write(t, space.Source, gittest.Files{"a/b/c": "d"})
	for _, path := range []string{"a/b/c", "a/b", "a"} {
		if err := os.Chmod(filepath.Join(space.Source, path), 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRemoveStale(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	now := time.Now()
	locks := map[string]*flock.Flock{}
	for name, age := range map[string]time.Duration{
		sandbox.DirPrefix + "old": 2 * sandbox.StaleAge, sandbox.DirPrefix + "new": sandbox.StaleAge / 2, "other": 2 * sandbox.StaleAge,
		sandbox.DirPrefix + "held": 2 * sandbox.StaleAge,
	} {
		dir := filepath.Join(parent, name)
		gittest.Write(t, dir, gittest.Files{"a": "b"})
		lock, err := sandbox.LockDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		locks[name] = lock
		if err := os.Chtimes(dir, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	held := locks[sandbox.DirPrefix+"held"]
	for _, lock := range locks {
		if lock != held {
			_ = lock.Close()
		}
	}
	sandbox.RemoveStale(parent, now.Add(-sandbox.StaleAge))
	if left := glob(parent, "*"); len(left) != 3 || len(glob(parent, "*old")) > 0 {
		t.Errorf("want the old workspace gone, got %q", left)
	}
	_ = held.Close()
	sandbox.RemoveStale(parent, now.Add(-sandbox.StaleAge))
	if left := glob(parent, "*held"); len(left) > 0 {
		t.Errorf("want what nobody holds any more gone, got %q", left)
	}
}
