package enrich

import (
	"context"
	"errors"
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

type bench struct {
	*asker
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
	b.asker = e.askers[0]
	return b
}

// run records a workflow run whose artifacts the platform must be asked for.
func (b *bench) run(t *testing.T, n int) {
	t.Helper()
	d, push := storetest.PushOf(n)
	_, err := b.store.RecordPipeline(t.Context(), d, core.Pipeline{
		Project: push.Project, ID: int64(n), Attempt: 1, Name: "CI", Branch: "main", CommitSHA: push.CommitSHA,
		Status: "completed", Conclusion: "success", FinishedAt: b.now, AskArtifacts: true,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// look runs once after some time and returns the newest run.
func (b *bench) look(t *testing.T, after time.Duration) store.Metric {
	t.Helper()
	b.now = b.now.Add(after)
	if _, err := b.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := b.store.ListMetrics(t.Context(), store.MetricFilter{Platform: "github", Project: "acme/shop", Limit: 1})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d runs, %v", len(list), err)
	}
	return list[0]
}

func TestArtifactsAreAskedForOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t, 1)
	if got := b.look(t, 0); got.ArtifactSizeBytes == nil || *got.ArtifactSizeBytes != 4096 {
		t.Errorf("artifacts: %v bytes, want 4096", got.ArtifactSizeBytes)
	}
	b.look(t, time.Hour)
	if len(b.fake.asked) != 1 || b.fake.asked[0] != "artifacts of acme/shop 1" {
		t.Errorf("asked %q, want once", b.fake.asked)
	}
}

func TestTruncatedPushIsCompared(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change    func(*core.Delivery, *core.Push)
		asked     bool
		truncated bool
	}{
		"truncated": {func(_ *core.Delivery, p *core.Push) { p.Files.Truncated = true }, true, false},
		"unknown":   {func(_ *core.Delivery, p *core.Push) { p.Files = core.ChangedFiles{} }, true, false},
		"complete":  {func(*core.Delivery, *core.Push) {}, false, false},
		"new branch": {
			func(_ *core.Delivery, p *core.Push) { p.Files.Truncated, p.Before = true, strings.Repeat("0", 40) },
			false, true,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			d, push := storetest.PushOf(1, c.change)
			receipt, err := b.store.AcceptPush(t.Context(), d, push)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.once(t.Context()); err != nil {
				t.Fatal(err)
			}
			scan, err := b.store.GetScan(t.Context(), receipt.Reference)
			if err != nil || scan.ChangedFilesTruncated != c.truncated || c.asked != (*scan.NumChangedFiles == 77) {
				t.Errorf("%d files, truncated %v, %v", *scan.NumChangedFiles, scan.ChangedFilesTruncated, err)
			}
			if c.asked != (len(b.fake.asked) == 1) {
				t.Errorf("asked %q", b.fake.asked)
			}
		})
	}
}

func TestPostponement(t *testing.T) {
	t.Parallel()
	limited := &platforms.RateLimited{After: 90 * time.Second, Err: errors.New("403")}
	cases := map[string]struct {
		err     error
		age     time.Duration
		givenUp bool
		least   time.Duration
		most    time.Duration
	}{
		"rate limited":           {limited, 0, false, 90 * time.Second, 90 * time.Second},
		"server error":           {errors.New("502"), 0, false, firstPause / 2, firstPause},
		"server error for a day": {errors.New("502"), 25 * time.Hour, true, 0, longestPause},
		"fresh unknown commit":   {platforms.ErrUnknownCommit, time.Minute, false, firstPause / 2, firstPause},
		"old unknown commit":     {platforms.ErrUnknownCommit, time.Hour, true, 0, longestPause},
		"refused":                {platforms.ErrRefused, 0, true, 0, longestPause},
		"no token":               {platforms.ErrNoToken, 0, true, 0, longestPause},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			got := b.postponement(store.Lookup{WantedAt: b.now.Add(-c.age)}, fmt.Errorf("asking: %w", c.err))
			if got.GivenUp != c.givenUp || got.RetryAfter < c.least || got.RetryAfter > c.most || got.Error == "" {
				t.Errorf("postponement = %+v", got)
			}
		})
	}
}

// A rate limit stops all questions to the platform, not only the one that met it.
func TestRateLimitPausesThePlatform(t *testing.T) {
	t.Parallel()
	b := setup(t, &platforms.RateLimited{After: time.Minute, Err: errors.New("429")})
	b.run(t, 1)
	b.look(t, 0)
	b.run(t, 2)
	b.look(t, 30*time.Second)
	if len(b.fake.asked) != 1 {
		t.Errorf("asked %q during the pause", b.fake.asked)
	}
	b.look(t, 31*time.Second)
	if got := b.look(t, 0); got.ArtifactSizeBytes == nil || len(b.fake.asked) != 3 {
		t.Errorf("asked %q after the pause, want both", b.fake.asked)
	}
}

func TestGivenUpStaysUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t, platforms.ErrNoToken)
	b.run(t, 1)
	b.look(t, 0)
	if got := b.look(t, 25*time.Hour); got.ArtifactSizeBytes != nil || len(b.fake.asked) != 1 {
		t.Errorf("asked %q, %v bytes", b.fake.asked, got.ArtifactSizeBytes)
	}
}

func TestBackoffGrowsToItsEnd(t *testing.T) {
	t.Parallel()
	for attempts := range 40 {
		if pause := backoff(attempts); pause < firstPause/2 || pause > longestPause {
			t.Errorf("backoff(%d) = %s", attempts, pause)
		}
	}
}
