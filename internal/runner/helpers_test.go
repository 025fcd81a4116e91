package runner

import (
	"context"
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

// files are the contents of a commit by path.
type files map[string]string

// gitServer serves the repositories below its directory, for reading, with git's own HTTP backend.
type gitServer struct {
	*httptest.Server
	dir  string
	look func(http.ResponseWriter, *http.Request) (answered bool) // sees a request first; may be nil

	proxy atomic.Pointer[proxy] // stands before the server; may be nil
}

// proxy passes requests on to next, or does not.
type proxy func(w http.ResponseWriter, r *http.Request, next http.Handler)

// newGitServer lets each look see a request first and answer it.
func newGitServer(t *testing.T, looks ...func(http.ResponseWriter, *http.Request) (answered bool)) *gitServer {
	t.Helper()
	execPath, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Skip("git is not installed")
	}
	s := &gitServer{dir: t.TempDir()}
	backend := &cgi.Handler{
		Path:   filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"),
		Env:    []string{"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1"},
		Stderr: io.Discard,
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, look := range append(looks, s.look) {
			if look != nil && look(w, r) {
				return
			}
		}
		if before := s.proxy.Load(); before != nil {
			(*before)(w, r, backend)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// commit makes a repository with one commit and returns the commit's id.
func (s *gitServer) commit(t *testing.T, project string, content files, initArgs ...string) string {
	t.Helper()
	dir := filepath.Join(s.dir, project+".git")
	run(t, s.dir, append([]string{"init", "--quiet", "--initial-branch=main", dir}, initArgs...)...)
	run(t, dir, "config", "uploadpack.allowAnySHA1InWant", "true")
	write(t, dir, content)
	return s.amend(t, project, "first")
}

// amend commits everything in the repository's work tree.
func (s *gitServer) amend(t *testing.T, project, message string) string {
	t.Helper()
	dir := filepath.Join(s.dir, project+".git")
	run(t, dir, "add", "--all", "--force")
	run(t, dir, "commit", "--quiet", "--allow-empty", "--message", message)
	return run(t, dir, "rev-parse", "HEAD")
}

func (s *gitServer) remote(project string) platforms.Remote {
	return platforms.Remote{URL: s.URL + "/" + project + ".git"}
}

func write(t *testing.T, dir string, content files) {
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

// run runs git for the test itself.
func run(t *testing.T, dir string, args ...string) string {
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

// open makes a workspace that the test removes, and makes sure that nothing of it is left.
func open(t *testing.T) workspace {
	t.Helper()
	parent := t.TempDir()
	space, err := newWorkspace(parent, defaultDisk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := space.remove(); err != nil {
			t.Error(err)
		}
		assertEmpty(t, parent)
	})
	return space
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("%s was left behind", entry.Name())
	}
}

// platform is one that can only be fetched from.
type platform struct {
	platforms.Platform
	server        *gitServer
	authorization string
}

func (p platform) Remote(_ context.Context, project string) (platforms.Remote, error) {
	return platforms.Remote{URL: p.server.URL + "/" + project + ".git", Authorization: p.authorization}, nil
}
