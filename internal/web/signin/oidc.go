package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web/text"
)

// providerPause is how long a provider that was unreachable is not asked again.
const providerPause = 5 * time.Second

// OIDC is an identity provider (OpenID Connect) that people log in with.
type OIDC struct {
	Issuer       string // address of the provider
	ClientID     string
	ClientSecret string
	Name         string   // for people
	Scopes       []string // openid is always requested
	GroupsClaim  string   // claim of the identity token that lists groups
	People       []People // who may log in; each entry that matches somebody adds to what they may do
}

// oidcProvider is a configured identity provider. It is discovered when the first person logs in, so that Scanhook starts
// while the provider is unreachable.
type oidcProvider struct {
	OIDC
	redirect string
	now      func() time.Time

	mu       sync.Mutex
	found    *oidc.Provider
	verifier *oidc.IDTokenVerifier
	failure  error     // of the last discovery
	retryAt  time.Time // before which it is not tried again
}

func (p *oidcProvider) name() string              { return p.Name }
func (p *oidcProvider) people() []People          { return p.People }
func (p *oidcProvider) subject(who person) string { return "oidc " + p.Issuer + " " + who.Subject }

func (p *oidcProvider) secret() string {
	return "oidc\x00" + p.Issuer + "\x00" + p.ClientID + "\x00" + p.ClientSecret
}

func (p *oidcProvider) begin(ctx context.Context, try attempt) (string, error) {
	flow, _, err := p.discover(calling(ctx))
	if err != nil {
		return "", err
	}
	return flow.AuthCodeURL(try.State, oidc.Nonce(try.Nonce), oauth2.S256ChallengeOption(try.Verifier)), nil
}

// discover asks the provider for its addresses until it has answered once.
func (p *oidcProvider) discover(ctx context.Context) (*oauth2.Config, *oidc.IDTokenVerifier, error) {
	if err := p.look(ctx); err != nil {
		return nil, nil, err
	}
	scopes := append([]string{oidc.ScopeOpenID}, p.Scopes...)
	slices.Sort(scopes)
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: p.found.Endpoint(),
		RedirectURL: p.redirect, Scopes: slices.Compact(scopes),
	}, p.verifier, nil
}

// look asks an unreachable provider only now and then: everybody who waits for it occupies a connection, and webhooks
// need connections too. It goes on when the client that caused it hangs up, because others wait for it too.
func (p *oidcProvider) look(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return nil
	}
	if p.now().Before(p.retryAt) {
		return p.failure
	}
	found, err := oidc.NewProvider(context.WithoutCancel(ctx), p.Issuer)
	if err != nil {
		p.failure = fmt.Errorf("%w: asking the identity provider %s: %s", core.ErrOutside, p.Issuer, reason(err))
		p.retryAt = p.now().Add(providerPause)
		return p.failure
	}
	p.found, p.verifier = found, found.Verifier(&oidc.Config{ClientID: p.ClientID})
	return nil
}

func (p *oidcProvider) identify(ctx context.Context, code string, try attempt) (person, error) {
	ctx = calling(ctx)
	flow, verifier, err := p.discover(ctx)
	if err != nil {
		return person{}, err
	}
	token, err := exchange(ctx, flow, code, try)
	if err != nil {
		return person{}, err
	}
	raw, _ := token.Extra("id_token").(string)
	identity, err := verifier.Verify(ctx, raw)
	if err == nil && identity.Nonce != try.Nonce {
		err = errors.New("the nonce is of another login")
	}
	if err != nil {
		return person{}, fmt.Errorf("%w: the identity token is not valid, begin again: %s", core.ErrDenied, reason(err))
	}
	return personOf(identity, p.GroupsClaim)
}

// personOf reads a verified identity token. An address that the provider has not verified is left out: anybody could
// claim it.
func personOf(identity *oidc.IDToken, groupsClaim string) (person, error) {
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
		Name     string `json:"preferred_username"`
	}
	if err := identity.Claims(&claims); err != nil {
		return person{}, fmt.Errorf("%w: reading the identity token: %w", core.ErrDenied, err)
	}
	who := person{Subject: identity.Subject, Name: claims.Name}
	if claims.Verified {
		who.Email = claims.Email
	}
	switch { // people choose other claims themselves, and could appear as somebody else in the audit log
	case who.Email != "":
		who.Name = who.Email
	case who.Name != "":
		who.Name = fmt.Sprintf("%s (%s)", text.Cut(who.Name, text.MaxName), who.Subject)
	default:
		who.Name = who.Subject
	}
	var all map[string]json.RawMessage
	if err := identity.Claims(&all); err == nil && groupsClaim != "" {
		_ = json.Unmarshal(all[groupsClaim], &who.Groups) // a claim of another form names no groups
	}
	who.Name = text.Cut(core.Printable(who.Name), text.MaxName)
	who.Groups = who.Groups[:min(len(who.Groups), maxGroups)]
	return who, nil
}
