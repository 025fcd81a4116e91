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
	providerTimeout = 10 * time.Second // of each call of an identity provider
	maxGroups       = 500              // that are kept of a person; some providers list more

	attemptCookie  = "scanhook_login"
	attemptSeconds = 600
)

// ProviderKind is the kind of an identity provider. There can be one of each.
type ProviderKind string

// The kinds, as the section web of the configuration calls them.
const (
	KindOIDC   ProviderKind = "oidc"
	KindGitHub ProviderKind = "github"
)

// provider is an identity provider that people log in at.
type provider interface {
	name() string              // for people
	people() []People          // who may log in
	secret() string            // another one ends the sessions of all of them
	subject(who person) string // what never changes of a person, and nobody else has

	// begin is the address where the browser is sent to.
	begin(ctx context.Context, try attempt) (address string, err error)
	// identify turns the code that the browser came back with into the person who logged in.
	identify(ctx context.Context, code string, try attempt) (person, error)
}

// Provider is a configured identity provider as pages show it.
type Provider struct {
	Kind            ProviderKind
	Name            string // for people
	Login, Callback string // paths below the base
}

var routesOfProviders = []Provider{
	{Kind: KindOIDC, Login: "/login/provider", Callback: "/login/callback"},
	{Kind: KindGitHub, Login: "/login/github", Callback: "/login/github/callback"},
}

// Providers are those that are configured.
func (s *Sessions) Providers() (list []Provider) {
	for _, p := range routesOfProviders {
		if found, ok := s.providers[p.Kind]; ok {
			p.Name = found.name()
			list = append(list, p)
		}
	}
	return list
}

// People are granted a role. Matches are globs of e-mail addresses that the provider has verified, "group:" and a group's
// name, "user:" and the name of an account at GitHub, or "sub:" and the subject of an account; "*" is everybody whom the provider lets in.
type People struct {
	Matches []string
	Grant   access.Grant
}

// ToProvider sends a browser to an identity provider.
func (s *Sessions) ToProvider(c *gin.Context, kind ProviderKind) error {
	try := attempt{
		Provider: kind, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Back: s.base.Local(c.Query("back")),
	}
	address, err := s.providers[kind].begin(c.Request.Context(), try)
	if err != nil {
		return err
	}
	kept, err := json.Marshal(try)
	if err != nil {
		return err
	}
	s.putCookie(c, attemptCookie, base64.RawURLEncoding.EncodeToString(kept), attemptSeconds)
	c.Redirect(http.StatusSeeOther, address)
	return nil
}

// FromProvider opens a session for a browser that comes back from an identity provider.
func (s *Sessions) FromProvider(c *gin.Context, kind ProviderKind) error {
	try, err := s.attemptOf(c, kind)
	if err != nil {
		return err
	}
	p := s.providers[kind]
	who, err := p.identify(c.Request.Context(), c.Query("code"), try)
	if errors.Is(err, core.ErrDenied) {
		s.Throttle.Refuse(c, "login that the identity provider does not know")
	}
	if err != nil {
		return err
	}
	actor := actorOf(who, p.people())
	if len(actor.Grants) == 0 {
		err := fmt.Errorf("%w: %s knows you as %q, who is not among web.%s.people; ask the administrator",
			core.ErrForbidden, p.name(), text.Visible(who.Name), kind)
		return cmp.Or(s.refuse(c, fmt.Sprintf("nobody of web.%s.people", kind), who.Name), err)
	}
	id := s.newID()
	session := store.Session{Key: sessionKey(p.secret(), id), Person: who.encode(), Subject: p.subject(who)}
	if err := s.open(c, id, session, who.Name); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, s.base.Local(try.Back))
	return nil
}

// attemptOf finds the attempt that the browser has kept, and checks that the answer belongs to it: another site must not
// be able to log somebody in here, and one provider's answer must not pass for another's.
func (s *Sessions) attemptOf(c *gin.Context, kind ProviderKind) (try attempt, err error) {
	kept, _ := c.Cookie(s.cookie(attemptCookie))
	s.putCookie(c, attemptCookie, "", -1)
	document, err := base64.RawURLEncoding.DecodeString(kept)
	if err == nil {
		err = json.Unmarshal(document, &try)
	}
	same := subtle.ConstantTimeCompare([]byte(try.State), []byte(c.Query("state"))) == 1
	if err != nil || try.State == "" || cmp.Or(try.Provider, KindOIDC) != kind || !same {
		return attempt{}, fmt.Errorf("%w: this login was not begun here, or more than ten minutes ago; begin again", core.ErrDenied)
	}
	if refusal := c.Query("error"); refusal != "" {
		return attempt{}, fmt.Errorf("%w: the identity provider refuses: %s", core.ErrDenied, text.Short(refusal, text.MaxName))
	}
	return try, nil
}

// attempt is what a browser keeps while its person is at the identity provider.
type attempt struct {
	Provider ProviderKind `json:"provider"` // empty from the release before, which has OIDC only
	State    string       `json:"state"`
	Nonce    string       `json:"nonce"`
	Verifier string       `json:"verifier"` // of the proof key (PKCE)
	Back     string       `json:"back"`
}

// calling bounds the calls of the provider that are made with the context, in time and size. Redirects to another host
// are not followed, because it would get the client's secret.
func calling(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, platforms.NewClient(&http.Client{Timeout: providerTimeout}))
}

// clientOf is the client of calling.
func clientOf(ctx context.Context) *http.Client { return oauth2.NewClient(ctx, nil) }

// reason shortens an error of the provider, which repeats its whole answer.
func reason(err error) string { return text.Short(err.Error(), text.MaxName) }

// exchange turns the code that a browser came back with into a token of the provider.
func exchange(ctx context.Context, flow *oauth2.Config, code string, try attempt) (*oauth2.Token, error) {
	token, err := flow.Exchange(ctx, code, oauth2.VerifierOption(try.Verifier))
	var refusal *oauth2.RetrieveError
	switch {
	case errors.As(err, &refusal) && (refusal.Response == nil || refusal.Response.StatusCode < http.StatusInternalServerError):
		return nil, fmt.Errorf("%w: the identity provider did not accept the login, begin again: %s", core.ErrDenied, reason(err))
	case err != nil:
		return nil, fmt.Errorf("%w: the identity provider gave no answer to the login, begin again later: %s", core.ErrOutside, reason(err))
	}
	return token, nil
}

// actorOf is a person with what they are granted: nothing, if they may not log in.
func actorOf(who person, list []People) access.Actor {
	actor := access.Actor{Name: who.Name}
	for _, people := range list {
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
	Login   string   `json:"login,omitempty"` // of an account at GitHub, in lower case
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
	if login, ok := strings.CutPrefix(match, "user:"); ok {
		return w.Login != "" && lower(login) == w.Login
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
