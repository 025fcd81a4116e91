// Package fakeforge is a small Git platform for demonstrations and tests: it serves repositories over HTTP, takes commit
// statuses under the rules of the real platforms, and sends signed webhooks. `scanhook demo` shows the product with it,
// and the end-to-end tests inject faults with it.
//
// It is strict where the real platforms are strict, so that a client that satisfies it satisfies them. This package has
// what all forges share; a package below it has the payloads, signatures, rules and API of one forge, and its New makes
// a server.
package fakeforge

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// hookTimeout is how long GitHub and GitLab.com wait for a receiver.
const hookTimeout = 10 * time.Second

// Config is what a Server is made of. The zero value of every field is usable.
type Config struct {
	Secret       string // webhook secret: the HMAC key on GitHub, the plain token on GitLab; empty sends unsigned
	SigningToken string // GitLab only: "whsec_" and base64; adds the Standard Webhooks headers
	Token        string // gives access to the API and git (as the password of any user); empty: no token is needed
	Allowance    int    // API calls that the rate headers promise; 0: the forge's default
	// Faults is asked before the rules for every API call that no queued fault (see Fail) was left for; nil: no fault.
	Faults func(*http.Request) *Fault
	// MayBrowse tells who may look at the pages of repositories; nil: everybody.
	MayBrowse func(*http.Request) bool
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: silent
}

// Server is a fake forge. It is an http.Handler; tell it its own address with SetBase before anything else.
type Server struct {
	cfg    Config
	forge  Forge
	mux    *http.ServeMux
	client *http.Client
	journal
	hookLog
	requests
	conversations

	mu           sync.Mutex
	base         url.URL
	repositories []Repository
	declared     map[commitKey]gitrepo.Commit
	faults       []Fault // for the next API calls
	lastID       int64
	refusal      *Fault // answers each post of a status; nil: the rules decide
	noLinks      bool   // statuses with a link are refused
	ended        bool   // nothing is announced any more
	announcing   sync.WaitGroup
	tokenScopes  []string // nil: those that Scanhook needs, of a kind that shows none on GitHub
	tokenUntil   time.Time
}

// New makes a server without repositories. A forge's own package calls it, describes the forge by Become, and adds the
// routes of its API.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{
		cfg: cfg,
		mux: http.NewServeMux(),
		client: &http.Client{
			Timeout:       hookTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // as the platforms
		},
		journal:  journal{changed: make(chan struct{}), byCommit: map[commitKey][]Status{}},
		declared: map[commitKey]gitrepo.Commit{},
		lastID:   1000,
	}
}

// Become makes the server the forge that is described.
func (s *Server) Become(forge Forge) {
	s.forge = forge
	s.mux.HandleFunc("/", s.serveGit)
	s.Route(forge.APIRoot+"/", func(*http.Request) Answer { return Refuse(http.StatusNotFound, "404 Not Found") })
}

// SetBase tells the server where it is reached, scheme://host[:port][/sub/path], which every address in payloads and
// answers is built from. Requests outside the sub-path are not found.
func (s *Server) SetBase(base string) error {
	parsed, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil {
		return fmt.Errorf("setting the fake forge's address: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = *parsed
	return nil
}

// Run serves on listener until ctx ends; it closes the listener. Calls that hang then are cut off.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	defer s.endAnnouncing()
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}

func (s *Server) endAnnouncing() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.announcing.Wait()
}

// ServeHTTP answers the API and git's smart protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	prefix := s.base.Path
	s.mu.Unlock()
	http.StripPrefix(prefix, s.mux).ServeHTTP(w, r)
}

// Name is the forge's kind, such as github.
func (s *Server) Name() string { return s.forge.Name }

// Base is the address given to SetBase, without a slash at its end.
func (s *Server) Base() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base.String()
}

// APIURL is the root of the REST API of a server at base, without a slash at its end.
func (s *Server) APIURL(base string) string { return strings.TrimSuffix(base, "/") + s.forge.APIRoot }

// CloneURL is where git fetches a project from, without credentials.
func (s *Server) CloneURL(project string) string { return s.Base() + "/" + project + ".git" }

// SSHURL has the form that forges print. Nothing listens there.
func (s *Server) SSHURL(r Repository) string {
	host := "localhost"
	if parsed, err := url.Parse(s.Base()); err == nil && parsed.Hostname() != "" {
		host = parsed.Hostname()
	}
	return "git@" + host + ":" + r.Project + ".git"
}

// Now is the time of the server's clock.
func (s *Server) Now() time.Time { return s.cfg.Now() }

// NextID is an id that was not used before.
func (s *Server) NextID() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	return s.lastID
}

// AddRepository makes a repository known, in place of one with the same project.
func (s *Server) AddRepository(r Repository) {
	if r.ID == 0 {
		r.ID = s.NextID()
	}
	if r.DefaultBranch == "" {
		r.DefaultBranch = "main"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repositories = slices.DeleteFunc(s.repositories, func(old Repository) bool { return old.Project == r.Project })
	s.repositories = append(s.repositories, r)
}

// Repository finds a project by its path, in any case as on the real platforms, or by its id in decimal digits.
func (s *Server) Repository(key string) (Repository, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.repositories {
		if strings.EqualFold(r.Project, key) || strconv.FormatInt(r.ID, 10) == key {
			return r, true
		}
	}
	return Repository{}, false
}

// Find is Repository with an error: core.ErrNotFound.
func (s *Server) Find(project string) (Repository, error) {
	if r, ok := s.Repository(project); ok {
		return r, nil
	}
	return Repository{}, fmt.Errorf("%w: no project %q here; add it with AddRepository", core.ErrNotFound, project)
}

// Repositories are all of them, in the order of their ids.
func (s *Server) Repositories() []Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(slices.Values(s.repositories), func(a, b Repository) int { return cmp.Compare(a.ID, b.ID) })
}

// DescribeRepositories lists a page of the caller's repositories in GitHub's way, all of which it administrates.
func (s *Server) DescribeRepositories(r *http.Request) []map[string]any {
	list := []map[string]any{}
	if r.FormValue("page") != "1" {
		return list
	}
	for _, repository := range s.Repositories() {
		list = append(list, map[string]any{
			"id": repository.ID, "full_name": repository.Project, "archived": false, "permissions": map[string]bool{"admin": true},
		})
	}
	return list
}

// Projects are the paths of all repositories, in lower case.
func (s *Server) Projects() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	paths := make([]string, len(s.repositories))
	for i, r := range s.repositories {
		paths[i] = strings.ToLower(r.Project)
	}
	return paths
}

// Declare makes the forge know a commit without asking git: its API takes statuses of it, and a push of it is built
// without a process, so that a test can have tens of thousands. Only what git holds as well can be fetched.
func (s *Server) Declare(project, sha string) error {
	repo, err := s.Find(project)
	if err != nil {
		return err
	}
	if !core.IsCommitSHA(sha) {
		return fmt.Errorf("%w: %q is not a full commit id", core.ErrInvalid, sha)
	}
	now, author := s.cfg.Now().UTC(), Pusher.Person()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.declared[keyOf(repo.Project, sha)] = gitrepo.Commit{
		ID: sha, Tree: sha, Author: author, Committer: author, AuthoredAt: now, CommittedAt: now,
		Message: "Change " + core.ShortSHA(sha), Parents: []string{},
		Added: []string{}, Modified: []string{"README.md"}, Removed: []string{},
	}
	return nil
}

func (s *Server) declaredCommit(repo Repository, sha string) (gitrepo.Commit, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.declared[keyOf(repo.Project, sha)]
	return c, ok
}

// Knows tells whether sha is the full id of a commit of the project.
func (s *Server) Knows(ctx context.Context, repo Repository, sha string) (bool, error) {
	if _, ok := s.declaredCommit(repo, sha); ok {
		return true, nil
	}
	return repo.Git().HasCommit(ctx, sha)
}

// Commit reads a commit that the server Knows.
func (s *Server) Commit(ctx context.Context, repo Repository, sha string) (gitrepo.Commit, error) {
	if c, ok := s.declaredCommit(repo, sha); ok {
		return c, nil
	}
	return repo.Git().Commit(ctx, sha)
}
