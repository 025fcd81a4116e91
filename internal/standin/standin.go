// Package standin is a Git platform small enough to carry along: it serves repositories over HTTP, takes commit
// statuses under the rules of the real platforms, and sends signed webhooks. `scanhook demo` shows the product with it,
// and the end-to-end tests drive it with faults.
//
// It is strict where the real platforms are strict, so that a client that pleases it pleases them: the rules stand in
// rules_github.go and rules_gitlab.go. Reading order is standin.go, repository.go, api.go, the rules, push.go,
// pipeline.go, delivery.go.
package standin

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Kind says which platform a Server stands in for.
type Kind string

// The platforms that a Server can be.
const (
	GitHub Kind = "github"
	GitLab Kind = "gitlab"
)

// Config is what a Server is made of. The zero value of every field but Kind is usable.
type Config struct {
	Kind         Kind
	Secret       string // webhook secret: the HMAC key on GitHub, the plain token on GitLab; empty sends unsigned
	SigningToken string // GitLab only: "whsec_" and base64; adds the Standard Webhooks headers
	Token        string // opens the API and git (as the password of any user); empty: everybody may
	Allowance    int    // API calls that the rate headers promise; 0: 5,000 on GitHub, 2,000 on GitLab
	// Faults is asked before the rules for every API call that no queued fault (see Fail) was left for; nil: no fault.
	Faults func(*http.Request) *Fault
	// MayBrowse tells who may look at the pages of repositories; nil: everybody.
	MayBrowse func(*http.Request) bool
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: silent
}

// Server is the stand-in. It is an http.Handler; tell it its own address with SetBase before anything else.
type Server struct {
	cfg    Config
	mux    *http.ServeMux
	client *http.Client
	journal
	faultQueue
	hookbook
	ci       pipelines
	declared declarations
	answers  statusAnswers

	mu           sync.Mutex
	base         url.URL
	repositories []Repository
	artifacts    map[int64][]int64
	lastID       int64
	tokenScopes  []string // nil: those that Scanhook needs, of a kind that shows none on GitHub
	tokenUntil   time.Time
}

// New makes a server that has no repositories yet.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg:       cfg,
		mux:       http.NewServeMux(),
		client:    newHookClient(),
		journal:   newJournal(),
		artifacts: map[int64][]int64{},
		lastID:    1000,
	}
	s.mount()
	return s
}

func (s *Server) mount() {
	s.mux.HandleFunc("/", s.serveGit)
	s.mountToken()
	if s.cfg.Kind == GitLab {
		s.mux.Handle("/api/v4/", s.api(s.faulty(unknownRoute)))
		s.mux.Handle("POST /api/v4/projects/{id}/statuses/{sha}", s.api(s.serialised(s.faulty(s.permitted(s.postGitLabStatus)))))
		s.mux.Handle("GET /api/v4/projects/{id}/repository/commits/{sha}", s.api(s.faulty(s.getGitLabCommit)))
		s.mux.Handle("GET /api/v4/projects/{id}/repository/commits/{sha}/statuses", s.api(s.faulty(s.listGitLab)))
		s.mux.Handle("GET /api/v4/projects/{id}/pipelines", s.api(s.faulty(s.listPipelines)))
		s.mux.Handle("GET /api/v4/projects/{id}", s.api(s.faulty(s.getGitLabProject)))
		s.mux.Handle("GET /api/v4/projects/{id}/repository/merge_base", s.api(s.faulty(s.mergeBaseGitLab)))
		s.mountGitLabHooks()
		return
	}
	s.mux.Handle("/api/v3/", s.api(s.faulty(unknownRoute)))
	s.mux.Handle("POST /api/v3/repos/{owner}/{name}/statuses/{sha}", s.api(s.faulty(s.permitted(s.postGitHubStatus))))
	s.mux.Handle("GET /api/v3/repos/{owner}/{name}/commits/{sha}/statuses", s.api(s.faulty(s.listGitHub)))
	s.mux.Handle("GET /api/v3/repos/{owner}/{name}/compare/{range...}", s.api(s.faulty(s.compareGitHub)))
	s.mux.Handle("GET /api/v3/repos/{owner}/{name}/actions/runs/{run}/artifacts", s.api(s.faulty(s.getArtifacts)))
	s.mountGitHubHooks()
}

// SetBase tells the server where it is reached, scheme://host[:port][/sub/path], which every address in payloads and
// answers is built from. Requests outside the sub-path are not found.
func (s *Server) SetBase(base string) error {
	parsed, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil {
		return fmt.Errorf("setting the stand-in's address: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.base = *parsed
	return nil
}

// Base is the address given to SetBase, without a slash at its end.
func (s *Server) Base() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base.String()
}

// APIURL is the root of the REST API of a stand-in at base, without a slash at its end: GitHub's as on an Enterprise
// Server (base/api/v3), GitLab's base/api/v4.
func (s *Server) APIURL(base string) string {
	return strings.TrimSuffix(base, "/") + s.apiRoot()
}

func (s *Server) apiRoot() string {
	if s.cfg.Kind == GitLab {
		return "/api/v4"
	}
	return "/api/v3"
}

// ServeHTTP answers the API and git's smart protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	prefix := s.base.Path
	s.mu.Unlock()
	http.StripPrefix(prefix, s.mux).ServeHTTP(w, r)
}

// Run serves on listener until ctx ends; it closes the listener. Calls that hang then are cut off.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	defer s.answers.end()
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}

func (s *Server) nextID() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	return s.lastID
}
