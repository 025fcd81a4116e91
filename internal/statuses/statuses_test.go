package statuses

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

func TestPostsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scan := b.push(t, 1)
	if got := b.post(t, scan, 0); got.PostedRevision != 1 || got.PipelinePin != "pin" {
		t.Errorf("status = %+v", got)
	}
	b.post(t, scan, time.Hour)
	if len(b.platform.posted) != 1 {
		t.Errorf("posted %v, want once", b.platform.posted)
	}
}

// A rate limit stops all posts to the platform, not only the one that met it.
func TestRateLimitPausesThePlatform(t *testing.T) {
	t.Parallel()
	b := setup(t, &platforms.RateLimited{After: time.Minute, Err: errors.New("429")})
	first := b.push(t, 1)
	b.post(t, first, 0)
	second := b.push(t, 2)
	b.post(t, second, 30*time.Second)
	if len(b.platform.posted) != 0 {
		t.Errorf("posted %v during the pause", b.platform.posted)
	}
	b.post(t, second, 31*time.Second)
	if len(b.platform.posted) != 2 {
		t.Errorf("posted %v after the pause, want both", b.platform.posted)
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
		b.post(t, scan, 500*time.Millisecond)
		if got := len(b.platform.posted); got != want {
			t.Errorf("after %d half seconds %d were posted, want %d", i, got, want)
		}
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	limited := &platforms.RateLimited{After: 90 * time.Second, Err: errors.New("403")}
	refused := &platforms.HTTPError{Code: 422, Err: fmt.Errorf("%w: job limit exceeded", platforms.ErrRefused)}
	cases := map[string]struct {
		err     error
		age     time.Duration
		givenUp bool
		least   time.Duration
		most    time.Duration
	}{
		"rate limited":           {limited, 0, false, 90 * time.Second, 90 * time.Second},
		"server error":           {errors.New("502"), 0, false, time.Second, 2 * time.Second},
		"server error for a day": {errors.New("502"), 25 * time.Hour, true, 0, 10 * time.Minute},
		"fresh unknown commit":   {platforms.ErrUnknownCommit, time.Minute, false, time.Second, 2 * time.Second},
		"old unknown commit":     {platforms.ErrUnknownCommit, time.Hour, true, 0, 10 * time.Minute},
		"never to be posted":     {platforms.ErrRefused, 0, true, 0, 10 * time.Minute},
		"refused":                {refused, time.Minute, false, time.Second, 2 * time.Second},
		"refused for long":       {refused, time.Hour, true, 0, 10 * time.Minute},
		"no token":               {platforms.ErrNoToken, 0, false, time.Hour, time.Hour},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			status := core.Status{SourcePlatform: "github", DesiredAt: b.now.Add(-c.age)}
			got := b.outcome(status, platforms.Posted{}, fmt.Errorf("posting: %w", c.err))
			if got.Posted || got.GivenUp != c.givenUp || got.RetryAfter < c.least || got.RetryAfter > c.most {
				t.Errorf("settlement = %+v", got)
			}
		})
	}
}

var errDenied = errors.New("answered 403: give the token the permission")

func TestDeniedHoldsTheProject(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cases := map[string]struct {
		err    platforms.Denied
		age    time.Duration
		probes int
		want   *core.Hold
		pause  time.Duration // 0: not a matter of the token
	}{
		"at once":                   {platforms.Denied{}, 0, 0, &core.Hold{Probes: 1}, 30 * time.Second},
		"for the third time":        {platforms.Denied{}, time.Hour, 2, &core.Hold{Probes: 3}, 2 * time.Minute},
		"for ever":                  {platforms.Denied{}, 72 * time.Hour, 99, &core.Hold{Probes: 100}, 15 * time.Minute},
		"one branch":                {platforms.Denied{Branch: true}, 0, 0, &core.Hold{Branch: "main", Probes: 1}, 30 * time.Second},
		"a fresh project is hidden": {platforms.Denied{Hidden: true}, 30 * time.Second, 0, nil, 0},
		"a project is hidden":       {platforms.Denied{Hidden: true}, 2 * time.Minute, 0, &core.Hold{Probes: 1}, 30 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.err.Err = errDenied
			status := core.Status{SourcePlatform: "github", Branch: "main", DesiredAt: b.now.Add(-c.age), Probe: c.probes}
			end := b.outcome(status, platforms.Posted{}, &platforms.HTTPError{Code: 403, Err: fmt.Errorf("posting: %w", &c.err)})
			if end.GivenUp || end.Code != 403 || (end.Hold == nil) != (c.want == nil) {
				t.Fatalf("settlement = %+v", end)
			}
			if c.want != nil && (*end.Hold != *c.want || end.RetryAfter != c.pause) {
				t.Errorf("hold = %+v after %s, want %+v after %s", end.Hold, end.RetryAfter, c.want, c.pause)
			}
		})
	}
}

// A token is repaired after three days: one probe, and everything that waited is posted, although a status that fails for
// a day for another reason is given up.
func TestHeldStatusesArePostedAfterTheRepair(t *testing.T) {
	t.Parallel()
	answer := &platforms.HTTPError{Code: 403, Err: &platforms.Denied{Err: errDenied}}
	b := setup(t, answer, answer, answer, answer, answer, nil, errors.New("502"))
	var scan core.Scan
	for n := range 3 {
		scan = b.push(t, n+1)
	}
	if got := b.post(t, scan, 0); got.GivenUp || got.LastError == "" {
		t.Errorf("status = %+v", got)
	}
	for range 60 {
		b.post(t, scan, time.Second/2)
	}
	b.post(t, scan, 72*time.Hour)
	if calls := 7 - len(b.platform.errs); calls != 5 {
		t.Errorf("%d calls while the token was broken, want 5", calls)
	}
	b.post(t, scan, time.Hour)
	b.post(t, scan, 0)
	b.post(t, scan, time.Minute)
	if len(b.platform.posted) != 3 {
		t.Errorf("posted %v, want all three; log:\n%s", b.platform.posted, b.log)
	}
	if n := strings.Count(b.log.String(), "not posted: "); n != 1 {
		t.Errorf("said %d times:\n%s", n, b.log)
	}
	if !strings.Contains(b.log.String(), "posted again") {
		t.Errorf("the end of the hold is not logged:\n%s", b.log)
	}
}

func TestWithoutTokenSaysSoOncePerProject(t *testing.T) {
	t.Parallel()
	b := setup(t, platforms.ErrNoToken, platforms.ErrNoToken, platforms.ErrNoToken)
	first := b.push(t, 1)
	b.push(t, 2)
	got := b.post(t, first, 0)
	b.post(t, first, 2*time.Hour)
	if got.LastError == "" || got.GivenUp {
		t.Errorf("status = %+v, want it kept with the reason", got)
	}
	if n := strings.Count(b.log.String(), "not posted"); n != 1 {
		t.Errorf("said %d times:\n%s", n, b.log)
	}
}

func TestReasonIsBoundedAndSteady(t *testing.T) {
	t.Parallel()
	limit := fmt.Errorf("posting: %w", &platforms.RateLimited{After: time.Minute, Err: errors.New("GitHub asks for a pause")})
	if got := reason(limit); got != "GitHub asks for a pause" {
		t.Errorf("got %q", got)
	}
	if got := reason(errors.New(strings.Repeat("é\n\x1b", 1000))); len([]rune(got)) > maxReason+1 || strings.ContainsAny(got, "\n\x1b") {
		t.Errorf("got %q", got)
	}
}
