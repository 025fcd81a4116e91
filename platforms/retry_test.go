package platforms_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	limited := &platforms.RateLimited{After: 90 * time.Second, Err: errors.New("403")}
	for name, test := range map[string]struct {
		err         error
		attempts    int
		age         time.Duration
		givenUp     bool
		least, most time.Duration
	}{
		"rate limited":           {limited, 0, 0, false, 90 * time.Second, 90 * time.Second},
		"server error":           {errors.New("502"), 0, 0, false, time.Second, 2 * time.Second},
		"third server error":     {errors.New("502"), 2, 0, false, 4 * time.Second, 8 * time.Second},
		"many server errors":     {errors.New("502"), 40, time.Hour, false, 5 * time.Minute, 10 * time.Minute},
		"server error for a day": {errors.New("502"), 0, 25 * time.Hour, true, time.Second, 2 * time.Second},
		"fresh unknown commit":   {platforms.ErrUnknownCommit, 0, time.Minute, false, time.Second, 2 * time.Second},
		"old unknown commit":     {platforms.ErrUnknownCommit, 0, time.Hour, true, time.Second, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := platforms.RetryAfter(fmt.Errorf("calling: %w", test.err), 2*time.Second, test.attempts, test.age)
			if got.GivenUp != test.givenUp || got.After < test.least || got.After > test.most {
				t.Errorf("got %+v", got)
			}
		})
	}
}
