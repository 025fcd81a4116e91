package growth

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
)

// platform takes every status at once and counts them. A fake forge serves its repository.
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
	p.checked = forgetest.Commits(t, dir, commits)
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

// answer keeps no status: a commit has none when it is read.
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
