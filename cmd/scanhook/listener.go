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
}

func newCrowd(listener net.Listener, most int) *crowd {
	closed := make(chan struct{})
	return &crowd{listener, make(chan struct{}, most), closed, sync.OnceFunc(func() { close(closed) })}
}

// Accept waits for a place first.
func (c *crowd) Accept() (net.Conn, error) {
	select {
	case c.places <- struct{}{}:
	case <-c.closed:
		return nil, net.ErrClosed
	}
	conn, err := c.Listener.Accept()
	if err != nil {
		<-c.places
	}
	return conn, err
}

// Close also ends an Accept that waits for a place.
func (c *crowd) Close() error {
	c.close()
	return c.Listener.Close()
}

// hear is for http.Server.ConnState.
func (c *crowd) hear(_ net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		<-c.places
	}
}
