package httpx_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/httpx"
)

// A sender that stalls gets its answer when its time is over, and is hung up on: it holds a connection no longer.
func TestStalledSendersAreHungUpOn(t *testing.T) {
	t.Parallel()
	bodies := twoClasses()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		place := bodies.Place()
		defer place.Leave()
		if _, err := place.Read(w, r, 50*time.Millisecond); err != nil {
			w.WriteHeader(httpx.Status(err))
		}
	}))
	t.Cleanup(server.Close)
	for _, length := range []string{"Content-Length: 9", "Transfer-Encoding: chunked"} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+length+"\r\n\r\n1")
		answer, err := io.ReadAll(conn)
		if err != nil || len(answer) < 12 || string(answer[9:12]) != "400" {
			t.Errorf("%s: answer %q, %v, want 400 and the end", length, answer, err)
		}
		_ = conn.Close()
	}
}
