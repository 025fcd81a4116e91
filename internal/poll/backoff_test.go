package poll_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/poll"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		first, longest time.Duration
		failures       int
		want           time.Duration
	}{
		"the first failure":          {time.Second, time.Minute, 0, time.Second},
		"doubles":                    {time.Second, time.Minute, 3, 8 * time.Second},
		"ends at the longest":        {time.Second, time.Minute, 6, time.Minute},
		"never overflows":            {24 * time.Hour, 48 * time.Hour, 1 << 40, 48 * time.Hour},
		"first is longer already":    {time.Hour, time.Minute, 2, time.Minute},
		"a failure that counts less": {time.Second, time.Minute, -1, time.Second},
	} {
		if got := poll.Backoff(test.first, test.failures, test.longest); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestRandomPausesStayWithinTheirBounds(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if got := poll.Jitter(time.Minute); got < 30*time.Second || got > time.Minute {
			t.Fatalf("jitter: got %s, want half a minute to a minute", got)
		}
		if got := poll.Spread(time.Minute); got < 54*time.Second || got > time.Minute {
			t.Fatalf("spread: got %s, want at most a tenth less than a minute", got)
		}
	}
	if poll.Jitter(0) != 0 || poll.Spread(0) != 0 {
		t.Error("no pause must stay none")
	}
}
