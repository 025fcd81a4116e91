package main

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/health"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/internal/web/signin"
	"github.com/scanhook/scanhook/store"
)

// newPages makes the pages for people.
func newPages(
	cfg *config.Config, db *store.Store, policies core.Policies, hooks *health.Health, throttle *httpx.LoginThrottle,
	log *slog.Logger,
) (*web.Web, error) {
	platforms := web.Platforms{}
	for name, p := range cfg.Platforms {
		platforms[name] = web.Platform{Type: p.Type, URL: p.URL, Posts: p.Posts()}
	}
	var secrets []web.Secret
	for _, s := range hookSecrets(cfg) {
		secrets = append(secrets, web.Secret{Platform: s.platform, Place: s.Place, ID: s.ID, Match: s.Match})
	}
	return web.New(web.Config{
		Store: db, Tokens: tokensOf(cfg), OIDC: oidcOf(cfg.Web.OIDC), Platforms: platforms, Secrets: secrets,
		MaySign: maySign(cfg), Policies: policies, Rules: func(entry int) web.Rule { return ruleOf(cfg, entry) },
		PublicURL: cfg.Server.PublicURL, Public: cfg.Web.Public, Throttle: throttle, Log: log, Hook: hooks.Hook, Silent: hooks.Silent,
	})
}

// ruleOf is an entry of the configuration's repositories with the lines that its values come from.
func ruleOf(cfg *config.Config, entry int) web.Rule {
	file := filepath.Base(cfg.Source.File)
	rule := web.Rule{Where: fmt.Sprintf("%s:%d", file, cfg.Source.Lines[fmt.Sprintf("repositories[%d].match", entry)])}
	for _, s := range cfg.Effective(entry) {
		where := string(s.From)
		if s.Line > 0 {
			where = fmt.Sprintf("%s:%d, %s", file, s.Line, s.From)
		}
		rule.Settings = append(rule.Settings, web.Setting{Key: s.Key, Value: s.Value, Where: where})
	}
	return rule
}

// oidcOf is nil where no identity provider is configured.
func oidcOf(cfg config.OIDC) *signin.OIDC {
	if !cfg.Enabled() {
		return nil
	}
	return &signin.OIDC{
		Issuer: cfg.Issuer, ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret.Reveal(), Name: cfg.Name,
		Scopes: cfg.Scopes, GroupsClaim: cfg.GroupsClaim, Admins: cfg.Admins, Viewers: cfg.Viewers,
	}
}
