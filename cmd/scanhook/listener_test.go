package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
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
	limited := newLimitedListener(listener, 2)
	leave := make(chan struct{})
	inside := limited.follow(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-leave }))
	server := &http.Server{ConnState: limited.connState, ConnContext: limited.connContext, Handler: inside}
	served := make(chan error, 1)
	go func() { served <- server.Serve(limited) }()
	var conns []net.Conn
	for range 3 {
		conns = append(conns, request(t, listener, "Connection: close\r\n\r\n"))
	}
	third := conns[2]
	_ = third.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := third.Read(make([]byte, 1)); err == nil {
		t.Errorf("the third connection was answered with %d bytes while two were open", n)
	}
	leave <- struct{}{}
	close(leave)
	_ = third.SetReadDeadline(time.Now().Add(patience))
	if _, err := third.Read(make([]byte, 1)); err != nil {
		t.Errorf("the third connection, when one has ended: %v", err)
	}
	if err := server.Shutdown(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// request makes a connection and sends all of a request at once; head is what follows its first lines.
func request(t *testing.T, listener net.Listener, head string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+head); err != nil {
		t.Fatal(err)
	}
	return conn
}

// Connections that only rest give way to those that wait.
func TestIdleConnectionsKeepNobodyOutside(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := newLimitedListener(listener, 2)
	server := &http.Server{ConnState: limited.connState, Handler: http.NotFoundHandler()}
	go func() { _ = server.Serve(limited) }()
	t.Cleanup(func() { _ = server.Close() })
	for range 7 {
		conn := request(t, listener, "\r\n")
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
	limited := newLimitedListener(listener, 10)
	slowly := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		time.Sleep(1200 * time.Millisecond)
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(300 * time.Millisecond)
	})
	server := &http.Server{ConnState: limited.connState, ConnContext: limited.connContext, Handler: limited.follow(slowly)}
	go func() { _ = server.Serve(limited) }()
	t.Cleanup(func() { _ = server.Close() })
	var senders []net.Conn
	for range 30 {
		senders = append(senders, request(t, listener, "Content-Length: 30000\r\n\r\n"+strings.Repeat("a", 30_000)))
	}
	for _, sender := range senders {
		answer := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(sender, answer); err != nil || string(answer) != "HTTP/1.1 200" {
			t.Errorf("an honest sender got %q, %v", answer, err)
		}
	}
}

// Who was let in before the end is answered, though the request comes later.
func TestDrainWaitsForRequests(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := newLimitedListener(listener, 2)
	server := &http.Server{
		Handler:   limited.follow(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})),
		ConnState: limited.connState, ConnContext: limited.connContext,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(limited) }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	eventually(t, "the connection is accepted", func() (any, bool) { return nil, limited.conns.awaitsRequests() })
	if err := errors.Join(limited.Close(), <-served); err == nil {
		t.Error("Serve goes on")
	}
	drained := make(chan error, 1)
	go func() {
		limited.drain(patience)
		drained <- server.Shutdown(context.WithoutCancel(t.Context()))
	}()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 200" {
		t.Errorf("the answer is %q, %v", answer, err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}
