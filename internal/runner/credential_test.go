package runner

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const token = "glpat-veryverysecret"

func basic(password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte("oauth2:"+password))
}

// The credential goes to the server and nowhere else.
func TestFetchCommitKeepsTheCredential(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var authorized, watched int
	server := newGitServer(t, func(w http.ResponseWriter, r *http.Request) bool {
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
	sha := server.commit(t, "p", files{"a": "b\n"})
	space := open(t)
	remote := server.remote("p")
	remote.Authorization = basic(token)
	if err := fetchCommit(t.Context(), space, remote, sha); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if authorized == 0 || watched == 0 && onLinux() {
		t.Errorf("want requests with the credential from git, got %d from %d processes", authorized, watched)
	}
	for name, text := range tree(t, space.root, false) {
		if strings.Contains(text, token) || strings.Contains(text, basic(token)[6:]) {
			t.Errorf("the credential stands in %s", name)
		}
	}
}

func TestFetchCommitDoesNotFollowRedirects(t *testing.T) {
	t.Parallel()
	var asked []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Authorization"))
		http.NotFound(w, r)
	}))
	defer elsewhere.Close()
	server := newGitServer(t, func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, elsewhere.URL+r.URL.String(), http.StatusFound)
		return true
	})
	sha := server.commit(t, "p", files{"a": "b\n"})
	remote := server.remote("p")
	remote.Authorization = basic(token)
	if err := fetchCommit(t.Context(), open(t), remote, sha); err == nil {
		t.Error("want an error")
	}
	elsewhere.Close()
	if len(asked) > 0 {
		t.Errorf("want no request elsewhere, got %q", asked)
	}
}

func TestFetchCommitScrubsWhatTheServerSays(t *testing.T) {
	t.Parallel()
	server := newGitServer(t, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("\x1b[31mbad token " + token + " from " + r.Header.Get("Authorization")))
		return true
	})
	remote := server.remote("p")
	remote.Authorization = basic(token)
	err := fetchCommit(t.Context(), open(t), remote, strings.Repeat("a", 40))
	if err == nil || strings.Contains(err.Error(), token) || strings.Contains(err.Error(), basic(token)[6:]) {
		t.Errorf("want an error without the credential, got %v", err)
	}
	git := gitRunner{remote: remote}
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
		if got := (gitRunner{}).lastWords(said); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}

func onLinux() bool {
	_, err := os.Stat("/proc/self/cmdline")
	return err == nil
}

// commandLines counts the running processes that mention about, and returns what of them mentions a secret.
func commandLines(about string, secrets ...string) (count int, leaks []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		line, _ := os.ReadFile(path)
		if bytes.Contains(line, []byte(about)) {
			count++
		}
		for _, secret := range secrets {
			if bytes.Contains(line, []byte(secret)) {
				leaks = append(leaks, string(line))
			}
		}
	}
	return count, leaks
}
