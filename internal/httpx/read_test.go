package httpx_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
)

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
				place := threeClasses().Place()
				defer place.Leave()
				got, err := place.Read(httptest.NewRecorder(), request, time.Minute)
				if !errors.Is(err, want) || err == nil && string(got) != text {
					t.Errorf("read %d bytes and %v, want %d and %v", len(got), err, size, want)
				}
			})
		}
	}
}

// A body is whole or it is an error: half a push must not pass for one.
func TestReadFromBadSenders(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		send     string
		leave    bool
		patience time.Duration
		want     string
	}{
		"goes away":               {"Content-Length: 30000\r\n\r\n{", true, time.Minute, "ended early"},
		"goes away between parts": {"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", true, time.Minute, "ended early"},
		"stops":                   {"Content-Length: 30000\r\n\r\n{", false, 200 * time.Millisecond, "too slowly"},
		"sends no chunks":         {"Transfer-Encoding: chunked\r\n\r\nzz\r\n", false, time.Minute, "ended early"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			errs := make(chan error, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				place := threeClasses().Place()
				defer place.Leave()
				_, err := place.Read(w, r, test.patience)
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
