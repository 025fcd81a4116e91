package main

import (
	"net"
	"net/http"
	"sync"
)

// idlers are the connections that are kept for a further request. While others wait to be let in, none is kept: a
// thousand that ask for nothing would keep webhooks outside for as long as they like.
type idlers struct {
	mu      sync.Mutex
	conns   map[net.Conn]bool
	crowded bool
}

// hear is for http.Server.ConnState.
func (i *idlers) hear(conn net.Conn, state http.ConnState) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case state != http.StateIdle:
		delete(i.conns, conn)
	case i.crowded:
		_ = conn.Close() // net/http tells that it ended
	default:
		if i.conns == nil {
			i.conns = map[net.Conn]bool{}
		}
		i.conns[conn] = true
	}
}

// makeRoom ends one of them, or the next one that comes to rest.
func (i *idlers) makeRoom() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.crowded = true
	for conn := range i.conns {
		delete(i.conns, conn)
		_ = conn.Close()
		return
	}
}

// roomy tells that nobody waits any more.
func (i *idlers) roomy() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.crowded = false
}
