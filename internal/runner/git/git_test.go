package git

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
)

// The credential goes to the server and nowhere else.
func TestCheckoutKeepsTheCredential(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var authorized, watched int
	server := gittest.NewServer(t, func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		git, leaks := commandLines(r.Host, token, basic(token)[6:])
		watched += git
		for _, leak := range leaks {
			t.Errorf("the credential stands in a command line: %q", leak)
		}
		if r.Header.Get("Authorization") != basic(token) {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		authorized++
		return false
	})
	sha := server.Commit(t, "p", gittest.Files{"a": "b\n"})
	space := sandboxtest.Open(t)
	remote := server.Remote("p")
	remote.Authorization = basic(token)
	if err := checkOut(t.Context(), Repo{Space: space, Remote: remote}, sha); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if authorized == 0 || watched == 0 && onLinux() {
		t.Errorf("want requests with the credential from git, got %d from %d processes", authorized, watched)
	}
	for name, text := range tree(t, space.Root, false) {
		if strings.Contains(text, token) || strings.Contains(text, basic(token)[6:]) {
			t.Errorf("the credential stands in %s", name)
		}
	}
}

func TestCheckoutDoesNotFollowRedirects(t *testing.T) {
	t.Parallel()
	var asked []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Authorization"))
		http.NotFound(w, r)
	}))
	defer elsewhere.Close()
	server := gittest.NewServer(t, func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, elsewhere.URL+r.URL.String(), http.StatusFound)
		return true
	})
	sha := server.Commit(t, "p", gittest.Files{"a": "b\n"})
	remote := server.Remote("p")
	remote.Authorization = basic(token)
	if err := checkOut(t.Context(), Repo{Space: sandboxtest.Open(t), Remote: remote}, sha); err == nil {
		t.Error("want an error")
	}
	elsewhere.Close()
	if len(asked) > 0 {
		t.Errorf("want no request elsewhere, got %q", asked)
	}
}

func TestCheckoutScrubsWhatTheServerSays(t *testing.T) {
	t.Parallel()
	server := gittest.NewServer(t, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("\x1b[31mbad token " + token + " from " + r.Header.Get("Authorization")))
		return true
	})
	remote := server.Remote("p")
	remote.Authorization = basic(token)
	err := checkOut(t.Context(), Repo{Space: sandboxtest.Open(t), Remote: remote}, strings.Repeat("a", 40))
	if err == nil || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), basic(token)[6:]) {
		t.Errorf("want an error without the credential, got %v", err)
	}
	git := Repo{Remote: remote}
	got := git.lastWords("remote: \x1b[31mbad token " + token + ", " + basic(token) + "\n\n")
	if want := "remote: bad token [credential], [credential]"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

// What is wrong with the objects of a commit, git tells before its last line.
func TestLastWordsKeepTheCause(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"error: object 12ab: zeroPaddedFilemode: contains zero-padded file modes\nfatal: fsck error in packed object\n" +
			"fatal: fetch-pack: invalid index-pack output\n": "error: object 12ab: zeroPaddedFilemode: contains zero-padded " +
			"file modes; fatal: fetch-pack: invalid index-pack output",
		"fatal: pack has bad object at offset 12: inflate returned -3\nfatal: index-pack failed\n": "fatal: pack has bad object " +
			"at offset 12: inflate returned -3; fatal: index-pack failed",
		"fatal: index-pack failed\n":                      "fatal: index-pack failed",
		"error: RPC failed; HTTP 500\nfatal: early EOF\n": "error: RPC failed; HTTP 500",
		"warning: x\nfatal: repository 'y' not found\n\n": "fatal: repository 'y' not found",
	} {
		if got := (Repo{}).lastWords(said); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}

func TestGitIsBounded(t *testing.T) {
	t.Parallel()
	if !onLinux() {
		t.Skip("limits are read from /proc")
	}
	space := sandboxtest.Open(t)
	git := Repo{Space: space}
	if err := git.run(t.Context(), "init", "--quiet", "--template="); err != nil {
		t.Fatal(err)
	}
	limits := func(space sandbox.Workspace) (said string) {
		git := Repo{Space: space, MaxPaths: 1 << 20}
		out := filepath.Join(space.Temp, "limits")
		if err := git.run(t.Context(), "-c", "alias.limits=!cat /proc/self/limits >"+out, "limits"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(text)), " ")
	}
	space.Limit = 8 << 20
	for _, want := range []string{"Max file size 8388608 ", "Max data size 1610612736 "} {
		if said := limits(space); !strings.Contains(said, want) {
			t.Errorf("want %q in %s", want, said)
		}
	}
}

// What a server says by itself is not taken for git's own words.
func TestIsBroken(t *testing.T) {
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
		if got := isBroken(stderr); got != want {
			t.Errorf("%q: %t, want %t", stderr, got, want)
		}
	}
}
