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
	"github.com/scanhook/scanhook/platforms/gitea"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/gitlab"
)

// platformKinds are the kinds of platforms that can be configured.
var platformKinds = platforms.Kinds{github.Kind(), gitlab.Kind(), gitea.Kind()}

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
	p := cfg.Platforms[name]
	kind := kindOf(p)
	app, err := appOf(p.App)
	if err != nil {
		return nil, fmt.Errorf("configuring %s %s: %w", kind.Title, name, err)
	}
	own := ownSecrets(p)
	return kind.New(platforms.Config{
		Name: name, URL: p.URL, APIURL: p.APIURL, Token: p.Token.Reveal(), App: app,
		WebhookSecrets: own.WebhookSecrets, SigningTokens: own.SigningTokens, Scopes: scopesOf(cfg, name),
	})
}

// kindOf is the kind of a platform whose type was validated.
func kindOf(p config.Platform) platforms.Kind {
	kind, _ := platformKinds.Of(p.Type, p.APIURL)
	return kind
}

func appOf(app *config.App) (*platforms.App, error) {
	if app == nil {
		return nil, nil
	}
	key, err := os.ReadFile(app.PrivateKeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the App's private key: %w", err)
	}
	return &platforms.App{ID: app.ID, PrivateKey: key}, nil
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

// paceOf is the shortest time between two posts to each platform.
func paceOf(cfg *config.Config) map[string]time.Duration {
	pace := map[string]time.Duration{}
	for name, p := range cfg.Platforms {
		pace[name] = p.MinPostInterval
		web, err := url.Parse(p.URL)
		if kind := kindOf(p); p.MinPostInterval == 0 && kind.PostInterval != nil && err == nil {
			pace[name] = kind.PostInterval(web)
		}
	}
	return pace
}
