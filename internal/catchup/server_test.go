package catchup

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// gitServer lists refs as servers of protocol version 0 do.
type gitServer struct {
	platforms.Platform
	base string

	mu     sync.Mutex
	refs   map[string][]core.Head // by project; the first one is where HEAD points
	status int                    // of the answer, 200 when 0
	header http.Header
	asked  int

	moved     map[string]string // by project: where it leads to
	meanwhile func()            // happens once, after the answer is settled
}

func newGitServer(t *testing.T) *gitServer {
	t.Helper()
	s := &gitServer{refs: map[string][]core.Head{}, header: http.Header{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.base = server.URL
	return s
}

func (s *gitServer) Remote(_ context.Context, project string) (platforms.Remote, error) {
	return platforms.Remote{URL: s.base + "/" + project + ".git", Authorization: "Basic c2VjcmV0"}, nil
}

func (s *gitServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	for name := range s.header {
		w.Header().Set(name, s.header.Get(name))
	}
	if s.status != 0 {
		w.WriteHeader(s.status)
		return
	}
	project, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	if to, ok := s.moved[project]; ok {
		http.Redirect(w, r, "/"+to+".git/info/refs?"+r.URL.RawQuery, http.StatusMovedPermanently)
		return
	}
	_, _ = w.Write([]byte(advertisement(s.refs[project])))
	if s.meanwhile != nil {
		s.meanwhile()
		s.meanwhile = nil
	}
}

func advertisement(refs []core.Head) string {
	var text strings.Builder
	text.WriteString(packet("# service=git-upload-pack") + "0000")
	if len(refs) == 0 {
		text.WriteString(packet(strings.Repeat("0", 40) + " capabilities^{}\x00agent=git/2"))
	} else {
		text.WriteString(packet(refs[0].SHA + " HEAD\x00multi_ack symref=HEAD:" + refs[0].Ref + " agent=git/2"))
	}
	for _, h := range refs {
		text.WriteString(packet(h.SHA + " " + h.Ref))
	}
	return text.String() + "0000"
}

func (s *gitServer) push(project string, heads ...core.Head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range heads {
		moved := false
		for i := range s.refs[project] {
			if s.refs[project][i].Ref == h.Ref {
				s.refs[project][i], moved = h, true
			}
		}
		if !moved {
			s.refs[project] = append(s.refs[project], h)
		}
	}
}

func (s *gitServer) answer(status int, header ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.header = status, http.Header{}
	for i := 0; i < len(header); i += 2 {
		s.header.Set(header[i], header[i+1])
	}
}

func branch(name string, n int) core.Head {
	return core.Head{Ref: "refs/heads/" + name, SHA: storetest.SHA(n)}
}

// bench is a Catchup for github/acme/shop with a clock that the test moves.
type bench struct {
	*Catchup
	git   *gitServer
	store *store.Store
	now   time.Time
	log   strings.Builder
	lines slog.Handler // into log
}

func setup(t *testing.T, e storetest.Engine, tags ...string) *bench {
	t.Helper()
	b := &bench{git: newGitServer(t), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return b.now }
	b.lines = slog.NewTextHandler(&b.log, nil)
	policy := storetest.Policy
	policy.Tags = tags
	policies := core.Policies{{Match: "github/acme/**", Policy: policy}}
	b.store = e.Open(t, store.Config{Now: clock, Policies: policies})
	b.Catchup = b.replica(b.store, policies)
	return b
}

func (b *bench) replica(db *store.Store, policies core.Policies) *Catchup {
	return New(Config{
		Store: db, Platforms: platforms.Set{"github": b.git}, Policies: policies, Every: time.Hour,
		Log: slog.New(b.lines), Now: func() time.Time { return b.now },
	})
}

// pass lets time go by, and all that is due be done.
func (b *bench) pass(t *testing.T, d time.Duration) {
	t.Helper()
	b.now = b.now.Add(d)
	if _, err := b.watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	for worked := true; worked; {
		var err error
		if worked, err = b.once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// announce delivers the webhook of the n-th commit on main.
func (b *bench) announce(t *testing.T, n int, change ...func(*core.Delivery, *core.Push)) {
	t.Helper()
	b.now = b.now.Add(time.Second)
	d, p := storetest.PushOf(n, change...)
	if _, err := b.store.AcceptPush(t.Context(), d, p); err != nil {
		t.Fatal(err)
	}
}

// scans tells of all scans in the order of their making: "branch:commit<before origin".
func (b *bench) scans(t *testing.T) []string {
	t.Helper()
	list, err := b.store.ListScans(t.Context(), store.ScanFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for i := len(list) - 1; i >= 0; i-- {
		s := list[i]
		told = append(told, fmt.Sprintf("%s:%s<%s %s", s.Branch, number(s.CommitSHA), number(s.BeforeSHA), s.Origin))
	}
	return told
}

func number(sha string) string {
	for n := range 1000 {
		if sha == storetest.SHA(n) {
			return fmt.Sprint(n)
		}
	}
	return "none"
}
