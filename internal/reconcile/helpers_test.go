package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

const shop = "acme/shop"

var theShop = store.KnownProject{SourcePlatform: "github", ProjectName: shop}

// gitServer lists refs as servers of protocol version 0 do.
type gitServer struct {
	platforms.Platform
	base string

	mu     sync.Mutex
	refs   map[string][]core.Ref // by project; the first one is where HEAD points
	status int                   // of the answer, 200 when 0
	header http.Header
	asked  int

	moved     map[string]string // by project: where it leads to
	meanwhile func()            // happens once, after the answer is settled
}

func newGitServer(t *testing.T) *gitServer {
	t.Helper()
	s := &gitServer{refs: map[string][]core.Ref{}, header: http.Header{}}
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

func advertisement(refs []core.Ref) string {
	var text strings.Builder
	text.WriteString(packet("# service=git-upload-pack") + "0000")
	if len(refs) == 0 {
		text.WriteString(packet(strings.Repeat("0", 40) + " capabilities^{}\x00agent=git/2"))
	} else {
		text.WriteString(packet(refs[0].SHA + " HEAD\x00multi_ack symref=HEAD:" + refs[0].Name + " agent=git/2"))
	}
	for _, h := range refs {
		text.WriteString(packet(h.SHA + " " + h.Name))
	}
	return text.String() + "0000"
}

// packet frames a line of git's protocol.
func packet(line string) string { return fmt.Sprintf("%04x%s\n", len(line)+5, line) }

func (s *gitServer) push(project string, heads ...core.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range heads {
		moved := false
		for i := range s.refs[project] {
			if s.refs[project][i].Name == h.Name {
				s.refs[project][i], moved = h, true
			}
		}
		if !moved {
			s.refs[project] = append(s.refs[project], h)
		}
	}
}

// cut leaves the first refs of a project only.
func (s *gitServer) cut(project string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs[project] = s.refs[project][:n]
}

// rename makes the server redirect from one project to another, as platforms do.
func (s *gitServer) rename(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs[to] = s.refs[from]
	delete(s.refs, from)
	s.moved = map[string]string{from: to}
}

func (s *gitServer) answer(status int, header ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.header = status, http.Header{}
	for i := 0; i < len(header); i += 2 {
		s.header.Set(header[i], header[i+1])
	}
}

func branch(name string, n int) core.Ref {
	return core.Ref{Name: "refs/heads/" + name, SHA: storetest.SHA(n)}
}

// bench is a Projects for github/acme/shop with a clock that the test moves.
type bench struct {
	*Projects
	git   *gitServer
	store *store.Store
	now   time.Time
	log   strings.Builder
	lines slog.Handler // into log
}

// eachEngine runs a test with a bench on each engine.
func eachEngine(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) { test(t, setup(t, e)) })
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
	b.Projects = b.replica(b.store, policies)
	return b
}

func (b *bench) replica(db *store.Store, policies core.Policies) *Projects {
	return NewProjects(Config{
		Store: db, Platforms: platforms.Set{"github": b.git}, Policies: policies, Every: time.Hour,
		Log: slog.New(b.lines), Now: func() time.Time { return b.now },
	})
}

// pass lets time go by, and all that is due be done.
func (b *bench) pass(t *testing.T, d time.Duration) {
	t.Helper()
	b.now = b.now.Add(d)
	if _, err := b.discovery.discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	for worked := true; worked; {
		var err error
		if worked, err = b.syncs(false).Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// announce delivers the webhook of the n-th commit on main.
func (b *bench) announce(t *testing.T, n int, change ...func(*core.Delivery, *core.Push)) {
	t.Helper()
	b.now = b.now.Add(time.Second)
	d, p := storetest.PushOf(n, change...)
	if _, err := b.store.Accept(t.Context(), storetest.With(d, p)); err != nil {
		t.Fatal(err)
	}
}

// scans lists all scans, the oldest first: "branch:commit<before origin".
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

func wantScans(t *testing.T, b *bench, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, b.scans(t)); diff != "" {
		t.Errorf("scans (-want +got):\n%s", diff)
	}
}

// wantSuperseded compares by which commits scans were superseded.
func wantSuperseded(t *testing.T, b *bench, want map[int]string) {
	t.Helper()
	project, err := b.store.GetProject(t.Context(), "github", shop)
	if err != nil {
		t.Fatal(err)
	}
	for n, by := range want {
		shops := store.TrackedProject{ProjectID: project.ID}
		scans, err := b.store.ListScansOf(t.Context(), shops, []string{storetest.SHA(n)})
		if err != nil || len(scans) != 1 || number(scans[0].SupersededBy) != by {
			t.Errorf("commit %d: %+v, %v, want one scan, superseded by %s", n, scans, err, by)
		}
	}
}

// hookForge is a platform with one webhook for each target, whose answers a test sets.
type hookForge struct {
	platforms.Platform // nil: it is asked for nothing else

	mu       sync.Mutex
	hooks    map[string]platforms.Hook // by owner
	err      error                     // of every call
	resend   error                     // of Redeliver
	test     error                     // of TestHook
	attempts []platforms.Attempt
	calls    []string
}

func (f *hookForge) called(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.err
}

func (f *hookForge) HookTargets(project string) []core.HookTarget {
	owner, _, _ := strings.Cut(project, "/")
	return []core.HookTarget{{Scope: core.ScopeProject, Owner: project}, {Scope: core.ScopeGroup, Owner: owner}}
}

func (f *hookForge) Hooks(_ context.Context, place core.HookTarget, address string) ([]platforms.Hook, error) {
	err := f.called("list %s %s", place, address)
	hook, ok := f.hooks[place.Owner]
	if !ok || err != nil {
		return nil, err
	}
	hook.HookTarget = place
	return []platforms.Hook{hook}, nil
}

func (f *hookForge) Attempts(_ context.Context, hook platforms.Hook, since time.Time) ([]platforms.Attempt, error) {
	return f.attempts, f.called("attempts of %s since %s", hook.HookTarget, since.Format("02T15:04"))
}

func (f *hookForge) Redeliver(_ context.Context, _ platforms.Hook, attempt platforms.Attempt) error {
	return errors.Join(f.called("redeliver %d", attempt.ID), f.resend)
}

func (f *hookForge) TestHook(_ context.Context, hook platforms.Hook) error {
	return errors.Join(f.called("test %s", hook.HookTarget), f.test)
}

func (f *hookForge) AddHook(context.Context, core.HookTarget, string) error {
	return errors.ErrUnsupported
}
func (f *hookForge) DraftHook(core.HookTarget, string) []platforms.HookSetting { return nil }

func (f *hookForge) RepairHook(context.Context, platforms.Hook, string) error {
	return errors.ErrUnsupported
}

var hookNoon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// check checks the targets of github/acme/shop and returns the result of the first.
func (f *hookForge) check(t *testing.T, db *store.Store, dry bool) HookResult {
	t.Helper()
	hooks := NewHooks(Config{
		Store: db, Platforms: platforms.Set{"github": f}, Log: slog.New(slog.DiscardHandler),
		Address: func(platform string) string { return "https://us/" + platform },
		Now:     func() time.Time { return hookNoon },
	})
	var results []HookResult
	f.calls = nil
	err := hooks.CheckNow(t.Context(), CheckOrder{
		Projects: []store.KnownProject{theShop}, DryRun: dry,
		Report: func(result HookResult) { results = append(results, result) },
	})
	if err != nil || len(results) != 2 {
		t.Fatalf("results %+v, %v, want two", results, err)
	}
	return results[0]
}

func (f *hookForge) expect(t *testing.T, want ...string) {
	t.Helper()
	want = append([]string{"list project acme/shop https://us/github"}, append(want, "list group acme https://us/github")...)
	if diff := cmp.Diff(want, f.calls); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}
}

func newHookForge(hook platforms.Hook, attempts ...platforms.Attempt) *hookForge {
	return &hookForge{hooks: map[string]platforms.Hook{"acme/shop": hook}, attempts: attempts}
}

func failedAt(id int64, key string) platforms.Attempt {
	return platforms.Attempt{ID: id, Key: key, At: hookNoon.Add(-time.Hour)}
}
