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
)

// AppConfig is a GitHub App, installed on the projects that are scanned.
type AppConfig struct {
	ID         int64  // the App's id, as its settings page shows it
	PrivateKey []byte // PEM
}

// app posts as a GitHub App: for each installation it holds one transport, which renews the hourly token.
type app struct {
	config AppConfig
	http   *http.Client
	dial   func(*http.Client) *gogithub.Client
	asApp  *gogithub.Client // signs with the App's own key, for the questions about installations

	mu       sync.Mutex
	projects map[string]int64 // project to id of its installation
	open     map[int64]*installation
}

// installation is an App on one account, with the token that the account's projects share.
type installation struct {
	transport *ghinstallation.Transport
	client    *gogithub.Client
}

func newApp(config AppConfig, client *http.Client, dial func(*http.Client) *gogithub.Client) (*app, error) {
	transport, err := ghinstallation.NewAppsTransport(client.Transport, config.ID, config.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("%w: the private key of the App is no RSA key in PEM: download a new one from its settings",
			core.ErrInvalid)
	}
	a := &app{
		config: config, http: client, dial: dial,
		projects: make(map[string]int64), open: make(map[int64]*installation),
	}
	a.asApp = dial(a.with(transport))
	return a, nil
}

// with is the configured client over another transport.
func (a *app) with(transport http.RoundTripper) *http.Client {
	client := *a.http
	client.Transport = transport
	return &client
}

func (a *app) client(ctx context.Context, project string) (*gogithub.Client, error) {
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

// installation is the cached one, or the one that GitHub names for the project.
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

// opened remembers the project's installation. Each has an apps transport of its own: ghinstallation writes to it
// without a lock when it renews a token.
func (a *app) opened(project string, id int64) (*installation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.projects[project] = id
	if found, ok := a.open[id]; ok {
		return found, nil
	}
	transport, err := ghinstallation.New(a.http.Transport, a.config.ID, id, a.config.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("opening installation %d: %w", id, err)
	}
	client := a.dial(a.with(transport))
	transport.BaseURL = client.BaseURL.String()
	transport.InstallationTokenOptions = empty(transport.InstallationTokenOptions)
	a.open[id] = &installation{transport: transport, client: client}
	return a.open[id], nil
}

// empty stands for absent options: ghinstallation would send them as null, and GitHub documents an object.
func empty[T any](*T) *T { return new(T) }

// forget makes the next call ask again: an App that was removed and installed anew has another installation.
// Without an App there is nothing to forget.
func (a *app) forget(project string) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.projects, project)
}
