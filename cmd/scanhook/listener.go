package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/scanhook/scanhook/internal/httpx"
)

// maxConnections is how many connections are open at once; more wait in the system's queue, where they cost us nothing.
const maxConnections = 1024

// makeRoomEvery is how often somebody is asked to go while others wait outside.
const makeRoomEvery = 20 * time.Millisecond

// limitedListener is a listener that accepts no more than a number of connections at once. It must hear of their end.
type limitedListener struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	close  func()
	guests guests
}

func newLimitedListener(listener net.Listener, most int) *limitedListener {
	closed := make(chan struct{})
	return &limitedListener{
		Listener: listener, places: make(chan struct{}, most), closed: closed,
		close:  sync.OnceFunc(func() { close(closed) }),
		guests: guests{idle: map[net.Conn]bool{}, arriving: map[net.Conn]*httpx.Transfer{}},
	}
}

// Accept waits for a place first.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	default:
		if !l.waitForPlace() {
			return nil, net.ErrClosed
		}
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
	}
	return conn, err
}

func (l *limitedListener) waitForPlace() bool {
	defer l.guests.roomy()
	ticker := time.NewTicker(makeRoomEvery)
	defer ticker.Stop()
	for {
		l.guests.makeRoom()
		select {
		case l.places <- struct{}{}:
			return true
		case <-l.closed:
			return false
		case <-ticker.C:
		}
	}
}

// Close also ends an Accept that waits for a place.
func (l *limitedListener) Close() error {
	l.close()
	return l.Listener.Close()
}

// hear is for http.Server.ConnState.
func (l *limitedListener) hear(conn net.Conn, state http.ConnState) {
	l.guests.hear(conn, state)
	if state == http.StateClosed || state == http.StateHijacked {
		<-l.places
	}
}

type connKey struct{}

// know is for http.Server.ConnContext: it lets follow find out which connection a request comes from.
func (l *limitedListener) know(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// follow counts what comes of a request once its header is there, while the handler asks for it. Who has sent all of it
// is not too slow any more, however long the answer takes.
func (l *limitedListener) follow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connKey{}).(net.Conn)
		arrival := l.guests.arrival(conn)
		arrival.Pause()
		if r.ContentLength == 0 || r.Body == http.NoBody {
			arrival.End()
		} else {
			r.Body = &followedBody{ReadCloser: r.Body, arrival: arrival, left: r.ContentLength}
		}
		next.ServeHTTP(w, r)
	})
}

type followedBody struct {
	io.ReadCloser
	arrival *httpx.Transfer
	left    int64 // bytes; negative where the length is not known
}

// Read implements io.Reader.
func (b *followedBody) Read(p []byte) (int, error) {
	n, err := b.arrival.Read(b.ReadCloser, p)
	if b.left -= int64(n); b.left == 0 || err != nil {
		b.arrival.End()
	}
	return n, err
}
