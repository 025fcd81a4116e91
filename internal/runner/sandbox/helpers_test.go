package sandbox

import (
	"os"
	"path/filepath"
	"testing"
)

// open makes a workspace that the test removes, and makes sure that nothing of it is left.
func open(t *testing.T) Workspace {
	t.Helper()
	parent := t.TempDir()
	space, err := New(parent, 2<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := space.Remove(); err != nil {
			t.Error(err)
		}
		assertEmpty(t, parent)
	})
	return space
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("%s was left behind", entry.Name())
	}
}

func glob(dir, name string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, name))
	return found
}
