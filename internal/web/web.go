// Package web is the pages for people: where a commit status's "Details" leads, and what an administrator looks at.
//
// Pages are made on the server and work without JavaScript; one small script makes running scans live. Everything that
// comes from reports, payloads and addresses is hostile: it is shown as text, bounded, and links lead to http and https
// only. Reading order: web.go, access.go and login.go (who may), render.go, scan.go with finding.go (the scan page).
package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/store"
)

// Config holds what the pages need.
type Config struct {
	Store     *store.Store
	Tokens    []Token                             // each opens a session
	OIDC      *OIDC                               // opens sessions too; nil where there is none
	Platforms map[string]Platform                 // by key in the configuration
	Secrets   []Secret                            // of webhooks, in the configuration's order
	MaySign   func(platform, project string) bool // whether a signing token is configured for it; nil where nobody knows
	Policies  core.Policies
	Rules     func(entry int) Rule // what Policies[entry] was read from; nil where nobody knows
	PublicURL string               // how browsers reach Scanhook; a sub-path in it begins all links
	Public    bool                 // everybody may read; judging findings still takes a session
	Log       *slog.Logger
	Now       func() time.Time // time.Now when nil
	Guesses   *httpx.Guesses   // shared with the API; nil: its own

	Hook   func(platform, project string) (liveness.Health, bool) // how a webhook is; nil where nobody knows
	Silent func() []liveness.Health                               // those that have fallen silent; nil where nobody knows
}

// Token is one of the API's tokens: people log in with it, and what they say bears its name.
type Token struct{ Name, Token, Role string }

// Platform is what links and commit statuses need to know of a Git platform.
type Platform struct {
	Type  string // github or gitlab
	URL   string // base of its pages
	Posts bool   // it has a credential to post commit statuses with
}

// Web answers browsers.
type Web struct {
	Config
	base     string // path that begins all links, without a trailing slash
	secure   bool   // browsers come by https
	origin   *http.CrossOriginProtection
	pages    map[string]*template.Template
	assets   string // changes with the style sheet and the script
	streams  streams
	provider *provider // nil without OIDC
	invited  invitations
	refusals rate.Sometimes // logins that the audit tells of
	stop     sync.Once
	stopped  chan struct{}
}

// New returns the pages; Register makes them reachable. It fails when PublicURL is none.
func New(cfg Config) (*Web, error) {
	public, err := url.Parse(cfg.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("reading public_url: %w", err)
	}
	w := &Web{
		Config: cfg, base: strings.TrimRight(public.EscapedPath(), "/"), secure: public.Scheme == "https",
		origin: http.NewCrossOriginProtection(), streams: streams{of: map[string]int{}}, stopped: make(chan struct{}),
		refusals: rate.Sometimes{Interval: time.Minute},
	}
	if w.Now == nil {
		w.Now = time.Now
	}
	if w.Guesses == nil {
		w.Guesses = httpx.NewGuesses()
	}
	if cfg.OIDC != nil {
		w.provider = &provider{
			OIDC: *cfg.OIDC, redirect: strings.TrimRight(cfg.PublicURL, "/") + "/login/callback", now: w.Now,
		}
	}
	if public.Host != "" { // behind a proxy, the Host that arrives may be another one
		if err := w.origin.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
			return nil, fmt.Errorf("reading public_url: %w", err)
		}
	}
	if err := w.parse(); err != nil {
		return nil, fmt.Errorf("reading page templates: %w", err)
	}
	return w, nil
}

// Stop ends the streams of live pages, which would keep a server from shutting down.
func (w *Web) Stop() { w.stop.Do(func() { close(w.stopped) }) }

// Register mounts the pages, and answers browsers that ask for what is not there with a page.
func (w *Web) Register(router *gin.Engine) {
	pages := router.Group("/", w.protect)
	pages.GET("/static/:file", w.static)
	pages.GET("/login", w.page(w.showLogin))
	pages.POST("/login", w.page(w.login))
	pages.GET("/login/once/:code", w.page(w.accept))
	if w.provider != nil {
		pages.GET("/login/provider", w.page(w.toProvider))
		pages.GET("/login/callback", w.page(w.fromProvider))
	}
	pages.POST("/logout", w.page(w.logout))

	reading := pages.Group("/", w.reader)
	reading.GET("/", w.page(w.scans))
	reading.GET("/scans", w.page(w.scans))
	reading.GET("/scans/:ref", w.page(w.scan))
	reading.GET("/scans/:ref/events", w.page(w.events))
	reading.GET("/findings/:id", w.page(w.toFinding))
	reading.GET("/findings/:id/patch", w.page(w.patch))
	reading.GET("/projects", w.page(w.projects))
	reading.GET("/projects/:platform/*project", w.page(w.project))
	reading.GET("/deliveries", w.page(w.deliveries))
	reading.GET("/explain", w.page(w.jump))
	reading.GET("/explain/:sha", w.page(w.explain))
	pages.POST("/scans/:ref/rescan", w.member, w.page(w.rescan))
	pages.POST("/findings/:id/feedback", w.member, w.page(w.feedback))
	pages.POST("/findings/:id/undo", w.member, w.page(w.undo))
	pages.POST("/metrics/:id/expected", w.member, w.page(w.expected))
	pages.GET("/audit", w.administrator, w.page(w.audit))
	router.NoRoute(w.protect, w.page(func(*gin.Context) error {
		return fmt.Errorf("%w: there is nothing at this path; the API is described at /docs", core.ErrNotFound)
	}))
}

// page makes a Gin handler of one that returns its error, which becomes a page.
func (w *Web) page(handler func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := handler(c); err != nil {
			w.fail(c, err)
		}
	}
}

// static serves the style sheet and the script. Their addresses change with their contents, so they are kept for long.
func (w *Web) static(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	c.FileFromFS("static/"+c.Param("file"), http.FS(files))
}

func fingerprint(contents ...[]byte) string {
	sum := sha256.New()
	for _, content := range contents {
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}
