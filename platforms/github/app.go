package github

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// app opens the API as a GitHub App. For each installation it has one transport, which renews the hourly token.
type app struct {
	config platforms.App
	server *ghapi.Server
	asApp  *gogithub.Client // signs with the App's own key, for calls about the App and its installations

	mu       sync.Mutex
	projects map[string]int64 // project to id of its installation
	open     map[int64]*installation
}

// installation is an App on one account, with the token that the account's projects share.
type installation struct {
	transport *ghinstallation.Transport
	client    *gogithub.Client
}

func newApp(config platforms.App, server *ghapi.Server) (*app, error) {
	transport, err := ghinstallation.NewAppsTransport(server.Calls.Transport, config.ID, config.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("%w: the private key of the App is no RSA key in PEM: download a new one from its settings",
			core.ErrInvalid)
	}
	a := &app{
		config: config, server: server, projects: make(map[string]int64), open: make(map[int64]*installation),
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

// Client calls the API with the token of the project's installation.
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
	return found.transport.Token(ctx)
}

// installation is the cached one, or the one that GitHub finds for the project.
func (a *app) installation(ctx context.Context, project string) (*installation, error) {
	a.mu.Lock()
	id, known := a.projects[project]
	a.mu.Unlock()
	if known {
		return a.opened(project, id)
	}
	owner, name, _ := strings.Cut(project, "/")
	found, _, err := a.asApp.Apps.FindRepositoryInstallation(ctx, owner, name)
	if err != nil {
		return nil, fmt.Errorf("finding the installation of App %d for %s: %w", a.config.ID, project, err)
	}
	return a.opened(project, found.GetID())
}

// opened caches the project's installation. Each has a transport of its own, because ghinstallation writes to it without
// a lock when it renews a token.
func (a *app) opened(project string, id int64) (*installation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.projects[project] = id
	if found, ok := a.open[id]; ok {
		return found, nil
	}
	transport, err := ghinstallation.New(a.server.Calls.Transport, a.config.ID, id, a.config.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("opening installation %d: %w", id, err)
	}
	client := a.dial(transport)
	transport.BaseURL = client.BaseURL.String()
	transport.InstallationTokenOptions = empty(transport.InstallationTokenOptions)
	a.open[id] = &installation{transport: transport, client: client}
	return a.open[id], nil
}

// empty replaces absent options: ghinstallation would send them as null, and GitHub documents an object.
func empty[T any](*T) *T { return new(T) }

// Forget makes the next call look again: an App that was removed and installed anew has another installation.
func (a *app) Forget(project string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.projects, project)
}
