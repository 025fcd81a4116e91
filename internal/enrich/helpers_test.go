package enrich

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// fake answers what the test queued, then always well.
type fake struct {
	platforms.Platform
	errs  []error
	asked []string
}

func (f *fake) next(question string) error {
	f.asked = append(f.asked, question)
	if len(f.errs) == 0 {
		return nil
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return err
}

func (f *fake) ArtifactBytes(_ context.Context, project core.Project, run int64) (int64, error) {
	return 4096, f.next(fmt.Sprint("artifacts of ", project.Name, " ", run))
}

func (f *fake) ChangedFiles(_ context.Context, project core.Project, before, after string) (core.ChangedFiles, error) {
	return platforms.FilesUpTo(300, 77), f.next("files of " + project.Name + " " + before[38:] + ".." + after[38:])
}

func (f *fake) MergeBase(_ context.Context, project, branch, sha string) (string, error) {
	return strings.Repeat("b", 40), f.next("base of " + project + " " + sha[38:] + " and " + branch)
}

type bench struct {
	*fetcher
	fake  *fake
	store *store.Store
	now   time.Time
}

func setup(t *testing.T, errs ...error) *bench {
	t.Helper()
	b := &bench{fake: &fake{errs: errs}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return b.now }
	b.store = storetest.Open(t, store.Config{Now: clock})
	e := New(Config{
		Store: b.store, Platforms: platforms.Set{"github": b.fake}, Now: clock, Log: slog.New(slog.DiscardHandler),
	})
	b.fetcher = e.fetchers[0]
	return b
}

// run records a workflow run whose artifacts must be fetched.
func (b *bench) run(t *testing.T, n int) {
	t.Helper()
	d, push := storetest.PushOf(n)
	_, err := b.store.Accept(t.Context(), storetest.With(d, core.Pipeline{
		Project: push.Project, ID: int64(n), Attempt: 1, Name: "CI", Branch: "main", CommitSHA: push.CommitSHA,
		Status: "completed", Conclusion: "success", FinishedAt: b.now, AskArtifacts: true,
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// next runs the next task after some time and returns the newest run.
func (b *bench) next(t *testing.T, after time.Duration) store.Metric {
	t.Helper()
	b.now = b.now.Add(after)
	if _, err := b.tasks().Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := b.store.ListMetrics(t.Context(), store.MetricFilter{Platform: "github", Project: "acme/shop", Limit: 1})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d runs, %v", len(list), err)
	}
	return list[0]
}
