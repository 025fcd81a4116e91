package httpx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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

func grow(t *testing.T, b *httpx.Bodies, size int64) *httpx.Slot {
	t.Helper()
	slot := b.Slot()
	if err := slot.Grow(t.Context(), size); err != nil {
		t.Fatalf("%d bytes: %v", size, err)
	}
	return slot
}

func TestSlotsOfASizeAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bodies := twoClasses()
		large := grow(t, bodies, 11)
		began := time.Now()
		other := bodies.Slot()
		if err := other.Grow(t.Context(), 100); !errors.Is(err, core.ErrBusy) || time.Since(began) != wait {
			t.Errorf("a second large one: %v after %s, want busy after %s", err, time.Since(began), wait)
		}
		grow(t, bodies, 10)
		time.AfterFunc(time.Second, large.Release)
		if err := other.Grow(t.Context(), 12); err != nil {
			t.Errorf("when the large one goes: %v", err)
		}
	})
}

// Slots go to those who wait in their order. In random order, one of a thousand stalled senders would often get the slot
// before a push.
func TestWaitingIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bodies := twoClasses()
		holder := grow(t, bodies, 50)
		order := make(chan int, 3)
		for n := range 3 {
			go func() {
				slot := bodies.Slot()
				if slot.Grow(t.Context(), 50) == nil {
					order <- n
					slot.Release()
				}
			}()
			time.Sleep(137 * time.Millisecond)
		}
		holder.Release()
		for want := range 3 {
			if got := <-order; got != want {
				t.Errorf("%d got the slot before %d", got, want)
			}
		}
	})
}

func TestGrowReleasesTheSmallerSlotBeforeWaiting(t *testing.T) {
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

func TestGrowBeyondTheLastClass(t *testing.T) {
	t.Parallel()
	if err := twoClasses().Slot().Grow(t.Context(), 101); !errors.Is(err, core.ErrTooLarge) {
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
		if err := bodies.Slot().Grow(ctx, 50); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("want the context's error, got %v", err)
		}
	})
}

func TestFullQueueIsBusyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bodies := twoClasses()
		grow(t, bodies, 50)
		for range 1024 {
			go func() { _ = bodies.Slot().Grow(t.Context(), 50) }()
		}
		synctest.Wait()
		began := time.Now()
		if err := bodies.Slot().Grow(t.Context(), 50); !errors.Is(err, core.ErrBusy) || time.Since(began) != 0 {
			t.Errorf("got %v after %s, want busy at once", err, time.Since(began))
		}
	})
}

const kilobyte = 1 << 10

func threeClasses() *httpx.Bodies {
	return httpx.NewBodies(wait, httpx.Class{UpTo: 8 * kilobyte, AtOnce: 1}, httpx.Class{UpTo: 20 * kilobyte, AtOnce: 1},
		httpx.Class{UpTo: 100 * kilobyte, AtOnce: 1})
}

func TestReadWhole(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]error{
		0: nil, 1: nil, 8 * kilobyte: nil, 8*kilobyte + 1: nil, 20 * kilobyte: nil, 50 * kilobyte: nil, 100 * kilobyte: nil,
		100*kilobyte + 1: core.ErrTooLarge, 500 * kilobyte: core.ErrTooLarge,
	} {
		for _, declared := range []bool{true, false} {
			t.Run(fmt.Sprint(size, declared), func(t *testing.T) {
				t.Parallel()
				text := strings.Repeat("x", size)
				request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
				if !declared {
					request.ContentLength = -1
				}
				slot := threeClasses().Slot()
				defer slot.Release()
				got, err := slot.Read(httptest.NewRecorder(), request, time.Minute)
				if !errors.Is(err, want) || err == nil && string(got) != text {
					t.Errorf("read %d bytes and %v, want %d and %v", len(got), err, size, want)
				}
			})
		}
	}
}

// A body that is not whole is an error: half a push must not pass for a push.
func TestReadFromBadSenders(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		send  string
		leave bool
		limit time.Duration
		want  string
	}{
		"disconnects":               {"Content-Length: 30000\r\n\r\n{", true, time.Minute, "ended early"},
		"disconnects between parts": {"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", true, time.Minute, "ended early"},
		"stops":                     {"Content-Length: 30000\r\n\r\n{", false, 200 * time.Millisecond, "too slowly"},
		"sends no chunks":           {"Transfer-Encoding: chunked\r\n\r\nzz\r\n", false, time.Minute, "ended early"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			errs := make(chan error, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				slot := threeClasses().Slot()
				defer slot.Release()
				_, err := slot.Read(w, r, test.limit)
				errs <- err
			}))
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+test.send); err != nil {
				t.Fatal(err)
			}
			if test.leave {
				_ = conn.Close()
			}
			if err := <-errs; !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// A stalled sender gets an answer when its time is over, and its connection is closed.
func TestStalledSendersLoseTheConnection(t *testing.T) {
	t.Parallel()
	bodies := twoClasses()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slot := bodies.Slot()
		defer slot.Release()
		if _, err := slot.Read(w, r, 50*time.Millisecond); err != nil {
			w.WriteHeader(httpx.Status(err))
		}
	}))
	t.Cleanup(server.Close)
	for _, length := range []string{"Content-Length: 9", "Transfer-Encoding: chunked"} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+length+"\r\n\r\n1")
		answer, err := io.ReadAll(conn)
		if err != nil || len(answer) < 12 || string(answer[9:12]) != "400" {
			t.Errorf("%s: answer %q, %v, want 400 and the end", length, answer, err)
		}
		_ = conn.Close()
	}
}

func TestShrink(t *testing.T) {
	t.Parallel()
	bodies := httpx.NewBodies(time.Millisecond, httpx.Class{UpTo: 10, AtOnce: 1}, httpx.Class{UpTo: 100, AtOnce: 1}, httpx.Class{UpTo: 1000, AtOnce: 1})
	grown := func(size int64) *httpx.Slot {
		slot := bodies.Slot()
		if err := slot.Grow(t.Context(), size); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		return slot
	}
	large := grown(500)
	large.Shrink(11)
	second := grown(500) // the large one is free
	second.Shrink(5)
	third := grown(500)
	third.Shrink(5) // nothing smaller is free
	if err := bodies.Slot().Grow(t.Context(), 500); !errors.Is(err, core.ErrBusy) {
		t.Errorf("a second large one: %v", err)
	}
	for _, slot := range []*httpx.Slot{large, second, third} {
		slot.Release()
	}
	for _, size := range []int64{5, 50, 500} {
		defer grown(size).Release()
	}
	bodies.Slot().Shrink(1)
}
