package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
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
	*Reporter
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
	b.Reporter = New(Config{
		Store: b.store, Platforms: platforms.Set{"github": b.platform}, Now: clock,
		Log: slog.New(slog.NewTextHandler(b.log, nil)),
	})
	return b
}

func (b *bench) push(t *testing.T, n int) core.Scan {
	t.Helper()
	d, p := storetest.PushOf(n, storetest.OnBranch(fmt.Sprint("b", n)))
	receipt, err := b.store.AcceptPush(t.Context(), d, p)
	if err != nil {
		t.Fatal(err)
	}
	scan, err := b.store.GetScan(t.Context(), receipt.Reference)
	if err != nil {
		t.Fatal(err)
	}
	return scan
}

// look runs once after some time and returns the scan's status row.
func (b *bench) look(t *testing.T, scan core.Scan, after time.Duration) core.Status {
	t.Helper()
	b.now = b.now.Add(after)
	l := b.newLane("github")
	if _, err := l.once(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.posting.Wait()
	list, err := b.store.ListStatuses(t.Context(), scan)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d statuses, %v", len(list), err)
	}
	return list[0]
}

func TestPostsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scan := b.push(t, 1)
	if got := b.look(t, scan, 0); got.PostedRevision != 1 || got.PipelinePin != "pin" {
		t.Errorf("status = %+v", got)
	}
	b.look(t, scan, time.Hour)
	if len(b.platform.posted) != 1 {
		t.Errorf("posted %v, want once", b.platform.posted)
	}
}

func TestSettlement(t *testing.T) {
	t.Parallel()
	limited := &platforms.RateLimited{After: 90 * time.Second, Err: errors.New("403")}
	refused := &platforms.Answered{Code: 422, Err: fmt.Errorf("%w: job limit exceeded", platforms.ErrRefused)}
	cases := map[string]struct {
		err     error
		age     time.Duration
		givenUp bool
		least   time.Duration
		most    time.Duration
	}{
		"rate limited":           {limited, 0, false, 90 * time.Second, 90 * time.Second},
		"server error":           {errors.New("502"), 0, false, time.Second, 2 * time.Second},
		"server error for a day": {errors.New("502"), 25 * time.Hour, true, 0, longestPause},
		"fresh unknown commit":   {platforms.ErrUnknownCommit, time.Minute, false, time.Second, 2 * time.Second},
		"old unknown commit":     {platforms.ErrUnknownCommit, time.Hour, true, 0, longestPause},
		"never to be posted":     {platforms.ErrRefused, 0, true, 0, longestPause},
		"refused":                {refused, time.Minute, false, time.Second, 2 * time.Second},
		"refused for long":       {refused, time.Hour, true, 0, longestPause},
		"no token":               {platforms.ErrNoToken, 0, false, time.Hour, time.Hour},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			status := core.Status{SourcePlatform: "github", WantedAt: b.now.Add(-c.age)}
			got := b.settlement(status, platforms.Posted{}, fmt.Errorf("posting: %w", c.err))
			if got.Posted || got.GivenUp != c.givenUp || got.RetryAfter < c.least || got.RetryAfter > c.most {
				t.Errorf("settlement = %+v", got)
			}
		})
	}
}

// A rate limit stops all posts to the platform, not only the one that met it.
func TestRateLimitPausesThePlatform(t *testing.T) {
	t.Parallel()
	b := setup(t, &platforms.RateLimited{After: time.Minute, Err: errors.New("429")})
	first := b.push(t, 1)
	b.look(t, first, 0)
	second := b.push(t, 2)
	b.look(t, second, 30*time.Second)
	if len(b.platform.posted) != 0 {
		t.Errorf("posted %v during the pause", b.platform.posted)
	}
	b.look(t, second, 31*time.Second)
	if len(b.platform.posted) != 2 {
		t.Errorf("posted %v after the pause, want both", b.platform.posted)
	}
}

func TestWithoutTokenSaysSoOncePerProject(t *testing.T) {
	t.Parallel()
	b := setup(t, platforms.ErrNoToken, platforms.ErrNoToken, platforms.ErrNoToken)
	first := b.push(t, 1)
	b.push(t, 2)
	got := b.look(t, first, 0)
	b.look(t, first, 2*time.Hour)
	if got.LastError == "" || got.GivenUp {
		t.Errorf("status = %+v, want it kept with the reason", got)
	}
	if n := strings.Count(b.log.String(), "not posted"); n != 1 {
		t.Errorf("said %d times:\n%s", n, b.log)
	}
}

func TestBackoffGrowsToItsEnd(t *testing.T) {
	t.Parallel()
	for attempts := range 40 {
		if pause := backoff(attempts); pause < firstPause/2 || pause > longestPause {
			t.Errorf("backoff(%d) = %s", attempts, pause)
		}
	}
	if backoff(30) < longestPause/2 {
		t.Error("the back-off does not grow")
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Pace = map[string]time.Duration{"github": time.Second}
	var scan core.Scan
	for n := range 3 {
		scan = b.push(t, n)
	}
	for i, want := range []int{1, 1, 2, 2, 3} {
		b.look(t, scan, 500*time.Millisecond)
		if got := len(b.platform.posted); got != want {
			t.Errorf("after %d half seconds %d were posted, want %d", i, got, want)
		}
	}
}
