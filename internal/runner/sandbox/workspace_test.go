package sandbox

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

func TestWorkspaceIsPrivate(t *testing.T) {
	t.Parallel()
	space := open(t)
	for _, dir := range []string{space.Root, space.Source, space.Home, space.Temp, space.Reports} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("want %s for us alone, got %v, %v", dir, info, err)
		}
	}
}

// As root, nothing is without permission; the test says more for other users.
func TestWorkspaceIsRemovedWithoutWritePermission(t *testing.T) {
	t.Parallel()
	space := open(t)
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
		dirPrefix + "old": 2 * StaleAge, dirPrefix + "new": StaleAge / 2, "other": 2 * StaleAge,
		dirPrefix + "held": 2 * StaleAge,
	} {
		dir := filepath.Join(parent, name)
		gittest.Write(t, dir, gittest.Files{"a": "b"})
		lock, err := lockDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		locks[name] = lock
		if err := os.Chtimes(dir, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	held := locks[dirPrefix+"held"]
	for _, lock := range locks {
		if lock != held {
			_ = lock.Close()
		}
	}
	RemoveStale(parent, now.Add(-StaleAge))
	if left := glob(parent, "*"); len(left) != 3 || len(glob(parent, "*old")) > 0 {
		t.Errorf("want the old workspace gone, got %q", left)
	}
	_ = held.Close()
	RemoveStale(parent, now.Add(-StaleAge))
	if left := glob(parent, "*held"); len(left) > 0 {
		t.Errorf("want what nobody holds any more gone, got %q", left)
	}
}
