package main

import (
	"net"
	"net/http"
	"sync"

	"github.com/scanhook/scanhook/internal/httpx"
)

// guests are the connections that are open. Those that are kept for a further request, and those whose request comes too
// slowly, give way while others wait to be let in: a thousand of them would keep webhooks outside for as long as they like.
type guests struct {
	mu       sync.Mutex
	idle     map[net.Conn]bool
	crowded  bool
	arriving map[net.Conn]*httpx.Transfer
	arrivals httpx.Transfers
}

// hear is for http.Server.ConnState.
func (g *guests) hear(conn net.Conn, state http.ConnState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.idle, conn)
	switch state {
	case http.StateNew, http.StateActive:
		if g.arriving[conn] == nil {
			g.arriving[conn] = g.arrivals.Begin(func() { _ = conn.Close() }) // net/http tells that it ended
		}
		return
	case http.StateIdle:
		if g.crowded {
			_ = conn.Close()
		} else {
			g.idle[conn] = true
		}
	}
	g.arriving[conn].End()
	delete(g.arriving, conn)
}

func (g *guests) arrival(conn net.Conn) *httpx.Transfer {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.arriving[conn]
}

// makeRoom ends one connection at rest, or the next one that comes to rest, and one that is too slow.
func (g *guests) makeRoom() {
	g.arrivals.AbortSlowest()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.crowded = true
	for conn := range g.idle {
		delete(g.idle, conn)
		_ = conn.Close()
		return
	}
}

// roomy tells that nobody waits any more.
func (g *guests) roomy() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.crowded = false
}
