package main

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// attack is something that a receiver on the open Internet must bear.
type attack struct {
	name string
	must string   // the answer that some must have been given; may be empty
	may  []string // others that are right
	run  func() tally
}

func (a tally) check(t *testing.T, attack attack) {
	t.Helper()
	if attack.must != "" && a[attack.must] == 0 {
		t.Errorf("%s: answers %v, want some %s", attack.name, a, attack.must)
	}
	for answer := range a {
		if answer != attack.must && !slices.Contains(attack.may, answer) {
			t.Errorf("%s: answers %v, want %s and %v only", attack.name, a, attack.must, attack.may)
		}
	}
}

const (
	megabyte = 1 << 20
	cut      = "cut off" // an answer can be lost while its reader still sends
)

func attacks(t *testing.T, w *sandbox) []attack {
	giant := giantPush(25 * megabyte)
	valid := seal(t, w, giant)
	forged := valid
	forged.Header = valid.Header.Clone()
	forged.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
	unsigned := forged
	unsigned.Header = http.Header{"X-Github-Event": {"push"}}
	forge := func() string { return post(t, w, forged) }
	push := func() string { return post(t, w, valid) }
	blanks := func() string { return uploadRaw(t, w, bomb(sarifHead, strings.Repeat(" ", megabyte))) }
	return []attack{
		{"50 unsigned bodies of 25 MB", "", []string{"401", cut}, many(50, func() string { return post(t, w, unsigned) })},
		{"50 bodies of 25 MB with a wrong signature", "401", []string{"503", cut}, many(50, forge)},
		{"50 signed pushes of 25 MB", "202", []string{"200", "503", cut}, many(50, push)},
		{"8 signed bodies of nothing but objects", "202", []string{"503", cut}, many(8, func() string {
			return post(t, w, seal(t, w, filled(`{"commits":[`, "{},", `{}]}`)))
		})},
		{"8 signed bodies of nothing but files", "202", []string{"503", cut}, many(8, func() string {
			return post(t, w, seal(t, w, filled(`{"commits":[{"added":[`, `"a",`, `"b"]}],`+essentials())))
		})},
		{"4 uploads that unpack to 1 GB of blanks", "413", []string{"503", cut}, many(4, blanks)},
		{"4 uploads that unpack to 1 GB of empty results", "413", []string{"503", cut}, many(4, func() string {
			return uploadRaw(t, w, bomb(sarifHead, strings.Repeat("{},\n", megabyte/4)))
		})},
		{"4 uploads that unpack to a text of 1 GB", "413", []string{"503", cut}, many(4, func() string {
			return uploadRaw(t, w, bomb(sarifHead+`{"message":{"text":"`, strings.Repeat("x", megabyte)))
		})},
		{"all of it at once", "413", []string{"401", "202", "200", "503", cut}, many(108, alternately(forge, push, blanks))},
	}
}

// alternately does one after the other, whoever asks.
func alternately(things ...func() string) func() string {
	var n atomic.Int64
	return func() string { return things[int(n.Add(1))%len(things)]() }
}

const sarifHead = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"bomb"}},"results":[`

// many does the same thing at once.
func many(n int, once func() string) func() tally {
	return func() tally {
		var running sync.WaitGroup
		answers := make([]string, n)
		for i := range n {
			running.Go(func() { answers[i] = once() })
		}
		running.Wait()
		counts := tally{}
		for _, answer := range answers {
			counts[answer]++
		}
		return counts
	}
}

func seal(t *testing.T, w *sandbox, body string) fakeforge.Delivery {
	d, err := w.platform.Seal("push", []byte(body))
	if err != nil {
		t.Error(err)
	}
	return d
}

// essentials are the members of a push of a new commit that are needed, and the end of the object.
func essentials() string {
	return fmt.Sprintf(`"ref":"refs/heads/main","before":"%040d","after":"%s",`+
		`"repository":{"id":7,"full_name":"acme/big"}}`, 0, newCommit())
}

func newCommit() string {
	var id [20]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// ordinary is a push of about the usual size.
func ordinary(t *testing.T, w *sandbox) fakeforge.Delivery {
	return seal(t, w, giantPush(12<<10))
}

// giantPush is a push of as many commits as make up the size, in bytes.
func giantPush(size int) string {
	var body strings.Builder
	body.WriteString(`{"commits":[`)
	for n := 0; body.Len() < size-1000; n++ {
		fmt.Fprintf(&body, `{"id":"%040d","message":"Change %[1]d","author":{"name":"A","email":"a@example.com"},`+
			`"added":["src/a%[1]d.go"],"modified":["src/b%[1]d.go","README.md"],"removed":[]},`, n)
	}
	return body.String() + `{}],` + essentials()
}

// filled is a body of 25 MB that repeats one thing.
func filled(head, repeated, tail string) string {
	return head + strings.Repeat(repeated, (25*megabyte-len(head)-len(tail)-1)/len(repeated)) + tail
}

// bomb unpacks to head and 1 GB of filling, in as many members of gzip.
func bomb(head, filling string) []byte {
	var packed bytes.Buffer
	packed.Write(zipped(head))
	packed.Write(bytes.Repeat(zipped(filling), 1024))
	return packed.Bytes()
}

func zipped(text string) []byte {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = io.WriteString(writer, text)
	_ = writer.Close()
	return packed.Bytes()
}

// uploadRaw delivers a packed report for a commit.
func uploadRaw(t *testing.T, w *sandbox, body []byte) string {
	address := fmt.Sprintf("%s/api/v1/results/bomb?platform=github&project=acme/shop&project_id=42&commit=%s", w.scanhook, newCommit())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, address, bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Authorization", "Bearer "+w.apiToken)
	request.Header.Set("Content-Encoding", "gzip")
	return answerTo(request)
}

// slowSenders opens connections of three kinds that send a byte every half second: a header that does not end, a small
// body, and a large one. The returned function closes them.
func slowSenders(t *testing.T, w *sandbox, n int) (stop func()) {
	done := make(chan struct{})
	kinds := []string{
		"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Filler: ",
		"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=00\r\nContent-Length: 8000\r\n\r\n",
		"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=00\r\nContent-Length: 26000000\r\n\r\n",
	}
	var i atomic.Int64
	leave := crowd(n, func() { dribble(w, kinds[int(i.Add(1))%len(kinds)], done) })
	return func() { close(done); leave() }
}

// dribble sends a byte every half second, and comes again when it is thrown out.
func dribble(w *sandbox, head string, done <-chan struct{}) {
	for stay(w, head, "a", done) {
	}
}

// stall sends nothing more, and comes again when it is thrown out.
func stall(w *sandbox, head string, done <-chan struct{}) {
	for stay(w, head, "", done) {
	}
}

// stay begins a request and goes on with it every half second until it is thrown out; false when done is closed.
func stay(w *sandbox, head, more string, done <-chan struct{}) bool {
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.scanhook, "http://"))
	if err != nil {
		return false
	}
	defer conn.Close()
	_, err = io.WriteString(conn, head)
	for err == nil {
		select {
		case <-done:
			return false
		default:
		}
		_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		if _, err = conn.Read(make([]byte, 1)); os.IsTimeout(err) {
			_, err = io.WriteString(conn, more)
		}
	}
	return true
}

// crowd lets so many do the same thing; the returned function waits for them.
func crowd(n int, once func()) (wait func()) {
	var running sync.WaitGroup
	for range n {
		running.Go(once)
	}
	return running.Wait
}
