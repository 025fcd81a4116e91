package main

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// More senders than there are connections begin a request, stall, and come again when they are thrown out. They need no
// secret for that. Ordinary pushes are answered all the same, before the platform hangs up.
func TestPressureOfStallingSenders(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("takes half a minute, and many connections")
	}
	w, _ := setup(t, sandboxConfig{kind: "github", extra: "scanners: {bomb: {upload: true}}\nrepositories: [{match: '**', scanners: []}]"})
	w.release(t)
	processOf(t, w, built(t))
	for name, head := range map[string]string{
		"in the header":     "POST /webhooks/github HTTP/1.1\r\nHost: x\r\n",
		"in a small body":   stalledBody(8_000, 100),
		"in a usual body":   stalledBody(40_000, 9_000),
		"in a chunked body": "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=00\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			done := make(chan struct{})
			leave := crowd(1300, func() { stall(w, head, done) })
			time.Sleep(time.Second) // they are inside
			pulse := takePulse(t, w)
			time.Sleep(3 * time.Second)
			pulse.stop()
			close(done)
			leave()
			t.Logf("ordinary pushes %v, the slowest after %s", pulse.answers, pulse.slowest)
			if len(pulse.answers) != 1 || pulse.answers["202"] == 0 {
				t.Errorf("ordinary pushes got %v, the slowest after %s", pulse.answers, pulse.slowest)
			}
		})
	}
}

// stalledBody is the beginning of a call with a forged signature, and some of its body.
func stalledBody(declared, sent int) string {
	return fmt.Sprintf("POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=00\r\nContent-Length: %d\r\n\r\n%s",
		declared, strings.Repeat("a", sent))
}
