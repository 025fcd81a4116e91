package main

import (
	"net"
	"net/http"
	"sync"
)

// maxConnections is how many connections are open at once; more wait in the system's queue, where they cost us nothing.
const maxConnections = 1024

// limitedListener is a listener that accepts no more than a number of connections at once. It must hear of their end.
type limitedListener struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	close  func()
	idle   idlers
}

func newLimitedListener(listener net.Listener, most int) *limitedListener {
	closed := make(chan struct{})
	return &limitedListener{
		Listener: listener, places: make(chan struct{}, most), closed: closed,
		close: sync.OnceFunc(func() { close(closed) }),
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
	l.idle.makeRoom()
	defer l.idle.roomy()
	select {
	case l.places <- struct{}{}:
		return true
	case <-l.closed:
		return false
	}
}

// Close also ends an Accept that waits for a place.
func (l *limitedListener) Close() error {
	l.close()
	return l.Listener.Close()
}

// hear is for http.Server.ConnState.
func (l *limitedListener) hear(conn net.Conn, state http.ConnState) {
	l.idle.hear(conn, state)
	if state == http.StateClosed || state == http.StateHijacked {
		<-l.places
	}
}
