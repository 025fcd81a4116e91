package main

import (
	"log/slog"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
)

// newPages makes the pages for people.
func newPages(cfg *config.Config, db *store.Store, policies core.Policies, log *slog.Logger) (*web.Web, error) {
	platforms := map[string]web.Platform{}
	for name, p := range cfg.Platforms {
		posts := p.Token.Reveal() != "" || p.App != nil
		platforms[name] = web.Platform{Type: p.Type, URL: p.URL, Posts: posts}
	}
	var tokens []web.Token
	for _, t := range cfg.API.Tokens {
		tokens = append(tokens, web.Token{Name: t.Name, Token: t.Token.Reveal(), Role: t.Role})
	}
	return web.New(web.Config{
		Store: db, Tokens: tokens, OIDC: oidcOf(cfg.Web.OIDC), Platforms: platforms, Policies: policies,
		PublicURL: cfg.Server.PublicURL, Public: cfg.Web.Public, Log: log,
	})
}

// oidcOf is nil where no identity provider is configured.
func oidcOf(cfg config.OIDC) *web.OIDC {
	if !cfg.Enabled() {
		return nil
	}
	return &web.OIDC{
		Issuer: cfg.Issuer, ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret.Reveal(), Name: cfg.Name,
		Scopes: cfg.Scopes, GroupsClaim: cfg.GroupsClaim, Admins: cfg.Admins, Viewers: cfg.Viewers,
	}
}
