package main

import (
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/scanhook/scanhook/internal/ai"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/runner"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/gitlab"
)

// githubPace is what github.com asks of integrations: a second between two writes.
const githubPace = time.Second

// platformsOf makes an adapter for each configured platform. One that cannot verify any call is off; the
// configuration's warnings say so.
func platformsOf(cfg *config.Config) (platforms.Set, error) {
	set := platforms.Set{}
	for name := range cfg.Platforms {
		platform, err := platformOf(cfg, name)
		if err != nil {
			return nil, err
		}
		set[name] = platform
	}
	return set, nil
}

func platformOf(cfg *config.Config, name string) (platforms.Platform, error) {
	p, scopes := cfg.Platforms[name], scopesOf(cfg, name)
	own := ownSecrets(p)
	if p.Type == config.TypeGitLab {
		return gitlab.New(gitlab.Config{
			Name: name, URL: p.URL, APIURL: p.APIURL, Token: p.Token.Reveal(),
			WebhookSecrets: own.WebhookSecrets, SigningTokens: own.SigningTokens, Scopes: scopes,
		})
	}
	app, err := githubApp(p.App)
	if err != nil {
		return nil, fmt.Errorf("configuring GitHub %s: %w", name, err)
	}
	return github.New(github.Config{
		Name: name, URL: p.URL, APIURL: p.APIURL, Token: p.Token.Reveal(), App: app,
		WebhookSecrets: own.WebhookSecrets, Scopes: scopes,
	})
}

func githubApp(app *config.App) (*github.AppConfig, error) {
	if app == nil {
		return nil, nil
	}
	key, err := os.ReadFile(app.PrivateKeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the App's private key: %w", err)
	}
	return &github.AppConfig{ID: app.ID, PrivateKey: key}, nil
}

// aiOf is nil where no AI is configured.
func aiOf(cfg *config.Config) *runner.AI {
	if !cfg.AI.Enabled() {
		return nil
	}
	client := ai.New(ai.Config{
		URL: cfg.AI.URL, Model: cfg.AI.Model, Token: cfg.AI.Token.Reveal(), Timeout: cfg.AI.Timeout,
	})
	return &runner.AI{Client: client, MayDismiss: cfg.AI.MayDismiss, MaxFindings: int(cfg.AI.MaxFindings)}
}

// paceOf is the shortest time between two posts to each platform; only github.com needs one by default.
func paceOf(cfg *config.Config) map[string]time.Duration {
	pace := map[string]time.Duration{}
	for name, p := range cfg.Platforms {
		pace[name] = p.MinPostInterval
		web, err := url.Parse(p.URL)
		if p.MinPostInterval == 0 && p.Type == config.TypeGitHub && err == nil && web.Hostname() == "github.com" {
			pace[name] = githubPace
		}
	}
	return pace
}
