package storetest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Wire forwards connections to a database server; it can stop forwarding without closing them.
type Wire struct {
	URL string // of the database, through the wire

	server, address string
	frozen          sync.RWMutex // held for writing while nothing passes
}

// NewWire returns a wire to PostgreSQL that does not listen yet.
func NewWire(t testing.TB) *Wire {
	t.Helper()
	database, err := url.Parse(PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", Host()+":0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	w := &Wire{server: database.Host, address: listener.Addr().String()}
	database.Host = w.address
	w.URL = database.String()
	return w
}

// Connect makes the server reachable until the test ends.
func (w *Wire) Connect(t testing.TB) {
	listener, err := net.Listen("tcp", w.address)
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go w.carry(near)
		}
	}()
}

// Freeze forwards nothing until Thaw: the server seems to accept everything and to answer nothing.
func (w *Wire) Freeze() { w.frozen.Lock() }

// Thaw forwards what was held back.
func (w *Wire) Thaw() { w.frozen.Unlock() }

func (w *Wire) carry(near net.Conn) {
	far, err := net.Dial("tcp", w.server)
	if err != nil {
		_ = near.Close()
		return
	}
	pass := func(to, from net.Conn) {
		defer to.Close()
		_, _ = io.Copy(gate{to, &w.frozen}, from)
	}
	go pass(near, far)
	pass(far, near)
}

// gate holds writes back while it is frozen.
type gate struct {
	io.Writer
	frozen *sync.RWMutex
}

func (g gate) Write(p []byte) (int, error) {
	g.frozen.RLock()
	defer g.frozen.RUnlock()
	return g.Writer.Write(p)
}
