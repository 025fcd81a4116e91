// Package github is the adapter for github.com and GitHub Enterprise Server. It verifies and translates their webhooks,
// posts commit statuses and tells where to fetch from. What GitHub shares with Gitea is in package ghapi.
//
// Reading order: kind.go, github.go, verify.go, parse.go, app.go, credential.go, check.go, action.go, hooks.go, merge_base.go.
package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

const host = "github.com"

// links are the addresses of GitHub's pages.
var links = platforms.Links{
	Commit: "/commit/{sha}", Branch: "/tree/{branch}", File: "/blob/{sha}/{path}", Line: "#L{line}", Lines: "#L{line}-L{end}",
	Request: "/pull/{number}", Pipeline: "/actions/runs/{id}",
}

// Platform is GitHub as a platforms.Platform. It is safe for concurrent use.
type Platform struct {
	*ghapi.Server
	app *app // nil without an App
}

var (
	_ platforms.Platform          = (*Platform)(nil)
	_ platforms.SignatureFinder   = (*Platform)(nil)
	_ platforms.CredentialChecker = (*Platform)(nil)
	_ platforms.ClientSharer      = (*Platform)(nil)
	_ platforms.StatusReader      = (*Platform)(nil)
	_ platforms.CheckRunner       = (*Platform)(nil)
	_ platforms.Referee           = (*Platform)(nil)
	_ platforms.NoteKeeper        = (*Platform)(nil)
	_ platforms.MergeBaseFinder   = (*Platform)(nil)
	_ platforms.MetadataFetcher   = (*Platform)(nil)
	_ platforms.HookManager       = (*Platform)(nil)
	_ platforms.ProjectLister     = (*Platform)(nil)
	_ platforms.Redeliverer       = (*Platform)(nil)
)

// New checks the configuration and makes no call. Errors name the field, never its value where that is a secret.
func New(config platforms.Config) (*Platform, error) {
	p, err := configure(config)
	if err != nil {
		return nil, fmt.Errorf("configuring GitHub %s: %w", config.Name, err)
	}
	return p, nil
}

func configure(config platforms.Config) (*Platform, error) {
	if config.URL == "" {
		config.URL = "https://" + host
	}
	web, err := platforms.ParseBase(config.URL)
	if err == nil && config.APIURL == "" {
		config.APIURL = APIAddress(web)
	}
	server, err := ghapi.New(config, ghapi.Traits{
		Title: "GitHub", Links: links, Failed: failedRenewal, MergeQueue: err == nil && isCloud(web) && config.App == nil,
	})
	if err != nil {
		return nil, err
	}
	p := &Platform{Server: server}
	p.Opener = p
	if config.Token != "" {
		p.Clients = server.NewTokenClient()
	}
	if config.App != nil {
		if p.app, err = newApp(*config.App, config.Comments, server); err != nil {
			return nil, err
		}
		p.Clients = p.app
	}
	p.addAdvice()
	return p, nil
}

// isCloud tells whether it is GitHub itself that is at an address. Older Enterprise Servers refuse webhooks for events that they do not
// have.
func isCloud(web *url.URL) bool {
	return web.Hostname() == host || strings.HasSuffix(web.Hostname(), ".ghe.com")
}

// APIAddress follows GitHub's three hostings: the cloud, data residency below ghe.com, and Enterprise Server.
func APIAddress(web *url.URL) string {
	if isCloud(web) {
		return web.Scheme + "://api." + web.Host
	}
	return web.JoinPath("api", "v3").String()
}

// failedRenewal is the response to a failed renewal of an installation's token. GitHub calls it unprocessable where the App may not use
// the repository any more, or lacks a permission since: that is one that is missing.
func failedRenewal(err error) *http.Response {
	var renewal *ghinstallation.HTTPError
	if !errors.As(err, &renewal) || renewal.Response == nil {
		return nil
	}
	renewal.Response.Body.Close()
	if renewal.Response.StatusCode == http.StatusUnprocessableEntity {
		renewal.Response.StatusCode = http.StatusForbidden
	}
	return renewal.Response
}

// Remote tells how to fetch a project. With an App it may have to ask for an installation token first.
func (p *Platform) Remote(ctx context.Context, project string) (platforms.Remote, error) {
	if err := platforms.CheckProject(project); err != nil {
		return platforms.Remote{}, fmt.Errorf("finding the remote: %w", err)
	}
	token := p.Token
	if p.app != nil {
		installation, err := p.app.token(ctx, project)
		if err != nil {
			return platforms.Remote{}, fmt.Errorf("finding the remote of %s: %w", project, p.Classify(nil, err))
		}
		token = installation
	}
	return p.RemoteWith(project, token), nil
}
