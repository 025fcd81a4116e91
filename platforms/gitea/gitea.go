// Package gitea is the adapter for Gitea and Forgejo. It verifies and translates their webhooks, posts commit statuses
// and tells where to fetch from. What Gitea shares with GitHub is in package ghapi.
//
// Reading order: kind.go, gitea.go, parse.go, hooks.go, merge_base.go.
package gitea

import (
	"context"
	"fmt"
	"net/http"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// apiPath ends the address of every API of Gitea and Forgejo, and of no GitHub's.
const apiPath = "/api/v1"

// links are the addresses of Gitea's pages.
var links = platforms.Links{
	Commit: "/commit/{sha}", Branch: "/src/branch/{branch}", File: "/src/commit/{sha}/{path}", Line: "#L{line}",
	Lines: "#L{line}-L{end}", Request: "/pulls/{number}", Pipeline: "/actions/runs/{id}",
}

// Platform is a Gitea or Forgejo as a platforms.Platform. It is safe for concurrent use.
type Platform struct{ *ghapi.Server }

var (
	_ platforms.Platform          = (*Platform)(nil)
	_ platforms.SignatureFinder   = (*Platform)(nil)
	_ platforms.CredentialChecker = (*Platform)(nil)
	_ platforms.ClientSharer      = (*Platform)(nil)
	_ platforms.StatusReader      = (*Platform)(nil)
	_ platforms.NoteKeeper        = (*Platform)(nil)
	_ platforms.MergeBaseFinder   = (*Platform)(nil)
	_ platforms.MetadataFetcher   = (*Platform)(nil)
	_ platforms.HookManager       = (*Platform)(nil)
	_ platforms.ProjectLister     = (*Platform)(nil)
	_ platforms.Redeliverer       = (*Platform)(nil)
)

// New checks the configuration and makes no call. Errors name the field, never its value where that is a secret.
func New(config platforms.Config) (*Platform, error) {
	if web, err := platforms.ParseBase(config.URL); err == nil && config.APIURL == "" {
		config.APIURL = web.String() + apiPath
	}
	server, err := ghapi.New(config, ghapi.Traits{
		Title: "Gitea", Links: links, HidesSecrets: true, SignsJSONOnly: true, MayLackRuns: true, NoStatusID: true,
		RefEvents:     true,
		PostAdvice:    "give the token the scope write:repository, and its owner the right to write to the project",
		NoteAdvice:    "give the token the scope write:issue, and its owner the right to write to the project",
		HookAdvice:    "the token the scope write:repository, of an administrator of the project",
		AddressAdvice: "correct api_url",
	})
	if err != nil {
		return nil, fmt.Errorf("configuring Gitea %s: %w", config.Name, err)
	}
	server.Calls.Transport = methodKeeper{server.Calls.Transport}
	if config.Token != "" {
		server.Clients = server.NewTokenClient()
	}
	p := &Platform{server}
	p.Opener = p
	return p, nil
}

// methodKeeper makes clients follow redirects with the method of the first call: for a project that was renamed, Gitea
// answers 301 where 308 is meant.
type methodKeeper struct{ http.RoundTripper }

func (k methodKeeper) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := k.RoundTripper.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusMovedPermanently && request.Method != http.MethodGet {
		response.StatusCode = http.StatusPermanentRedirect
	}
	return response, err
}

// Remote tells how to fetch a project.
func (p *Platform) Remote(_ context.Context, project string) (platforms.Remote, error) {
	if err := platforms.CheckProject(project); err != nil {
		return platforms.Remote{}, fmt.Errorf("finding the remote: %w", err)
	}
	return p.RemoteWith(project, p.Token), nil
}

// CheckCredential lists projects: a token with the scope write:repository alone may not read about its owner. It lists issues to see
// whether the token has a scope for them; that it may write them does not show.
func (p *Platform) CheckCredential(ctx context.Context) (found platforms.Credential, err error) {
	if p.Clients == nil {
		return found, platforms.ErrNoToken
	}
	if _, err = p.ProbeToken(ctx, "repos/search?limit=1"); err != nil {
		return found, ghapi.Wrap(err, "checking the token")
	}
	if code := platforms.CodeOf(p.ProbeList(ctx, "repos/issues/search?limit=1")); code == http.StatusForbidden {
		found.Lacks = map[platforms.Use]string{platforms.UseNotes: p.Traits.NoteAdvice}
	}
	return found, nil
}
