package fakeforge_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

// withToken puts the forgetest.Token into a clone address, which is fine in a test and nowhere else.
func withToken(address, secret string) string {
	return strings.Replace(address, "://", "://anybody:"+secret+"@", 1)
}

func TestFetchesOneCommitByItsID(t *testing.T) {
	t.Parallel()
	for _, kind := range forgetest.Kinds {
		for _, version := range []string{"0", "1", "2"} {
			t.Run(kind.Name+" protocol "+version, func(t *testing.T) {
				t.Parallel()
				p := forgetest.Start(t, kind, fakeforge.Config{Token: forgetest.Token})
				dir := t.TempDir()
				forgetest.Git(t, dir, "init", "--quiet")
				remote := withToken(p.CloneURL(p.Project), forgetest.Token)
				// Before is no branch's tip: the server must give out any commit.
				forgetest.Git(t, dir, "-c", "protocol.version="+version, "fetch", "--depth=1", "--no-tags", remote, p.Sample.Before)
				forgetest.Git(t, dir, "checkout", "--quiet", "FETCH_HEAD")
				if got := forgetest.Git(t, dir, "rev-list", "HEAD"); got != p.Sample.Before {
					t.Errorf("history = %q, want only %q", got, p.Sample.Before)
				}
				if !exists(filepath.Join(dir, "main.go")) || exists(filepath.Join(dir, "config")) {
					t.Error("the work tree is not that of the first commit")
				}
			})
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestPullsWhatIsNew(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{})
	dir := filepath.Join(t.TempDir(), "copy")
	forgetest.Git(t, p.Sample.Dir, "clone", "--quiet", p.CloneURL(p.Project), dir)
	forgetest.Git(t, p.Sample.Dir, "commit", "--quiet", "--allow-empty", "--message", "more")
	forgetest.Git(t, dir, "pull", "--quiet")
	if got, want := forgetest.Git(t, dir, "rev-parse", "HEAD"), forgetest.Git(t, p.Sample.Dir, "rev-parse", "HEAD"); got != want {
		t.Errorf("HEAD = %s, want %s", got, want)
	}
}

// git compresses requests of more than a kilobyte.
func TestTakesGzipRequests(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{})
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	fmt.Fprintf(w, "0032want %s\n00000009done\n", p.Sample.Before)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	status, body := postGzip(t, p, &compressed)
	if status != http.StatusOK || !strings.HasPrefix(body, "0008NAK\nPACK") {
		t.Errorf("answer = %d %.20q, want a pack", status, body)
	}
}

func TestRefusesWhatIsNotGzip(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{})
	if status, body := postGzip(t, p, strings.NewReader("plain")); status != http.StatusBadRequest {
		t.Errorf("answer = %d %q, want 400", status, body)
	}
}

func postGzip(t *testing.T, p forgetest.Forge, body io.Reader) (status int, answer string) {
	t.Helper()
	address := p.CloneURL(p.Project) + "/git-upload-pack"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Encoding", "gzip")
	response, text := forgetest.Do(t, request)
	return response.StatusCode, string(text)
}

func TestServesBareRepositories(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{})
	bare := filepath.Join(t.TempDir(), "bare.git")
	forgetest.Git(t, p.Sample.Dir, "clone", "--quiet", "--bare", p.Sample.Dir, bare)
	p.AddRepository(fakeforge.Repository{Project: "acme/bare", Dir: bare})
	if got := forgetest.Git(t, bare, "ls-remote", p.CloneURL("acme/bare"), "HEAD"); !strings.HasPrefix(got, p.Sample.Head) {
		t.Errorf("HEAD = %q, want %s", got, p.Sample.Head)
	}
}

func TestRefusesGit(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args func(p forgetest.Forge) []string
		want string // in git's message
	}{
		"wrong token": {
			args: func(p forgetest.Forge) []string {
				return []string{"ls-remote", withToken(p.CloneURL(p.Project), "guessed")}
			},
			want: "Authentication failed",
		},
		"no token": {
			args: func(p forgetest.Forge) []string { return []string{"ls-remote", p.CloneURL(p.Project)} },
			want: "could not read Username",
		},
		"unknown project": {
			args: func(p forgetest.Forge) []string {
				return []string{"ls-remote", withToken(p.CloneURL("acme/none"), forgetest.Token)}
			},
			want: "not found",
		},
		"outside the sub-path": {
			args: func(p forgetest.Forge) []string {
				return []string{"ls-remote", withToken(strings.Replace(p.CloneURL(p.Project), "/forge", "", 1), forgetest.Token)}
			},
			want: "not found",
		},
		"push": {
			args: func(p forgetest.Forge) []string {
				return []string{"push", withToken(p.CloneURL(p.Project), forgetest.Token), "main:refs/heads/x"}
			},
			want: "403",
		},
	}
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{Token: forgetest.Token})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "git", test.args(p)...)
			cmd.Dir = p.Sample.Dir
			cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C")
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("git said %q (%v), want %q", out, err, test.want)
			}
		})
	}
}
