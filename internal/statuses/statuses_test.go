package statuses

import (
	"errors"
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
