// Package gittest serves Git repositories to tests, with git's own HTTP backend.
package gittest

import (
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/scanhook/scanhook/platforms"
)

// Files are the contents of a commit by path.
type Files map[string]string

// Server serves the repositories below its directory, for reading, with git's own HTTP backend.
type Server struct {
	*httptest.Server
	Dir  string
	Look func(http.ResponseWriter, *http.Request) (answered bool) // sees a request first; may be nil

	Proxy atomic.Pointer[Proxy] // stands before the server; may be nil
}

// Proxy passes requests on to next, or does not.
type Proxy func(w http.ResponseWriter, r *http.Request, next http.Handler)

// NewServer starts a server. It lets each look see a request first and answer it.
func NewServer(t testing.TB, looks ...func(http.ResponseWriter, *http.Request) (answered bool)) *Server {
	t.Helper()
	execPath, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Skip("git is not installed")
	}
	s := &Server{Dir: t.TempDir()}
	backend := &cgi.Handler{
		Path:   filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"),
		Env:    []string{"GIT_PROJECT_ROOT=" + s.Dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1"},
		Stderr: io.Discard,
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, look := range append(looks, s.Look) {
			if look != nil && look(w, r) {
				return
			}
		}
		if before := s.Proxy.Load(); before != nil {
			(*before)(w, r, backend)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// Commit makes a repository with one commit and returns the commit's id.
func (s *Server) Commit(t testing.TB, project string, content Files, initArgs ...string) string {
	t.Helper()
	dir := filepath.Join(s.Dir, project+".git")
	Git(t, s.Dir, append([]string{"init", "--quiet", "--initial-branch=main", dir}, initArgs...)...)
	Git(t, dir, "config", "uploadpack.allowAnySHA1InWant", "true")
	Write(t, dir, content)
	return s.Amend(t, project, "first")
}

// Amend commits everything in the repository's work tree.
func (s *Server) Amend(t testing.TB, project, message string) string {
	t.Helper()
	dir := filepath.Join(s.Dir, project+".git")
	Git(t, dir, "add", "--all", "--force")
	Git(t, dir, "commit", "--quiet", "--allow-empty", "--message", message)
	return Git(t, dir, "rev-parse", "HEAD")
}

// Remote is where a project is fetched from.
func (s *Server) Remote(project string) platforms.Remote {
	return platforms.Remote{URL: s.URL + "/" + project + ".git"}
}

// Write writes files below a directory.
func Write(t testing.TB, dir string, content Files) {
	t.Helper()
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Git runs git for the test itself.
func Git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, output)
	}
	return strings.TrimSpace(string(output))
}

// Record notes the command lines of git from now on, for tests that do not run beside others. It returns what was noted so far.
func Record(t *testing.T) (lines func() []string) {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	dir := t.TempDir()
	noted := filepath.Join(dir, "lines")
	script := "#!/bin/sh\necho \"$*\" >>'" + noted + "'\nexec '" + git + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	return func() []string {
		text, _ := os.ReadFile(noted)
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
}
