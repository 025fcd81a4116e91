package signin

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gin-gonic/gin"
	"golang.org/x/oauth2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	providerTimeout = 10 * time.Second // of each call of the identity provider
	providerPause   = 5 * time.Second  // before a provider that was unreachable is asked again
	maxGroups       = 500              // that are kept of a person; some providers list more

	attemptCookie  = "scanhook_login"
	attemptSeconds = 600
)

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

// People are granted a role. Matches are globs of e-mail addresses that the provider has verified, "group:" and a group's
// name, or "sub:" and the subject of an account; "*" is everybody whom the provider lets in.
type People struct {
	Matches []string
	Grant   access.Grant
}

// ToProvider sends a browser to the identity provider.
func (s *Sessions) ToProvider(c *gin.Context) error {
	flow, _, err := s.provider.discover(calling(c.Request.Context()))
	if err != nil {
		return err
	}
	try := attempt{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Back: s.base.Local(c.Query("back")),
	}
	kept, err := json.Marshal(try)
	if err != nil {
		return err
	}
	s.putCookie(c, attemptCookie, base64.RawURLEncoding.EncodeToString(kept), attemptSeconds)
	c.Redirect(http.StatusSeeOther,
		flow.AuthCodeURL(try.State, oidc.Nonce(try.Nonce), oauth2.S256ChallengeOption(try.Verifier)))
	return nil
}

// FromProvider opens a session for a browser that comes back from the identity provider.
func (s *Sessions) FromProvider(c *gin.Context) error {
	try, err := s.attemptOf(c)
	if err != nil {
		return err
	}
	who, err := s.provider.exchange(c.Request.Context(), c.Query("code"), try)
	if err != nil {
		return err
	}
	if len(s.provider.actorOf(who).Grants) == 0 {
		err := fmt.Errorf("%w: %s knows you as %q, who is not among web.oidc.people; ask the administrator",
			core.ErrForbidden, s.provider.Name, text.Visible(who.Name))
		return cmp.Or(s.refuse(c, "nobody of web.oidc.people", who.Name), err)
	}
	id := s.newID()
	session := store.Session{Key: s.provider.sessionKey(id), Person: who.encode()}
	if err := s.open(c, id, session, who.Name); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, s.base.Local(try.Back))
	return nil
}

// attemptOf finds the attempt that the browser has kept, and checks that the answer belongs to it: another site must not
// be able to log somebody in here.
func (s *Sessions) attemptOf(c *gin.Context) (try attempt, err error) {
	kept, _ := c.Cookie(s.cookie(attemptCookie))
	s.putCookie(c, attemptCookie, "", -1)
	document, err := base64.RawURLEncoding.DecodeString(kept)
	if err == nil {
		err = json.Unmarshal(document, &try)
	}
	same := subtle.ConstantTimeCompare([]byte(try.State), []byte(c.Query("state"))) == 1
	if err != nil || try.State == "" || !same {
		return attempt{}, fmt.Errorf("%w: this login was not begun here, or more than ten minutes ago; begin again", core.ErrDenied)
	}
	if refusal := c.Query("error"); refusal != "" {
		return attempt{}, fmt.Errorf("%w: the identity provider refuses: %s", core.ErrDenied, text.Short(refusal, text.MaxName))
	}
	return try, nil
}

// attempt is what a browser keeps while its person is at the identity provider.
type attempt struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // of the proof key (PKCE)
	Back     string `json:"back"`
}

// provider is a configured identity provider. It is discovered when the first person logs in, so that Scanhook starts
// while the provider is unreachable.
type provider struct {
	OIDC
	redirect string
	now      func() time.Time

	mu       sync.Mutex
	found    *oidc.Provider
	verifier *oidc.IDTokenVerifier
	failure  error     // of the last discovery
	retryAt  time.Time // before which it is not tried again
}

// sessionKey is the key of a session of this provider. Another provider or client secret ends all of them.
func (p *provider) sessionKey(id string) string {
	return sessionKey("oidc\x00"+p.Issuer+"\x00"+p.ClientID+"\x00"+p.ClientSecret, id)
}

// discover asks the provider for its addresses until it has answered once.
func (p *provider) discover(ctx context.Context) (*oauth2.Config, *oidc.IDTokenVerifier, error) {
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
func (p *provider) look(ctx context.Context) error {
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
		p.failure = fmt.Errorf("%w: asking the identity provider %s: %s", core.ErrUnavailable, p.Issuer, reason(err))
		p.retryAt = p.now().Add(providerPause)
		return p.failure
	}
	p.found, p.verifier = found, found.Verifier(&oidc.Config{ClientID: p.ClientID})
	return nil
}

// calling bounds the calls of the provider that are made with the context, in time and size. Redirects to another host
// are not followed, because it would get the client's secret.
func calling(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, platforms.NewClient(&http.Client{Timeout: providerTimeout}))
}

// reason shortens an error of the provider, which repeats its whole answer.
func reason(err error) string { return text.Short(err.Error(), text.MaxName) }

// exchange turns the code that a browser came back with into the person who logged in.
func (p *provider) exchange(ctx context.Context, code string, try attempt) (person, error) {
	ctx = calling(ctx)
	flow, verifier, err := p.discover(ctx)
	if err != nil {
		return person{}, err
	}
	token, err := flow.Exchange(ctx, code, oauth2.VerifierOption(try.Verifier))
	if err != nil {
		return person{}, fmt.Errorf("%w: the identity provider did not accept the login, begin again: %s", core.ErrDenied, reason(err))
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

// actorOf is a person with what they are granted: nothing, if they may not log in.
func (p *provider) actorOf(who person) access.Actor {
	actor := access.Actor{Name: who.Name}
	for _, people := range p.People {
		if slices.ContainsFunc(people.Matches, who.matches) {
			actor.Grants = append(actor.Grants, people.Grant)
		}
	}
	return actor
}

// person is who an identity provider says that somebody is. It is kept with the session, so that a change of the
// configuration changes the role at once.
type person struct {
	Subject string   `json:"sub"`
	Name    string   `json:"name"`
	Email   string   `json:"email,omitempty"` // only when the provider has verified it
	Groups  []string `json:"groups,omitempty"`
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

func (w person) encode() string {
	document, _ := json.Marshal(w) // strings can always be marshalled
	return string(document)
}

func decodePerson(document string) (who person, err error) {
	return who, json.Unmarshal([]byte(document), &who)
}

// matches tells whether a match of the configuration applies to the person.
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

// lower changes ASCII letters only. Unicode's lower case of the Kelvin sign is k, which would make two addresses equal.
func lower(address string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, address)
}
