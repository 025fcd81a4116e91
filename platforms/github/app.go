package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// app opens the API as a GitHub App. For each project it has transports that renew their hourly tokens, which open no other project.
type app struct {
	config platforms.App
	needs  map[string]string // permissions of calls
	server *ghapi.Server
	asApp  *gogithub.Client // signs with the App's own key, for calls about the App and its installations

	mu   sync.Mutex
	open map[string]*installation // by project
}

// installation is an App on one project.
type installation struct {
	client   *gogithub.Client
	fetching *ghinstallation.Transport // its token is for git
	since    time.Time
}

// askAgain is how long an installation is taken for what it was: its owner may have granted more, or less.
const askAgain = time.Hour

// neededToFetch are the permissions that git needs.
var neededToFetch = map[string]string{"contents": "read", "metadata": "read"}

// needed are the permissions that calls need, as far as they are granted, and their highest level. A comment takes one of two.
func needed(comments bool) map[string]string {
	needs := map[string]string{
		"statuses": "write", "checks": "write", "repository_hooks": "write", "contents": "read", "actions": "read", "pull_requests": "read",
		"metadata": "read",
	}
	if comments {
		needs["pull_requests"], needs["issues"] = "write", "write"
	}
	return needs
}

// newApp takes whether requests get comments.
func newApp(config platforms.App, comments bool, server *ghapi.Server) (*app, error) {
	transport, err := ghinstallation.NewAppsTransport(server.Calls.Transport, config.ID, config.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("%w: the private key of the App is no RSA key in PEM: download a new one from its settings",
			core.ErrInvalid)
	}
	a := &app{
		config: config, needs: needed(comments), server: server, open: make(map[string]*installation),
	}
	a.asApp = a.dial(transport)
	return a, nil
}

// dial opens the API over a transport that authorizes the calls.
func (a *app) dial(transport http.RoundTripper) *gogithub.Client {
	client := *a.server.Calls
	client.Transport = transport
	return a.server.Dial(&client)
}

// Client calls the API with a token for the project.
func (a *app) Client(ctx context.Context, project string) (*gogithub.Client, error) {
	found, err := a.installation(ctx, project)
	if err != nil {
		return nil, err
	}
	return found.client, nil
}

func (a *app) token(ctx context.Context, project string) (string, error) {
	found, err := a.installation(ctx, project)
	if err != nil {
		return "", err
	}
	return found.fetching.Token(ctx)
}

// installation is the cached one, or the one that GitHub finds for the project.
func (a *app) installation(ctx context.Context, project string) (*installation, error) {
	a.mu.Lock()
	known := a.open[project]
	a.mu.Unlock()
	if known != nil && a.server.Now().Sub(known.since).Abs() < askAgain {
		return known, nil
	}
	owner, name, _ := strings.Cut(project, "/")
	found, _, err := a.asApp.Apps.FindRepositoryInstallation(ctx, owner, name)
	if err != nil {
		return nil, fmt.Errorf("finding the installation of App %d for %s: %w", a.config.ID, project, err)
	}
	made, err := a.install(found, name)
	if err != nil {
		return nil, fmt.Errorf("opening installation %d for %s: %w", found.GetID(), project, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[project] = made
	return made, nil
}

// install makes the transports for a repository. Each of them is its own, because ghinstallation writes to it without a lock when it
// renews a token.
func (a *app) install(found *gogithub.Installation, repository string) (*installation, error) {
	calling, err := a.transport(found, repository, a.needs)
	if err != nil {
		return nil, err
	}
	fetching, err := a.transport(found, repository, neededToFetch)
	if err != nil {
		return nil, err
	}
	return &installation{client: a.dial(calling), fetching: fetching, since: a.server.Now()}, nil
}

func (a *app) transport(found *gogithub.Installation, repository string, needs map[string]string) (*ghinstallation.Transport, error) {
	transport, err := ghinstallation.New(a.server.Calls.Transport, a.config.ID, found.GetID(), a.config.PrivateKey)
	if err != nil {
		return nil, err
	}
	transport.BaseURL = a.asApp.BaseURL.String()
	transport.InstallationTokenOptions, err = optionsOf(transport.InstallationTokenOptions, map[string]any{
		"repositories": []string{repository}, "permissions": granted(found.GetPermissions(), needs),
	})
	return transport, err
}

// granted are those of the needed permissions that an installation has: GitHub gives no token where one more is asked for. Nil, which is
// all that it has, where it does not say which.
func granted(all *gogithub.InstallationPermissions, needs map[string]string) (some map[string]string) {
	var has map[string]string
	text, err := json.Marshal(all)
	if all == nil || err != nil || json.Unmarshal(text, &has) != nil {
		return nil
	}
	for name, level := range needs {
		switch {
		case has[name] == "read":
			level = "read"
		case has[name] == "":
			continue
		}
		if some == nil {
			some = map[string]string{}
		}
		some[name] = level
	}
	return some
}

// optionsOf fills the options of a token, whose type belongs to another version of go-github.
func optionsOf[T any](_ *T, what map[string]any) (*T, error) {
	options := new(T)
	text, err := json.Marshal(what)
	if err == nil {
		err = json.Unmarshal(text, options)
	}
	return options, err
}

// Forget makes the next call look again: an App that was removed and installed anew has another installation.
func (a *app) Forget(project string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, project)
}
