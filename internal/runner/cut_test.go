package runner

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A server that greets and then hangs or breaks off has not lost the commit to a force push.
func TestFetchCommitSaysWhenTheServerIsCutOff(t *testing.T) {
	t.Parallel()
	status := func(code int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	tests := map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		after  int    // where there is no answer: the bytes after which the server's own is cut off
		want   string // of git's own words
	}{
		"hangs":                 {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, "Operation too slow"},
		"bad gateway":           {status(http.StatusBadGateway), 0, "HTTP 502"},
		"rate limited":          {status(http.StatusTooManyRequests), 0, "HTTP 429"},
		"says nothing":          {status(http.StatusOK), 0, "expected 'packfile'"},
		"cut before the answer": {nil, 0, "transfer closed"},
		"cut before the pack":   {nil, 10, "transfer closed"},
		"cut inside the pack":   {nil, 100, "transfer closed"},
		"cut deep in the pack":  {nil, 300_000, "transfer closed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newGitServer(t)
			sha := server.commit(t, "p", files{"noise": noise(1 << 20)})
			cut := proxy(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				switch {
				case r.Method == http.MethodGet:
					next.ServeHTTP(w, r)
				case test.answer != nil:
					_, _ = io.Copy(io.Discard, r.Body) // only then net/http notices a caller who goes away
					w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
					test.answer(w, r)
				default:
					next.ServeHTTP(&cutter{w, test.after}, r)
				}
			})
			server.proxy.Store(&cut)
			space := open(t)
			space.patience = time.Second
			err := fetchCommit(t.Context(), space, server.remote("p"), sha)
			if err == nil || !strings.Contains(err.Error(), "too slow, or broke off") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want what to do about a slow server, and ...%s..., got %v", test.want, err)
			}
			if found := new(retryable); !errors.As(err, found) || !found.away {
				t.Errorf("want it waited for, got %+v", found)
			}
		})
	}
}

// What a server says by itself is not taken for git's own words.
func TestIsCut(t *testing.T) {
	t.Parallel()
	for stderr, want := range map[string]bool{
		"fatal: the remote end hung up unexpectedly\n":                                               true,
		"error: RPC failed; HTTP 503 curl 22 The requested URL returned error: 503\n":                true,
		"error: RPC failed; HTTP 408 curl 22 The requested URL returned error: 408\n":                true,
		"error: RPC failed; HTTP 401 curl 22 The requested URL returned error: 401\n":                false,
		"fatal: remote error: upload-pack: not our ref aaaa\n":                                       false,
		"remote: early EOF is what we call it\nerror: no such remote ref\n":                          false,
		"error: RPC failed; curl 23 Failed writing body\nfatal: fsck error in packed object\n":       false,
		"error: Server does not allow request for unadvertised object aaaa\nfatal: something else\n": false,
	} {
		if got := isCut(stderr); got != want {
			t.Errorf("%q: %t, want %t", stderr, got, want)
		}
	}
}

// noise is text that does not get smaller in a pack.
func noise(size int) string {
	text := make([]byte, size)
	_, _ = rand.Read(text) // never fails
	return string(text)
}

// cutter ends the connection after so many bytes.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) > c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}
