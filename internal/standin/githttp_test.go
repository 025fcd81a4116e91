package standin_test

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

	"github.com/scanhook/scanhook/internal/standin"
)

// withToken puts the token into a clone address, which is fine in a test and nowhere else.
func withToken(address, secret string) string {
	return strings.Replace(address, "://", "://anybody:"+secret+"@", 1)
}

func TestFetchesOneCommitByItsID(t *testing.T) {
	t.Parallel()
	for _, kind := range []standin.Kind{standin.GitHub, standin.GitLab} {
		for _, version := range []string{"0", "1", "2"} {
			t.Run(string(kind)+" protocol "+version, func(t *testing.T) {
				t.Parallel()
				p := start(t, standin.Config{Kind: kind, Token: token})
				dir := t.TempDir()
				git(t, dir, "init", "--quiet")
				remote := withToken(p.CloneURL(p.project), token)
				// Before is no branch's tip: the server must give out any commit.
				git(t, dir, "-c", "protocol.version="+version, "fetch", "--depth=1", "--no-tags", remote, p.sample.Before)
				git(t, dir, "checkout", "--quiet", "FETCH_HEAD")
				if got := git(t, dir, "rev-list", "HEAD"); got != p.sample.Before {
					t.Errorf("history = %q, want only %q", got, p.sample.Before)
				}
				if !exists(filepath.Join(dir, "main.go")) || exists(filepath.Join(dir, "config")) {
					t.Error("the work tree is not that of the first commit")
				}
			})
		}
	}
}

func TestPullsWhatIsNew(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub})
	dir := filepath.Join(t.TempDir(), "copy")
	git(t, p.sample.Dir, "clone", "--quiet", p.CloneURL(p.project), dir)
	git(t, p.sample.Dir, "commit", "--quiet", "--allow-empty", "--message", "more")
	git(t, dir, "pull", "--quiet")
	if got, want := git(t, dir, "rev-parse", "HEAD"), git(t, p.sample.Dir, "rev-parse", "HEAD"); got != want {
		t.Errorf("HEAD = %s, want %s", got, want)
	}
}

// git compresses requests of more than a kilobyte.
func TestTakesGzipRequests(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub})
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	fmt.Fprintf(w, "0032want %s\n00000009done\n", p.sample.Before)
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
	p := start(t, standin.Config{Kind: standin.GitHub})
	if status, body := postGzip(t, p, strings.NewReader("plain")); status != http.StatusBadRequest {
		t.Errorf("answer = %d %q, want 400", status, body)
	}
}

func postGzip(t *testing.T, p platform, body io.Reader) (status int, answer string) {
	t.Helper()
	address := p.CloneURL(p.project) + "/git-upload-pack"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Encoding", "gzip")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestServesBareRepositories(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub})
	bare := filepath.Join(t.TempDir(), "bare.git")
	git(t, p.sample.Dir, "clone", "--quiet", "--bare", p.sample.Dir, bare)
	p.AddRepository(standin.Repository{Project: "acme/bare", Dir: bare})
	if got := git(t, bare, "ls-remote", p.CloneURL("acme/bare"), "HEAD"); !strings.HasPrefix(got, p.sample.Head) {
		t.Errorf("HEAD = %q, want %s", got, p.sample.Head)
	}
}

func TestRefusesGit(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args func(p platform) []string
		want string // in git's message
	}{
		"wrong token": {
			args: func(p platform) []string { return []string{"ls-remote", withToken(p.CloneURL(p.project), "guessed")} },
			want: "Authentication failed",
		},
		"no token": {
			args: func(p platform) []string { return []string{"ls-remote", p.CloneURL(p.project)} },
			want: "could not read Username",
		},
		"unknown project": {
			args: func(p platform) []string { return []string{"ls-remote", withToken(p.CloneURL("acme/none"), token)} },
			want: "not found",
		},
		"outside the sub-path": {
			args: func(p platform) []string {
				return []string{"ls-remote", withToken(strings.Replace(p.CloneURL(p.project), "/forge", "", 1), token)}
			},
			want: "not found",
		},
		"push": {
			args: func(p platform) []string {
				return []string{"push", withToken(p.CloneURL(p.project), token), "main:refs/heads/x"}
			},
			want: "403",
		},
	}
	p := start(t, standin.Config{Kind: standin.GitHub, Token: token})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "git", test.args(p)...)
			cmd.Dir = p.sample.Dir
			cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C")
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("git said %q (%v), want %q", out, err, test.want)
			}
		})
	}
}
