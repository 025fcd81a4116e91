package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/scanhook/scanhook/store"
)

// A database is worth as much as its backup, which is its owner's alone.
func TestEmbeddedDatabaseIsItsOwners(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "scanhook.db")
	s, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	found, err := filepath.Glob(file + "*")
	if err != nil || len(found) == 0 {
		t.Fatalf("files %v, %v", found, err)
	}
	for _, path := range found {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want it readable by its owner only", filepath.Base(path), info, err)
		}
	}
}
