package enrich

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestArtifactsAreAskedForOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run(t, 1)
	if got := b.next(t, 0); got.ArtifactSizeBytes == nil || *got.ArtifactSizeBytes != 4096 {
		t.Errorf("artifacts: %v bytes, want 4096", got.ArtifactSizeBytes)
	}
	b.next(t, time.Hour)
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
			receipt, err := b.store.Accept(t.Context(), storetest.With(d, push))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.tasks().Once(t.Context()); err != nil {
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

func TestRetry(t *testing.T) {
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
		"server error for a day": {errors.New("502"), 25 * time.Hour, true, 0, 10 * time.Minute},
		"fresh unknown commit":   {platforms.ErrUnknownCommit, time.Minute, false, firstPause / 2, firstPause},
		"old unknown commit":     {platforms.ErrUnknownCommit, time.Hour, true, 0, 10 * time.Minute},
		"refused":                {platforms.ErrRefused, 0, true, 0, 10 * time.Minute},
		"no token":               {platforms.ErrNoToken, 0, true, 0, 10 * time.Minute},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			got := b.retry(store.EnrichmentTask{RequestedAt: b.now.Add(-c.age)}, fmt.Errorf("asking: %w", c.err))
			if got.GivenUp != c.givenUp || got.RetryAfter < c.least || got.RetryAfter > c.most || got.Error == "" {
				t.Errorf("retry = %+v", got)
			}
		})
	}
}

func TestMergeBaseIsAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		errs []error
		want string
	}{
		"a failure that passes":     {[]error{errors.New("502")}, strings.Repeat("b", 40)},
		"a commit that comes later": {[]error{platforms.ErrUnknownCommit}, strings.Repeat("b", 40)},
		"a commit that never comes": {[]error{platforms.ErrUnknownCommit, platforms.ErrUnknownCommit}, ""},
	} {
		b := setup(t, c.errs...)
		receipt, err := b.store.Accept(t.Context(), storetest.With(storetest.PushOf(1, func(_ *core.Delivery, p *core.Push) {
			p.Ref = "refs/heads/topic"
		})))
		if err != nil {
			t.Fatal(err)
		}
		scan, err := b.store.GetScan(t.Context(), receipt.Reference)
		for range 2 { // jobs of one commit
			if err == nil {
				err = b.store.AskMergeBase(t.Context(), scan)
			}
		}
		for range 3 {
			if err == nil {
				_, err = b.tasks().Once(t.Context())
			}
			b.now = b.now.Add(time.Hour)
		}
		if err == nil {
			scan, err = b.store.GetScan(t.Context(), receipt.Reference)
		}
		if err != nil || scan.MergeBaseSHA != c.want || len(b.fake.asked) != 2 {
			t.Errorf("%s: %q, %v after %q", name, scan.MergeBaseSHA, err, b.fake.asked)
		}
	}
}

// A rate limit stops all tasks to the platform, not only the one that met it.
func TestRateLimitPausesThePlatform(t *testing.T) {
	t.Parallel()
	b := setup(t, &platforms.RateLimited{After: time.Minute, Err: errors.New("429")})
	b.run(t, 1)
	b.next(t, 0)
	b.run(t, 2)
	b.next(t, 30*time.Second)
	if len(b.fake.asked) != 1 {
		t.Errorf("asked %q during the pause", b.fake.asked)
	}
	b.next(t, 31*time.Second)
	if got := b.next(t, 0); got.ArtifactSizeBytes == nil || len(b.fake.asked) != 3 {
		t.Errorf("asked %q after the pause, want both", b.fake.asked)
	}
}

func TestGivenUpStaysUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t, platforms.ErrNoToken)
	b.run(t, 1)
	b.next(t, 0)
	if got := b.next(t, 25*time.Hour); got.ArtifactSizeBytes != nil || len(b.fake.asked) != 1 {
		t.Errorf("asked %q, %v bytes", b.fake.asked, got.ArtifactSizeBytes)
	}
}
