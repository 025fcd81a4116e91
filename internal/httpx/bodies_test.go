package httpx_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
)

const wait = 3 * time.Second

func twoClasses() *httpx.Bodies {
	return httpx.NewBodies(wait, httpx.Class{UpTo: 10, AtOnce: 2}, httpx.Class{UpTo: 100, AtOnce: 1})
}

func grow(t *testing.T, b *httpx.Bodies, size int64) *httpx.Place {
	t.Helper()
	place := b.Place()
	if err := place.Grow(t.Context(), size); err != nil {
		t.Fatalf("%d bytes: %v", size, err)
	}
	return place
}

func TestPlacesOfASizeAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bodies := twoClasses()
		large := grow(t, bodies, 11)
		began := time.Now()
		other := bodies.Place()
		if err := other.Grow(t.Context(), 100); !errors.Is(err, core.ErrBusy) || time.Since(began) != wait {
			t.Errorf("a second large one: %v after %s, want busy after %s", err, time.Since(began), wait)
		}
		grow(t, bodies, 10)
		time.AfterFunc(time.Second, large.Leave)
		if err := other.Grow(t.Context(), 12); err != nil {
			t.Errorf("when the large one goes: %v", err)
		}
	})
}

// Who waits longest is the first to be let in: where it were drawn by lot, one of a thousand senders that stall would be
// drawn before a push, again and again.
func TestWaitingIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bodies := twoClasses()
		inside := grow(t, bodies, 50)
		order := make(chan int, 3)
		for n := range 3 {
			go func() {
				place := bodies.Place()
				if place.Grow(t.Context(), 50) == nil {
					order <- n
					place.Leave()
				}
			}()
			time.Sleep(137 * time.Millisecond)
		}
		inside.Leave()
		for want := range 3 {
			if got := <-order; got != want {
				t.Errorf("%d is let in when it is the turn of %d", got, want)
			}
		}
	})
}

func TestWhoGrowsFreesTheSmallerPlaceBeforeWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bodies := twoClasses()
		grow(t, bodies, 50)
		growing := grow(t, bodies, 5)
		grow(t, bodies, 5)
		go func() { _ = growing.Grow(t.Context(), 50) }()
		synctest.Wait()
		began := time.Now()
		grow(t, bodies, 5)
		if time.Since(began) != 0 {
			t.Errorf("a small one waited %s", time.Since(began))
		}
	})
}

func TestPlaceBeyondTheLastClass(t *testing.T) {
	t.Parallel()
	if err := twoClasses().Place().Grow(t.Context(), 101); !errors.Is(err, core.ErrTooLarge) {
		t.Errorf("want too large, got %v", err)
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bodies := twoClasses()
		grow(t, bodies, 50)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := bodies.Place().Grow(ctx, 50); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("want the context's error, got %v", err)
		}
	})
}

func TestAQueueThatIsFullAnswersAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bodies := twoClasses()
		grow(t, bodies, 50)
		for range 1024 {
			go func() { _ = bodies.Place().Grow(t.Context(), 50) }()
		}
		synctest.Wait()
		began := time.Now()
		if err := bodies.Place().Grow(t.Context(), 50); !errors.Is(err, core.ErrBusy) || time.Since(began) != 0 {
			t.Errorf("got %v after %s, want busy at once", err, time.Since(began))
		}
	})
}
