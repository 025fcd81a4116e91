// Package github is the adapter for github.com, GitHub Enterprise Server and, because they speak the same words,
// Gitea and Forgejo. It verifies and translates their webhooks, posts commit statuses and tells where to fetch from.
//
// Reading order: github.go, verify.go, parse.go, push.go, workflow.go, status.go, errors.go, app.go; hooks.go and
// redelivery.go look after webhooks, latest_status.go, merge_base.go and inquiry.go ask.
package github

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/platforms"
)

// Config is one configured GitHub.
type Config struct {
	Name           string            // key in the configuration, becomes Delivery.Platform
	URL            string            // address for people; empty is https://github.com, a sub-path is kept
	APIURL         string            // empty is derived from URL; Gitea wants http://host/api/v1
	WebhookSecrets []string          // any of them verifies a delivery; empty ones are dropped
	Scopes         []platforms.Scope // secrets of some projects only, in the configuration's order
	Token          string            // personal or fine-grained token; may be empty
	App            *AppConfig        // GitHub App that posts in place of Token; nil without one
	HTTPClient     *http.Client      // nil is one with a timeout of 15 s
	Now            func() time.Time  // nil is time.Now
}

// Platform is GitHub as a platforms.Platform. It is safe for concurrent use.
type Platform struct {
	name    string
	web     *url.URL
	api     *url.URL
	keys    *platforms.Keyring
	token   string
	posting *gogithub.Client // nil without a token
	app     *app             // nil without an App
	calls   *http.Client     // without a credential
	now     func() time.Time
}

var (
	_ platforms.Platform     = (*Platform)(nil)
	_ platforms.ClientSharer = (*Platform)(nil)
)

// New checks the configuration and calls nobody. Errors name the field, never its value where that is a secret.
func New(config Config) (*Platform, error) {
	web, api, err := addresses(config)
	if err != nil {
		return nil, fmt.Errorf("configuring GitHub %s: %w", config.Name, err)
	}
	p := &Platform{name: config.Name, web: web, api: api, token: config.Token, now: config.Now}
	if p.now == nil {
		p.now = time.Now
	}
	if p.keys, err = keysOf(config); err != nil {
		return nil, fmt.Errorf("configuring GitHub %s: %w", config.Name, err)
	}
	client := platforms.NewClient(config.HTTPClient)
	if p.isGitea() {
		client.Transport = methodKeeper{client.Transport}
	}
	p.calls = client
	if config.Token != "" {
		p.posting = p.dial(client).WithAuthToken(config.Token)
	}
	if config.App != nil {
		if p.app, err = newApp(*config.App, client, p.dial); err != nil {
			return nil, fmt.Errorf("configuring GitHub %s: %w", config.Name, err)
		}
	}
	return p, nil
}

// HTTPClient is the one that all calls go through.
func (p *Platform) HTTPClient() *http.Client { return p.calls }

// keysOf leaves signing tokens out, which are GitLab's.
func keysOf(config Config) (*platforms.Keyring, error) {
	scopes := []platforms.Scope{{WebhookSecrets: config.WebhookSecrets}}
	for _, scope := range config.Scopes {
		scope.SigningTokens = nil
		scopes = append(scopes, scope)
	}
	return platforms.NewKeyring(config.Name, scopes, nil)
}

func addresses(config Config) (web, api *url.URL, err error) {
	if config.URL == "" {
		config.URL = "https://github.com"
	}
	if web, err = platforms.ParseBase(config.URL); err != nil {
		return nil, nil, fmt.Errorf("url: %w", err)
	}
	if config.APIURL == "" {
		config.APIURL = apiAddress(web)
	}
	if api, err = platforms.ParseBase(config.APIURL); err != nil {
		return nil, nil, fmt.Errorf("api_url: %w", err)
	}
	return web, api, nil
}

// apiAddress follows GitHub's three hostings: the cloud, data residency below ghe.com, and Enterprise Server.
func apiAddress(web *url.URL) string {
	if web.Hostname() == "github.com" || strings.HasSuffix(web.Hostname(), ".ghe.com") {
		return web.Scheme + "://api." + web.Host
	}
	return web.JoinPath("api", "v3").String()
}

// dial wraps client for the API address; go-github wants it with a final slash.
func (p *Platform) dial(client *http.Client) *gogithub.Client {
	caller := gogithub.NewClient(client)
	caller.BaseURL = p.api.JoinPath("/")
	return caller
}

// Remote tells how to fetch a project. With an App it may have to ask for an installation token first.
func (p *Platform) Remote(ctx context.Context, project string) (platforms.Remote, error) {
	if err := platforms.CheckProject(project); err != nil {
		return platforms.Remote{}, fmt.Errorf("finding the remote: %w", err)
	}
	token := p.token
	if p.app != nil {
		installation, err := p.app.token(ctx, project)
		if err != nil {
			return platforms.Remote{}, fmt.Errorf("finding the remote of %s: %w", project, p.classify(nil, err))
		}
		token = installation
	}
	remote := platforms.Remote{URL: p.cloneURL(project)}
	if token != "" {
		credentials := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token))
		remote.Authorization = "Basic " + credentials
	}
	return remote, nil
}

func (p *Platform) cloneURL(project string) string { return p.web.JoinPath(project + ".git").String() }
