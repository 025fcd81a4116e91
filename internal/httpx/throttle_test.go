package httpx_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scanhook/scanhook/internal/httpx"
)

func TestLoginThrottleSlowsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		throttle := httpx.NewLoginThrottle()
		for i := range 10 {
			if wait := throttle.Failed(t.Context(), "2001:db8::1"); wait != 0 {
				t.Errorf("mistake %d: wait %s", i, wait)
			}
		}
		start := time.Now()
		wait := throttle.Failed(t.Context(), "2001:db8::2")
		if took := time.Since(start); wait != 6*time.Second || took != time.Second {
			t.Errorf("eleventh of a /64: wait %s after %s, want 6s after 1s", wait, took)
		}
		if wait := throttle.Failed(t.Context(), "2001:db8:0:1::1"); wait != 0 {
			t.Errorf("another network: wait %s", wait)
		}
		time.Sleep(wait)
		if wait := throttle.Failed(t.Context(), "2001:db8::1"); wait != 0 {
			t.Errorf("after waiting: wait %s", wait)
		}
	})
}

// Only a number of requests are delayed at once, and none whose client has gone.
func TestLoginThrottleDelaysFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		throttle := httpx.NewLoginThrottle()
		for range 10 {
			throttle.Failed(t.Context(), "192.0.2.1")
		}
		var requests sync.WaitGroup
		for range 512 {
			requests.Go(func() { throttle.Failed(t.Context(), "192.0.2.1") })
		}
		synctest.Wait()
		start := time.Now()
		if wait := throttle.Failed(t.Context(), "192.0.2.1"); wait == 0 || time.Since(start) > 0 {
			t.Errorf("one more: wait %s after %s, want some at once", wait, time.Since(start))
		}
		requests.Wait()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		start = time.Now()
		if throttle.Failed(gone, "192.0.2.1"); time.Since(start) > 0 {
			t.Error("a request whose client has gone is delayed")
		}
	})
}

// When very many networks send wrong tokens, their answers wait, first mistakes too: they must not take the processor from right ones.
func TestLoginThrottleDelaysCrowds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		throttle := httpx.NewLoginThrottle()
		start := time.Now()
		one := func(n int) (wait, took time.Duration) {
			start := time.Now()
			wait = throttle.Failed(t.Context(), fmt.Sprintf("10.0.%d.%d", n/250, n%250))
			return wait, time.Since(start)
		}
		for n := range 200 {
			if wait, took := one(n); wait != 0 || took != 0 {
				t.Fatalf("network %d: wait %s after %s", n, wait, took)
			}
		}
		if wait, took := one(200); wait != 0 || took != time.Second {
			t.Errorf("one of a crowd: wait %s after %s", wait, took)
		}
		time.Sleep(10*time.Second - time.Since(start))
		if _, took := one(201); took != 0 {
			t.Errorf("after the crowd: %s", took)
		}
	})
}

// The number of networks that are remembered is bounded.
func TestLoginThrottleForgetsNetworks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		throttle, start := httpx.NewLoginThrottle(), time.Now()
		throttle.Now = func() time.Time { return start } // nothing else lets a network begin anew
		for range 10 {
			throttle.Failed(t.Context(), "192.0.2.1")
		}
		for i := range 10_000 {
			throttle.Failed(t.Context(), fmt.Sprintf("10.0.%d.%d", i/256, i%256))
		}
		if wait := throttle.Failed(t.Context(), "192.0.2.1"); wait != 0 {
			t.Errorf("wait %s, of a network that was forgotten", wait)
		}
	})
}
