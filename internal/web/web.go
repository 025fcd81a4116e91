// Package web is the pages for people: where the "Details" link of a commit status leads, and what an administrator looks
// at.
//
// Pages are made on the server and work without JavaScript; one small script keeps the page of a running scan up to date.
// Everything that comes from reports, payloads and addresses is untrusted: it is shown as text of bounded length, and
// links lead to http and https only. Reading order: routes.go (every page, and who may see it), a page, then what pages
// share: package layout (templates), package signin (sessions), banner.go and links.go.
package web

import (
	"embed"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/internal/web/live"
	"github.com/scanhook/scanhook/internal/web/signin"
	"github.com/scanhook/scanhook/internal/web/workbench"
	"github.com/scanhook/scanhook/store"
)

//go:embed static templates
var files embed.FS

// Config holds what the pages need.
type Config struct {
	Store     *store.Store
	Tokens    auth.Tokens                         // each opens a session
	OIDC      *signin.OIDC                        // opens sessions too; nil where none is configured
	GitHub    *signin.GitHub                      // likewise, with GitHub's accounts
	Platforms Platforms                           // by key in the configuration
	Secrets   []Secret                            // of webhooks, in the configuration's order
	MaySign   func(platform, project string) bool // whether a signing token is configured for it; nil where unknown
	Policies  core.Policies
	Rules     func(entry int) Rule // what Policies[entry] was read from; nil where unknown
	PublicURL string               // how browsers reach Scanhook; a sub-path in it begins all links
	Version   string               // of this program, which some downloads name
	Public    bool                 // visitors who have not logged in are readers of everything
	Log       *slog.Logger
	Now       func() time.Time     // time.Now when nil
	Throttle  *httpx.LoginThrottle // shared with the API; nil: its own

	Hook   func(platform, project string) (liveness.Health, bool) // the health of a webhook; nil where unknown
	Silent func() []liveness.Health                               // webhooks that have fallen silent; nil where unknown
}

// Secret is a webhook secret of the configuration, without the secret itself.
type Secret struct {
	Platform, Place, ID string
	Match               string // glob over platform/project of the projects it is for; empty is all of the platform
}

// Rule is an entry of the configuration's repositories as the administrator wrote it.
type Rule struct {
	Where    string // file and line: config.yaml:12
	Settings []Setting
}

// Setting is a value that holds in a repository.
type Setting struct {
	Key   string // such as gate.fail_on
	Value string // never a secret
	Where string // file, line and section that it comes from, or that it is built in
}

// Web answers browsers. Its exported methods that take a *gin.Context are pages and forms; Register mounts them.
type Web struct {
	Config
	*layout.Layout
	guard     auth.Guard
	origin    *http.CrossOriginProtection
	live      *live.Streams
	workbench *workbench.Pages
}

// New returns the pages; Register makes them reachable. It fails if PublicURL is not a URL.
func New(cfg Config) (*Web, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Throttle == nil {
		cfg.Throttle = httpx.NewLoginThrottle()
	}
	public, err := url.Parse(cfg.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("reading public_url: %w", err)
	}
	w := &Web{Config: cfg, guard: auth.Guard{Store: cfg.Store}, origin: http.NewCrossOriginProtection()}
	if public.Host != "" { // behind a proxy, requests can bear another Host
		if err := w.origin.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
			return nil, fmt.Errorf("reading public_url: %w", err)
		}
	}
	sessions := signin.New(signin.Config{
		Store: cfg.Store, Tokens: cfg.Tokens, OIDC: cfg.OIDC, GitHub: cfg.GitHub, PublicURL: public, Public: cfg.Public,
		Throttle: cfg.Throttle, Log: cfg.Log, Now: cfg.Now,
	})
	w.live = live.New(live.Config{
		Store: cfg.Store, Sessions: sessions, Posts: func(platform string) bool { return cfg.Platforms[platform].Posts },
	})
	w.Layout, err = layout.New(layout.Config{
		Files: files, Base: httpx.BaseOf(public), Sessions: sessions, Log: cfg.Log, Now: cfg.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("reading page templates: %w", err)
	}
	w.workbench = workbench.New(workbench.Config{Store: cfg.Store, Layout: w.Layout})
	return w, nil
}

// Stop ends the event streams of open pages, which would keep a server from shutting down.
func (w *Web) Stop() { w.live.Stop() }
