package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/httpx"
)

// listen listens on a TCP address or a Unix socket. Errors say what to change.
func listen(server config.Server) (net.Listener, error) {
	socket := server.Socket()
	if socket == "" {
		listener, err := net.Listen("tcp", server.Listen)
		if err != nil {
			return nil, fmt.Errorf("listening on %s: %w; change server.listen or stop what holds it", server.Listen, err)
		}
		return listener, nil
	}
	if conn, err := net.Dial("unix", socket); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("listening on %s: another process does; change server.listen or stop it", server.Listen)
	} else if info, _ := os.Lstat(socket); errors.Is(err, syscall.ECONNREFUSED) && info != nil && info.Mode().Type() == fs.ModeSocket {
		_ = os.Remove(socket) // of a process that was killed; any other file is refused in the same way
	}
	listener, err := net.Listen("unix", socket)
	if err == nil {
		err = os.Chmod(socket, socketMode)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w; the folder must exist and be writable", server.Listen, err)
	}
	return listener, nil
}

// socketMode lets the group in, which a proxy may be a member of.
const socketMode = 0o660

// fromSocket is the address of callers through a Unix socket, which have none: they are on this machine.
const fromSocket = "127.0.0.1:0"

// hangUp closes a connection at once. TLS would wait until the other side has taken its farewell.
func hangUp(conn net.Conn) {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	_ = conn.Close()
}

// maxConnections is how many connections are open at once; more wait in the system's queue, where they cost nothing.
const maxConnections = 1024

// evictEvery is how often a connection is closed while others wait.
const evictEvery = 20 * time.Millisecond

// limitedListener is a listener that accepts no more than a number of connections at once. http.Server must report the states of connections to it.
type limitedListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	end    func()
	conns  connTracker
}

func newLimitedListener(listener net.Listener, most int) *limitedListener {
	closed := make(chan struct{})
	return &limitedListener{
		Listener: listener, slots: make(chan struct{}, most), closed: closed,
		end:   sync.OnceFunc(func() { close(closed) }),
		conns: connTracker{idle: map[net.Conn]bool{}, unread: map[net.Conn]bool{}, receiving: map[net.Conn]*httpx.Transfer{}},
	}
}

// Accept waits for a slot first.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	default:
		if !l.waitForSlot() {
			return nil, net.ErrClosed
		}
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
	}
	return conn, err
}

func (l *limitedListener) waitForSlot() bool {
	defer l.conns.uncrowded()
	ticker := time.NewTicker(evictEvery)
	defer ticker.Stop()
	for {
		l.conns.evict()
		select {
		case l.slots <- struct{}{}:
			return true
		case <-l.closed:
			return false
		case <-ticker.C:
		}
	}
}

// Close also ends an Accept that waits for a slot.
func (l *limitedListener) Close() error {
	l.end()
	return l.Listener.Close()
}

// requestGrace is how long a connection that was just accepted may take to send its request when no more are accepted, and
// lookAtRequests how often they are looked at.
const (
	requestGrace   = 250 * time.Millisecond
	lookAtRequests = 2 * time.Millisecond
)

// drain waits, for at most so long, until the requests on the way have been read: http.Server.Shutdown would drop them without an
// answer. Close it before, and let http.Server.Serve return.
func (l *limitedListener) drain(most time.Duration) {
	late, ticker := time.After(most), time.NewTicker(lookAtRequests)
	defer ticker.Stop()
	for l.conns.awaitsRequests() {
		select {
		case <-late:
			return
		case <-ticker.C:
		}
	}
}

// connState is for http.Server.ConnState.
func (l *limitedListener) connState(conn net.Conn, state http.ConnState) {
	l.conns.track(conn, state)
	if state == http.StateClosed || state == http.StateHijacked {
		<-l.slots
	}
}

type connKey struct{}

// connContext is for http.Server.ConnContext: it tells follow which connection a request comes from.
func (l *limitedListener) connContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// follow measures how fast the body of a request arrives while the handler reads it. A client that has sent everything is
// not too slow, however long the answer takes.
func (l *limitedListener) follow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connKey{}).(net.Conn)
		if _, isSocket := l.Addr().(*net.UnixAddr); isSocket {
			r.RemoteAddr = fromSocket
		}
		transfer := l.conns.transfer(conn)
		transfer.Pause()
		if r.ContentLength == 0 || r.Body == http.NoBody {
			transfer.End()
		} else {
			r.Body = &followedBody{ReadCloser: r.Body, transfer: transfer, left: r.ContentLength}
		}
		next.ServeHTTP(w, r)
	})
}

type followedBody struct {
	io.ReadCloser
	transfer *httpx.Transfer
	left     int64 // bytes; negative where the length is not known
}

// Read implements io.Reader.
func (b *followedBody) Read(p []byte) (int, error) {
	n, err := b.transfer.Read(b.ReadCloser, p)
	if b.left -= int64(n); b.left == 0 || err != nil {
		b.transfer.End()
	}
	return n, err
}

// connTracker knows which open connections can be closed while others wait to be accepted: idle ones, and those whose
// request arrives too slowly. Otherwise a thousand of them could keep webhooks out for as long as they like.
type connTracker struct {
	mu        sync.Mutex
	idle      map[net.Conn]bool
	unread    map[net.Conn]bool // no handler has their request yet
	crowded   bool
	receiving map[net.Conn]*httpx.Transfer
	transfers httpx.Transfers
}

// track follows the states of http.Server.ConnState.
func (t *connTracker) track(conn net.Conn, state http.ConnState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.idle, conn)
	delete(t.unread, conn)
	switch state {
	case http.StateNew, http.StateActive:
		t.unread[conn] = true
		if t.receiving[conn] == nil {
			t.receiving[conn] = t.transfers.Begin(func() { hangUp(conn) }) // net/http reports the end
		}
		return
	case http.StateIdle:
		if t.crowded {
			hangUp(conn)
		} else {
			t.idle[conn] = true
		}
	}
	t.receiving[conn].End()
	delete(t.receiving, conn)
}

// transfer is that of a connection whose request has come to the handler.
func (t *connTracker) transfer(conn net.Conn) *httpx.Transfer {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.unread, conn)
	return t.receiving[conn]
}

// evict closes one idle connection, or the next one that becomes idle, and one that is too slow.
func (t *connTracker) evict() {
	t.transfers.AbortSlowest()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.crowded = true
	for conn := range t.idle {
		delete(t.idle, conn)
		hangUp(conn)
		return
	}
}

// awaitsRequests tells whether a request is on its way to the handler.
func (t *connTracker) awaitsRequests() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.unread) > 0
}

// uncrowded notes that no connection waits any more.
func (t *connTracker) uncrowded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.crowded = false
}
