package web

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	providerTimeout = 10 * time.Second // of each call of the identity provider
	providerPause   = 5 * time.Second  // until one that was away is looked for again
)

// OIDC is an identity provider (OpenID Connect) that people log in with. Matches are globs of e-mail addresses that the
// provider has verified, "group:" and a group's name, or "sub:" and the subject of an account; "*" is everybody whom
// the provider lets in.
type OIDC struct {
	Issuer       string // address of the provider
	ClientID     string
	ClientSecret string
	Name         string   // what people call it
	Scopes       []string // openid is always asked for
	GroupsClaim  string   // claim of the identity token that lists groups
	Admins       []string // matches of those with the role admin
	Viewers      []string // matches of those with the role viewer
}

// provider is a configured identity provider. It is discovered when the first person logs in: one that is away keeps
// nobody from starting Scanhook.
type provider struct {
	OIDC
	redirect string
	now      func() time.Time

	mu       sync.Mutex
	found    *oidc.Provider
	verifier *oidc.IDTokenVerifier
	away     error     // why it was not found the last time
	again    time.Time // when to look for it again
}

// discover asks the provider for its addresses until it has told them once.
func (p *provider) discover(ctx context.Context) (*oauth2.Config, *oidc.IDTokenVerifier, error) {
	if err := p.find(ctx); err != nil {
		return nil, nil, err
	}
	scopes := append([]string{oidc.ScopeOpenID}, p.Scopes...)
	slices.Sort(scopes)
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: p.found.Endpoint(),
		RedirectURL: p.redirect, Scopes: slices.Compact(scopes),
	}, p.verifier, nil
}

// find looks for a provider that is away only now and then: those who wait for it hold a connection each, and webhooks
// need them too. Who hangs up meanwhile ends nobody's search.
func (p *provider) find(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return nil
	}
	if p.now().Before(p.again) {
		return p.away
	}
	found, err := oidc.NewProvider(context.WithoutCancel(ctx), p.Issuer)
	if err != nil {
		p.away = fmt.Errorf("%w: asking the identity provider %s: %s", core.ErrUnavailable, p.Issuer, heard(err))
		p.again = p.now().Add(providerPause)
		return p.away
	}
	p.found, p.verifier = found, found.Verifier(&oidc.Config{ClientID: p.ClientID})
	return nil
}

// calling bounds the calls of the provider that are made with the context, in time and size. They are not led to
// another host, which would get the client's secret.
func calling(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, platforms.NewClient(&http.Client{Timeout: providerTimeout}))
}

// heard is what an error of the provider's tells, which repeats the whole answer.
func heard(err error) string { return cut(visible(err.Error()), maxName) }

// exchange turns the code that a browser came back with into the person that it is of.
func (p *provider) exchange(ctx context.Context, code string, try attempt) (person, error) {
	ctx = calling(ctx)
	flow, verifier, err := p.discover(ctx)
	if err != nil {
		return person{}, err
	}
	token, err := flow.Exchange(ctx, code, oauth2.VerifierOption(try.Verifier))
	if err != nil {
		return person{}, fmt.Errorf("%w: the identity provider did not accept the login, begin again: %s", core.ErrDenied, heard(err))
	}
	raw, _ := token.Extra("id_token").(string)
	identity, err := verifier.Verify(ctx, raw)
	if err == nil && identity.Nonce != try.Nonce {
		err = fmt.Errorf("the nonce is another one")
	}
	if err != nil {
		return person{}, fmt.Errorf("%w: the identity token is not valid, begin again: %s", core.ErrDenied, heard(err))
	}
	return personOf(identity, p.GroupsClaim)
}

// roleOf is the highest role of a person, or "" for one who may not log in.
func (p *provider) roleOf(who person) string {
	switch {
	case slices.ContainsFunc(p.Admins, who.matches):
		return roleAdmin
	case slices.ContainsFunc(p.Viewers, who.matches):
		return roleViewer
	}
	return ""
}

// matches tells whether a match of the configuration means the person.
func (w person) matches(match string) bool {
	if group, ok := strings.CutPrefix(match, "group:"); ok {
		return slices.Contains(w.Groups, group)
	}
	if subject, ok := strings.CutPrefix(match, "sub:"); ok {
		return subject == w.Subject
	}
	if match == "*" {
		return true
	}
	hit, err := path.Match(lower(match), lower(w.Email))
	return err == nil && hit && w.Email != ""
}

// lower makes A to a and leaves everything beyond ASCII: the Kelvin sign would become a k, and its address ann's.
func lower(address string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, address)
}
