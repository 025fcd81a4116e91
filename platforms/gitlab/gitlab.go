// Package gitlab is the adapter for gitlab.com and self-managed GitLab, below a sub-path too. It verifies and
// translates their webhooks and system hooks, posts commit statuses and tells where to fetch from.
//
// Reading order: kind.go, gitlab.go, verify.go, parse.go, status.go, comment.go, metadata.go, hooks.go, credential.go, errors.go.
package gitlab

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const defaultURL = "https://gitlab.com"

// links are the addresses of GitLab's pages; /-/ keeps them apart from sub-groups.
var links = platforms.Links{
	Commit: "/-/commit/{sha}", Branch: "/-/tree/{branch}", File: "/-/blob/{sha}/{path}", Line: "#L{line}",
	Lines: "#L{line}-{end}", Request: "/-/merge_requests/{number}", Pipeline: "/-/pipelines/{id}",
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
	_ platforms.Platform          = (*Platform)(nil)
	_ platforms.SignatureFinder   = (*Platform)(nil)
	_ platforms.Signer            = (*Platform)(nil)
	_ platforms.CredentialChecker = (*Platform)(nil)
	_ platforms.ClientSharer      = (*Platform)(nil)
	_ platforms.StatusReader      = (*Platform)(nil)
	_ platforms.NoteKeeper        = (*Platform)(nil)
	_ platforms.ThreadKeeper      = (*Platform)(nil)
	_ platforms.MergeBaseFinder   = (*Platform)(nil)
	_ platforms.MetadataFetcher   = (*Platform)(nil)
	_ platforms.HookManager       = (*Platform)(nil)
	_ platforms.ProjectLister     = (*Platform)(nil)
	_ platforms.Redeliverer       = (*Platform)(nil)
)

// New checks the configuration and makes no call. Errors name the field and its index, never a secret.
func New(config platforms.Config) (*Platform, error) {
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

func connect(config platforms.Config, calls *http.Client) (*url.URL, *gogitlab.Client, error) {
	if config.URL == "" {
		config.URL = defaultURL
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

// noLimit replaces go-gitlab's own limiter, which would delay calls: the callers decide when to retry.
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

// numberOrPath prefers the number: it survives renames, and proxies that decode the slashes of a path.
func numberOrPath(project core.Project) any {
	if id, err := strconv.Atoi(project.Ref); err == nil && id > 0 {
		return id
	}
	return project.Name
}

func (p *Platform) checkAccess(project core.Project) error {
	if p.token == "" {
		return platforms.ErrNoToken
	}
	if platforms.CheckProject(project.Name) != nil {
		return fmt.Errorf("%w: %q is no project", platforms.ErrRefused, project.Name)
	}
	return nil
}

func projectID(status core.Status) any {
	return numberOrPath(core.Project{Name: status.ProjectName, Ref: status.ProjectRef})
}
