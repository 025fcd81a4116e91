package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// A backup that is taken under load opens as a store, with everything that was acknowledged before it began.
func TestBackupWhilePushesComeIn(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	s, err := store.Open(t.Context(), store.Config{URL: url, Policies: core.Policies{{Match: "**", Policy: storetest.Policy}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d, p := storetest.PushOf(1)
	before := accept(t, s, d, p)
	run(t, s, finding("a", core.High))
	var pushing sync.WaitGroup
	var stop atomic.Bool
	for worker := range 4 {
		pushing.Go(func() {
			for n := 2 + worker; !stop.Load(); n += 4 {
				d, p := storetest.PushOf(n)
				if _, err := s.AcceptPush(t.Context(), d, p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	file := filepath.Join(t.TempDir(), "backup?.db")
	size, err := store.Backup(t.Context(), url, file)
	stop.Store(true)
	pushing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() != size || info.Mode().Perm() != 0o600 {
		t.Errorf("got %+v, %v; want %d bytes for the owner only", info, err, size)
	}
	restored, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = restored.Close() })
	if got := get(t, restored, before.ReferenceID); got.Status != core.ScanCompleted || got.Summary != "1 new (1 high)" {
		t.Errorf("restored %s %q", got.Status, got.Summary)
	}
}

func TestBackupRefusals(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	existing := filepath.Join(directory, "existing.db")
	url := storetest.SQLiteURL(t)
	opened, err := store.Open(t.Context(), store.Config{URL: url})
	if err != nil || opened.Close() != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(existing, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		url, file string
		want      error
	}{
		"the file exists":          {url, existing, core.ErrConflict},
		"no such directory":        {url, filepath.Join(directory, "a", "b.db"), os.ErrNotExist},
		"no such database":         {"sqlite:" + filepath.Join(directory, "other.db"), filepath.Join(directory, "b.db"), core.ErrNotFound},
		"a database on PostgreSQL": {"postgres://u:p@127.0.0.1:1/d", filepath.Join(directory, "b.db"), core.ErrInvalid},
		"not a database":           {"sqlite:" + existing, filepath.Join(directory, "b.db"), nil},
	}
	for name, test := range tests {
		if _, err := store.Backup(t.Context(), test.url, test.file); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	left, err := filepath.Glob(filepath.Join(directory, "*"))
	if err != nil || strings.Join(left, " ") != existing {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
