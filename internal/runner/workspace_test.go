package runner

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

func TestWorkspaceIsPrivate(t *testing.T) {
	t.Parallel()
	space := open(t)
	for _, dir := range []string{space.root, space.source, space.home, space.temp, space.reports} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("want %s for us alone, got %v, %v", dir, info, err)
		}
	}
}

// As root, nothing is without permission; the test says more for other users.
func TestWorkspaceIsRemovedWithoutWritePermission(t *testing.T) {
	t.Parallel()
	space := open(t)
	write(t, space.source, files{"a/b/c": "d"})
	for _, path := range []string{"a/b/c", "a/b", "a"} {
		if err := os.Chmod(filepath.Join(space.source, path), 0); err != nil {
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
		workspacePrefix + "old": 2 * staleAge, workspacePrefix + "new": staleAge / 2, "other": 2 * staleAge,
		workspacePrefix + "held": 2 * staleAge,
	} {
		dir := filepath.Join(parent, name)
		write(t, dir, files{"a": "b"})
		lock, err := lockDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		locks[name] = lock
		if err := os.Chtimes(dir, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	held := locks[workspacePrefix+"held"]
	for _, lock := range locks {
		if lock != held {
			_ = lock.Close()
		}
	}
	removeStale(parent, now.Add(-staleAge))
	if left := glob(parent, "*"); len(left) != 3 || len(glob(parent, "*old")) > 0 {
		t.Errorf("want the old workspace gone, got %q", left)
	}
	_ = held.Close()
	removeStale(parent, now.Add(-staleAge))
	if left := glob(parent, "*held"); len(left) > 0 {
		t.Errorf("want what nobody holds any more gone, got %q", left)
	}
}
