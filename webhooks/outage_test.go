package webhooks_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// wire is a TCP connection to the database that can be cut and mended.
type wire struct {
	net.Listener
	target string
	mu     sync.Mutex
	cut    bool
	open   []net.Conn
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: listener, target: target}
	t.Cleanup(func() { _ = listener.Close() })
	go w.accept()
	return w
}

func (w *wire) accept() {
	for {
		near, err := w.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.target)
		w.mu.Lock()
		if err != nil || w.cut {
			_ = near.Close()
		} else {
			w.open = append(w.open, near, far)
			go func() { _, _ = io.Copy(near, far) }()
			go func() { _, _ = io.Copy(far, near) }()
		}
		w.mu.Unlock()
	}
}

func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, conn := range w.open {
		_ = conn.Close()
	}
	w.open = nil
}

func TestReceiveWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	database, err := url.Parse(storetest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	w := newWire(t, database.Host)
	database.Host = w.Addr().String()
	s, err := store.Open(t.Context(), store.Config{
		URL: database.String(), Policies: core.Policies{{Match: "**", Policy: storetest.Policy}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	handler := serve(t, s)
	push := seal(t, "github", "push", pushBody)
	w.set(true)
	for range 10 {
		got := send(t, handler, "/webhooks/github", push.Header, push.Body)
		if got.Status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || got.Detail == "" {
			t.Fatalf("while it is away: %+v, Retry-After %q, want 503", got, got.header.Get("Retry-After"))
		}
	}
	w.set(false)
	if got := send(t, handler, "/webhooks/github", push.Header, push.Body); got.Outcome != core.ScanCreated {
		t.Errorf("when it is back: %+v, want scan_created", got)
	}
}
