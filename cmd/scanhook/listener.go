package main

import (
	"net"
	"net/http"
	"sync"
)

// maxConnections is how many connections are open at once; more wait in the system's queue, where they cost us nothing.
const maxConnections = 1024

// crowd is a listener that accepts no more than a number of connections at once. It must hear of their end.
type crowd struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	close  func()
	idle   idlers
}

func newCrowd(listener net.Listener, most int) *crowd {
	closed := make(chan struct{})
	return &crowd{
		Listener: listener, places: make(chan struct{}, most), closed: closed,
		close: sync.OnceFunc(func() { close(closed) }),
	}
}

// Accept waits for a place first.
func (c *crowd) Accept() (net.Conn, error) {
	select {
	case c.places <- struct{}{}:
	default:
		if !c.waitForPlace() {
			return nil, net.ErrClosed
		}
	}
	conn, err := c.Listener.Accept()
	if err != nil {
		<-c.places
	}
	return conn, err
}

func (c *crowd) waitForPlace() bool {
	c.idle.makeRoom()
	defer c.idle.roomy()
	select {
	case c.places <- struct{}{}:
		return true
	case <-c.closed:
		return false
	}
}

// Close also ends an Accept that waits for a place.
func (c *crowd) Close() error {
	c.close()
	return c.Listener.Close()
}

// hear is for http.Server.ConnState.
func (c *crowd) hear(conn net.Conn, state http.ConnState) {
	c.idle.hear(conn, state)
	if state == http.StateClosed || state == http.StateHijacked {
		<-c.places
	}
}
