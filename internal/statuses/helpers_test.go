package statuses

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// fake is a platform that answers posts with what the test queued.
type fake struct {
	platforms.Platform
	mu      sync.Mutex
	errs    []error
	posted  []core.StatusState
	numbers int64
}

func (f *fake) PostStatus(_ context.Context, status core.Status) (platforms.Posted, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		if err != nil {
			return platforms.Posted{}, err
		}
	}
	f.posted = append(f.posted, status.State)
	f.numbers++
	return platforms.Posted{PipelinePin: "pin", ID: f.numbers, Code: http.StatusCreated}, nil
}

type bench struct {
	*Poster
	sender   *sender
	store    *store.Store
	platform *fake
	log      *bytes.Buffer
	now      time.Time
}

func setup(t *testing.T, errs ...error) *bench {
	t.Helper()
	b := &bench{platform: &fake{errs: errs}, log: &bytes.Buffer{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return b.now }
	b.store = storetest.Open(t, store.Config{Now: clock})
	b.Poster = New(Config{
		Store: b.store, Platforms: platforms.Set{"github": b.platform}, Now: clock,
		Log: slog.New(slog.NewTextHandler(b.log, nil)),
	})
	b.sender = &sender{Poster: b.Poster, platform: "github"}
	return b
}

func (b *bench) push(t *testing.T, n int) core.Scan {
	t.Helper()
	d, p := storetest.PushOf(n, storetest.OnBranch(fmt.Sprint("b", n)))
	receipt, err := b.store.Accept(t.Context(), storetest.With(d, p))
	if err != nil {
		t.Fatal(err)
	}
	scan, err := b.store.GetScan(t.Context(), receipt.Reference)
	if err != nil {
		t.Fatal(err)
	}
	return scan
}

// post posts once what is due after some time and returns the scan's status row.
func (b *bench) post(t *testing.T, scan core.Scan, after time.Duration) core.Status {
	t.Helper()
	b.now = b.now.Add(after)
	if _, err := b.sender.posts().Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := b.store.ListStatuses(t.Context(), scan)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d statuses, %v", len(list), err)
	}
	return list[0]
}

// statusReader is a fake that can also be asked which status it shows.
type statusReader struct {
	*fake
	shown   core.ObservedStatus
	err     error
	checked int
}

func (w *statusReader) LatestStatus(ctx context.Context, status core.Status) (core.ObservedStatus, error) {
	w.checked++
	seen := w.shown
	seen.Project.Name, seen.CommitSHA, seen.Context = status.ProjectName, status.CommitSHA, status.Context
	return seen, w.err
}

// final is a bench whose scan has its final status posted; check is the drift check after some more time.
func final(t *testing.T) (b *bench, w *statusReader, scan core.Scan, check func(after time.Duration)) {
	t.Helper()
	b = setup(t)
	w = &statusReader{fake: b.platform}
	b.Platforms["github"] = w
	scan = b.push(t, 1)
	b.post(t, scan, 0)
	if _, err := b.store.PutReport(t.Context(), scan.ReferenceID, "gitleaks", core.Report{Failure: "no disk"}); err != nil {
		t.Fatal(err)
	}
	b.post(t, scan, time.Second)
	return b, w, scan, func(after time.Duration) {
		b.now = b.now.Add(after)
		if _, err := b.sender.driftChecks(w).Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
