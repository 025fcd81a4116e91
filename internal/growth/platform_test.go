package growth

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
)

// platform takes every status at once, and remembers how many; its repository is served by a fake forge.
type platform struct {
	api, git string   // base addresses
	checked  []string // commits of acme/checked, oldest first
	posts    atomic.Int64
	finals   atomic.Int64
}

func newPlatform(t *testing.T, commits int) *platform {
	t.Helper()
	p := &platform{}
	api := httptest.NewServer(http.HandlerFunc(p.answer))
	t.Cleanup(api.Close)
	p.api = api.URL
	dir := filepath.Join(t.TempDir(), "checked")
	p.checked = makeCommits(t, dir, commits)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.git = "http://" + listener.Addr().String()
	git := fakegithub.New(fakeforge.Config{Secret: secret, Token: token, Allowance: 1 << 30})
	git.AddRepository(fakeforge.Repository{Project: "acme/checked", Dir: dir})
	if err := git.SetBase(p.git); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	go func() { _ = git.Run(ctx, listener) }()
	return p
}

func (p *platform) counts() (posts, finals int64) { return p.posts.Load(), p.finals.Load() }

// answer keeps no status: whoever looks at one finds that nothing is there.
func (p *platform) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodPost || !strings.Contains(r.URL.Path, "/statuses/") {
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, `{"message":"Not Found"}`)
		return
	}
	var status struct{ State, Context string }
	_ = json.NewDecoder(r.Body).Decode(&status)
	id := p.posts.Add(1)
	if status.State != "pending" {
		p.finals.Add(1)
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"id":%d,"state":%q,"context":%q}`, id, status.State, status.Context)
}

// makeCommits makes a git repository with n commits in one go, and returns their ids.
func makeCommits(t *testing.T, dir string, n int) []string {
	t.Helper()
	var stream strings.Builder
	for i := range n {
		fmt.Fprintf(&stream, "commit refs/heads/main\nmark :%d\n", i+1)
		fmt.Fprintf(&stream, "committer Mira Holm <mira@example.com> %d +0000\ndata 5\nwork\n", 1_767_225_600+i)
		content := fmt.Sprintf("change %d\n", i)
		fmt.Fprintf(&stream, "M 100644 inline README.md\ndata %d\n%s\n", len(content), content)
	}
	git(t, "", "init", "--quiet", "--bare", "--initial-branch=main", dir)
	git(t, stream.String(), "-C", dir, "fast-import", "--quiet")
	return strings.Fields(git(t, "", "-C", dir, "rev-list", "--reverse", "main"))
}

func git(t *testing.T, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v", args, err)
	}
	return string(out)
}
