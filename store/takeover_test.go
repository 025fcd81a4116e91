package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// What a dead process held on an embedded database is free at once for the one that follows.
func TestTakeOverFreesEveryLease(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), storetest.SQLiteURL(t)
	open := func() *store.Store {
		s, err := store.Open(ctx, store.Config{URL: url, Policies: core.Policies{{Match: "**", Policy: storetest.Policy}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		if err := s.TakeOver(ctx); err != nil {
			t.Fatal(err)
		}
		return s
	}
	project := store.KnownProject{SourcePlatform: "github", ProjectName: "acme/shop"}
	claimAll := func(s *store.Store) {
		t.Helper()
		by := store.Claimant{Worker: "w", Scanners: []string{"gitleaks"}, Lease: time.Hour}
		_, _, jobErr := s.ClaimJob(ctx, by)
		statuses, statusErr := s.ClaimStatuses(ctx, []string{"github"}, 1, time.Hour)
		_, hookErr := s.ClaimHookPlace(ctx, "github", time.Hour)
		_, lookErr := s.ClaimProject(ctx, project, time.Hour)
		if err := errors.Join(jobErr, statusErr, hookErr, lookErr); err != nil || len(statuses) != 1 {
			t.Errorf("%d statuses, %v", len(statuses), err)
		}
	}
	doomed := open()
	d, p := storetest.PushOf(1)
	if _, err := doomed.AcceptPush(ctx, d, p); err != nil {
		t.Fatal(err)
	}
	place := store.HookPlace{SourcePlatform: "github", Scope: "project", Owner: "acme/shop"}
	if err := doomed.PutHookPlaces(ctx, []store.HookPlace{place}); err != nil {
		t.Fatal(err)
	}
	claimAll(doomed)
	if err := doomed.Close(); err != nil {
		t.Fatal(err)
	}
	claimAll(open())
}

// Two processes on one file would take each other's work for that of the dead.
func TestTakeOverWaitsForWhoServes(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	var stores [2]*store.Store
	for i := range stores {
		s, err := store.Open(t.Context(), store.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		stores[i] = s
	}
	if err := stores[0].TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := stores[1].TakeOver(t.Context()); !errors.Is(err, core.ErrConflict) {
		t.Errorf("beside a process that serves: %v", err)
	}
	ended := time.AfterFunc(time.Second, func() { _ = stores[0].Close() })
	defer ended.Stop()
	if err := stores[1].TakeOver(t.Context()); err != nil {
		t.Errorf("after it: %v", err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := stores[1].TakeOver(impatient); err == nil {
		t.Error("taking over goes on when it is told to end")
	}
}

// Whichever link leads to a file, it is one file.
func TestTakeOverFollowsLinks(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "scanhook.db")
	link := filepath.Join(t.TempDir(), "link.db")
	for _, path := range []string{file, link} {
		s, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + path})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		patience := time.Minute
		if path == link {
			patience = time.Second
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := s.TakeOver(ctx); (err == nil) != (path == file) {
			t.Errorf("%s: %v", path, err)
		}
		if path == file {
			if err := os.Symlink(file, link); err != nil {
				t.Fatal(err)
			}
		}
	}
}
