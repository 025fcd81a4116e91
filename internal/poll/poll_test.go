package poll_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scanhook/scanhook/internal/poll"
)

// loop runs once for a while of the bubble's time and returns when it was called.
func loop(t *testing.T, bell *poll.Bell, duration time.Duration, once func(n int) (bool, error)) ([]time.Duration, string) {
	t.Helper()
	var log bytes.Buffer
	var calls []time.Duration
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	poll.Loop{
		Name: "test", Every: time.Second, Wake: bell, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Once: func(context.Context) (bool, error) {
			calls = append(calls, time.Since(start))
			return once(len(calls))
		},
	}.Run(ctx)
	return calls, log.String()
}

func TestLoopDrainsThenWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls, _ := loop(t, nil, 2500*time.Millisecond, func(n int) (bool, error) { return n < 3, nil })
		want := []time.Duration{0, 0, 0, time.Second, 2 * time.Second}
		if len(calls) != len(want) || calls[2] != 0 || calls[3] != time.Second {
			t.Errorf("calls at %v, want %v", calls, want)
		}
	})
}

func TestLoopBacksOffAndLogsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls, log := loop(t, nil, 5*time.Minute, func(n int) (bool, error) {
			if n <= 9 {
				return true, errors.New("database is unavailable")
			}
			return false, nil
		})
		if gap := calls[8] - calls[7]; gap != 32*time.Second {
			t.Errorf("the longest pause is %s, want 32s", gap)
		}
		if strings.Count(log, "database is unavailable") != 1 || strings.Count(log, "works again") != 1 {
			t.Errorf("log:\n%s", log)
		}
	})
}

func TestBellWakesListeners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bell poll.Bell
		time.AfterFunc(300*time.Millisecond, bell.Ring)
		calls, _ := loop(t, &bell, 900*time.Millisecond, func(int) (bool, error) { return false, nil })
		if len(calls) != 2 || calls[1] != 300*time.Millisecond {
			t.Errorf("calls at %v, want one at 300ms", calls)
		}
	})
}

// A ring between looking for work and waiting must not be lost.
func TestBellRungDuringATry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bell poll.Bell
		calls, _ := loop(t, &bell, 500*time.Millisecond, func(n int) (bool, error) {
			if n == 1 {
				bell.Ring()
			}
			return false, nil
		})
		if len(calls) != 2 || calls[1] != 100*time.Millisecond {
			t.Errorf("calls at %v, want two, with the rest between them", calls)
		}
	})
}
