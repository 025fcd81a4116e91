package webhooks_test

import (
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// Calls that cannot be verified get no time either: connections are few.
func TestStrangersWhoStallAreHungUpOn(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(serveScoped(t, storetest.Open(t, store.Config{}), nil))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nContent-Length: 9\r\n\r\n{")
	answer, err := io.ReadAll(conn)
	if err != nil || len(answer) < 12 || string(answer[9:12]) != "401" {
		t.Errorf("answer %q, %v, want 401 and the end", answer, err)
	}
}
