package sqldb_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

// Only its owner may read a database or a backup.
func TestEmbeddedDatabaseIsItsOwners(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "scanhook.db")
	openDB(t, "sqlite:"+file)
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

// Two processes on one file would each take the other one for dead.
func TestServeWaitsForTheProcessThatServes(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	dbs := [2]*sqldb.DB{openDB(t, url), openDB(t, url)}
	if err := dbs[0].Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := dbs[1].Serve(t.Context()); !errors.Is(err, core.ErrConflict) {
		t.Errorf("beside a process that serves: %v", err)
	}
	ended := time.AfterFunc(time.Second, func() { _ = dbs[0].Close() })
	defer ended.Stop()
	if err := dbs[1].Serve(t.Context()); err != nil {
		t.Errorf("after it: %v", err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dbs[1].Serve(impatient); err == nil {
		t.Error("waiting goes on after its context")
	}
}

// A file is the same through every link to it.
func TestServeFollowsLinks(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "scanhook.db")
	link := filepath.Join(t.TempDir(), "link.db")
	for _, path := range []string{file, link} {
		db := openDB(t, "sqlite:"+path)
		patience := time.Minute
		if path == link {
			patience = time.Second
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := db.Serve(ctx); (err == nil) != (path == file) {
			t.Errorf("%s: %v", path, err)
		}
		if path == file {
			if err := os.Symlink(file, link); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A backup that is taken under load opens as a store, with everything that was acknowledged before it began.
func TestBackupWhilePushesComeIn(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	s := storetest.OpenAt(t, url, store.Config{})
	d, p := storetest.PushOf(1)
	before, err := s.Accept(t.Context(), storetest.With(d, p))
	if err != nil {
		t.Fatal(err)
	}
	report := core.Report{Findings: []core.Finding{{RuleID: "a", File: "a.go", Line: 1, Severity: core.High}}}
	if _, err := s.PutReport(t.Context(), before.Reference, "gitleaks", report); err != nil {
		t.Fatal(err)
	}
	var pushing sync.WaitGroup
	var stop atomic.Bool
	for worker := range 4 {
		pushing.Go(func() {
			for n := 2 + worker; !stop.Load(); n += 4 {
				d, p := storetest.PushOf(n)
				if _, err := s.Accept(t.Context(), storetest.With(d, p)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	file := filepath.Join(t.TempDir(), "backup?.db")
	size, err := sqldb.Backup(t.Context(), url, file)
	stop.Store(true)
	pushing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Size() != size || info.Mode().Perm() != 0o600 {
		t.Errorf("got %+v, %v; want %d bytes for the owner only", info, err, size)
	}
	restored := storetest.OpenAt(t, "sqlite:"+file, store.Config{})
	if got, err := restored.GetScan(t.Context(), before.Reference); err != nil || got.Status != core.ScanCompleted || got.Summary != "1 new (1 high)" {
		t.Errorf("restored %s %q, %v", got.Status, got.Summary, err)
	}
}

func TestBackupRefusals(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	existing := filepath.Join(directory, "existing.db")
	url := storetest.SQLiteURL(t)
	if err := openAndClose(t, url); err != nil {
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
		if _, err := sqldb.Backup(t.Context(), test.url, test.file); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	left, err := filepath.Glob(filepath.Join(directory, "*"))
	if err != nil || strings.Join(left, " ") != existing {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
