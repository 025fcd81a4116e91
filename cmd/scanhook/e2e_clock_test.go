package main

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/store/sqldb"
)

// A host's clock that is two hours wrong for a while makes no scan overdue and delays no status, then or afterwards.
func TestClockIsWrongForAWhile(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{"ahead": 2 * time.Hour, "back": -2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, sample := setup(t, sandboxConfig{kind: "github", extra: `
scanners: {later: {upload: true}}
repositories: [{match: "**", scanners: [gitleaks, later], scan_timeout: 1h, supersede: false}]`})
			var wrong atomic.Int64
			began := time.Now()
			w.clock = sqldb.HostClock{
				Wall: func() time.Time { return time.Now().Add(time.Duration(wrong.Load())) },
				Ran:  func() time.Duration { return time.Since(began) },
			}
			startSandbox(t, w)
			pushTo(t, w, "main", "", sample.Before)
			pendingOf(t, w, sample.Before)
			wrong.Store(int64(jump))
			pushTo(t, w, "main", sample.Before, sample.Head)
			pendingOf(t, w, sample.Head)
			time.Sleep(12 * time.Second) // overdue scans are looked for every 10
			wrong.Store(0)
			pushTo(t, w, "again", "", sample.Before)
			for _, sha := range []string{sample.Before, sample.Head} {
				for _, status := range w.platform.Statuses("acme/shop", sha) {
					if status.State != "pending" {
						t.Errorf("%s is %s: %s", sha, status.State, status.Description)
					}
				}
			}
		})
	}
}

// pendingOf waits for a commit's first status.
func pendingOf(t *testing.T, w *sandbox, sha string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.platform.Wait(ctx, func(s fakeforge.Status) bool { return s.SHA == sha })
	if err != nil {
		t.Fatalf("no status of %s: %v", sha, err)
	}
}
