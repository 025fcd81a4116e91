// Package sandboxtest opens workspaces for tests.
package sandboxtest

import (
	"os"
	"testing"

	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

const disk = 2 << 30 // bytes that must be free

// Open makes a workspace that the test removes, and makes sure that nothing of it is left.
func Open(t *testing.T) sandbox.Workspace {
	t.Helper()
	parent := t.TempDir()
	space, err := sandbox.New(parent, disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := space.Remove(); err != nil {
			t.Error(err)
		}
		WantEmpty(t, parent)
	})
	return space
}

// WantEmpty reports what is in a folder.
func WantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("%s was left behind", entry.Name())
	}
}
