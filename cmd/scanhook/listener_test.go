package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// The third connection is served when one of two ends.
func TestCrowdWaitsOutside(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	guests := newLimitedListener(listener, 2)
	server := &http.Server{ConnState: guests.hear, Handler: http.NotFoundHandler()}
	served := make(chan error, 1)
	go func() { served <- server.Serve(guests) }()
	var conns []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	third := conns[2]
	if _, err := io.WriteString(third, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = third.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := third.Read(make([]byte, 1)); err == nil {
		t.Errorf("the third connection was answered with %d bytes while two were open", n)
	}
	_ = third.SetReadDeadline(time.Now().Add(time.Minute))
	_ = conns[0].Close()
	if _, err := third.Read(make([]byte, 1)); err != nil {
		t.Errorf("the third connection, when one has ended: %v", err)
	}
	_ = conns[1].Close()
	_ = third.Close()
	if err := server.Shutdown(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// Connections that only rest give way to those that wait.
func TestIdleConnectionsKeepNobodyOutside(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	guests := newLimitedListener(listener, 2)
	server := &http.Server{ConnState: guests.hear, Handler: http.NotFoundHandler()}
	go func() { _ = server.Serve(guests) }()
	t.Cleanup(func() { _ = server.Close() })
	for range 7 {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatalf("a further connection while others rest: %v", err)
		}
	}
}

// Those whose request lies here already wait for us, and not we for them: however crowded it is, they are answered.
func TestNobodyIsCutOffWhoWaitsForUs(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	guests := newLimitedListener(listener, 10)
	slowly := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		time.Sleep(1200 * time.Millisecond)
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(300 * time.Millisecond)
	})
	server := &http.Server{ConnState: guests.hear, ConnContext: guests.know, Handler: guests.follow(slowly)}
	go func() { _ = server.Serve(guests) }()
	t.Cleanup(func() { _ = server.Close() })
	var posting sync.WaitGroup
	for range 30 {
		posting.Go(func() {
			body := strings.NewReader(strings.Repeat("a", 30_000))
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listener.Addr().String(), body)
			if got := answerTo(request); got != "200" {
				t.Errorf("an honest sender got %s", got)
			}
		})
	}
	posting.Wait()
}
