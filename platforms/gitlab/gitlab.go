// Package gitlab is the adapter for gitlab.com and self-managed GitLab, below a sub-path too. It verifies and
// translates their webhooks and system hooks, posts commit statuses and tells where to fetch from.
//
// Reading order: gitlab.go, verify.go, signature.go, parse.go, project.go, push.go, pipeline.go, status.go, errors.go;
// hooks.go and redelivery.go look after webhooks, latest_status.go, merge_base.go and inquiry.go ask.
package gitlab

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"time"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/platforms"
)

// Config is one configured GitLab.
type Config struct {
	Name           string            // key in the configuration, becomes Delivery.Platform
	URL            string            // address for people; empty is https://gitlab.com, a sub-path is kept
	APIURL         string            // empty is URL + /api/v4
	WebhookSecrets []string          // plain secret tokens, any of them verifies; empty ones are dropped
	SigningTokens  []string          // signing tokens whsec_…, GitLab 19.0 and later; empty ones are dropped
	Scopes         []platforms.Scope // secrets of some projects only, in the configuration's order
	Token          string            // access token with the scope api; may be empty
	HTTPClient     *http.Client      // nil is one with a timeout of 15 s
	Now            func() time.Time  // nil is time.Now
}

// Platform is GitLab as a platforms.Platform. It is safe for concurrent use.
type Platform struct {
	name  string
	web   *url.URL
	keys  *platforms.Keyring
	token string
	api   *gogitlab.Client
	calls *http.Client // without a credential
	now   func() time.Time

	resends resends
}

var (
	_ platforms.Platform     = (*Platform)(nil)
	_ platforms.ClientSharer = (*Platform)(nil)
)

// New checks the configuration and calls nobody. Errors name the field and its index, never a secret.
func New(config Config) (*Platform, error) {
	p := &Platform{
		name: config.Name, token: config.Token, now: config.Now, calls: platforms.NewClient(config.HTTPClient),
	}
	if p.now == nil {
		p.now = time.Now
	}
	var err error
	own := platforms.Scope{WebhookSecrets: config.WebhookSecrets, SigningTokens: config.SigningTokens}
	scopes := append([]platforms.Scope{own}, config.Scopes...)
	if p.keys, err = platforms.NewKeyring(config.Name, scopes, signingKey); err != nil {
		return nil, fmt.Errorf("configuring GitLab %s: %w", config.Name, err)
	}
	if p.web, p.api, err = connect(config, p.calls); err != nil {
		return nil, fmt.Errorf("configuring GitLab %s: %w", config.Name, err)
	}
	return p, nil
}

func connect(config Config, calls *http.Client) (*url.URL, *gogitlab.Client, error) {
	if config.URL == "" {
		config.URL = "https://gitlab.com"
	}
	web, err := platforms.ParseBase(config.URL)
	if err != nil {
		return nil, nil, fmt.Errorf("url: %w", err)
	}
	if config.APIURL == "" {
		config.APIURL = web.JoinPath("api", "v4").String()
	}
	api, err := platforms.ParseBase(config.APIURL)
	if err != nil {
		return nil, nil, fmt.Errorf("api_url: %w", err)
	}
	client, err := gogitlab.NewClient(config.Token,
		gogitlab.WithBaseURL(api.String()),
		gogitlab.WithHTTPClient(calls),
		gogitlab.WithoutRetries(),
		gogitlab.WithCustomLimiter(noLimit{}),
	)
	return web, client, err
}

// HTTPClient is the one that all calls go through.
func (p *Platform) HTTPClient() *http.Client { return p.calls }

// noLimit replaces go-gitlab's own limiter, which would hold a call back: the reporter decides when to try again.
type noLimit struct{}

func (noLimit) Wait(context.Context) error { return nil }

// Remote tells how to fetch a project.
func (p *Platform) Remote(_ context.Context, project string) (platforms.Remote, error) {
	if err := platforms.CheckProject(project); err != nil {
		return platforms.Remote{}, fmt.Errorf("finding the remote: %w", err)
	}
	remote := platforms.Remote{URL: p.cloneURL(project)}
	if p.token != "" {
		remote.Authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte("oauth2:"+p.token))
	}
	return remote, nil
}

func (p *Platform) cloneURL(project string) string { return p.web.JoinPath(project + ".git").String() }
