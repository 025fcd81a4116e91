// Package signin knows who looks at a page. People log in with an API token of the configuration, at an identity
// provider (OpenID Connect), or with a link that scanhook demo prints. Each way opens a session: a cookie holds its
// secret, and the database holds a key that is derived from the secret.
package signin

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/store"
)

const (
	cookieName    = "scanhook_session"
	visitorKey    = "visitor" // in Gin's context
	sessionLength = 12 * time.Hour
	sessionIdle   = 2 * time.Hour // after which one that is not used ends

	extendEvery    = time.Minute
	extendPatience = time.Second // of a page that waits for it

	maxRefused = 50 // networks whose refused logins the audit has in a minute; it has those of others together
)

// Config holds what logging in needs.
type Config struct {
	Store     *store.Store
	Tokens    auth.Tokens
	OIDC      *OIDC    // nil where no identity provider is configured
	GitHub    *GitHub  // nil where nobody logs in with GitHub
	PublicURL *url.URL // how browsers reach Scanhook
	Public    bool     // who has not logged in is a reader
	Throttle  *httpx.LoginThrottle
	Refusals  *httpx.Limited // of logins, that the audit has; nil: its own
	Log       *slog.Logger
	Now       func() time.Time
}

// Visitor is who looks at a page. One who has not logged in has no name, and may read where everybody may.
type Visitor struct {
	access.Actor        // named after the token that the session was opened with, or the person
	Subject      string // what never changes of them, and nobody else has
	session      store.Session
}

// Known tells whether the visitor has logged in.
func (v Visitor) Known() bool { return v.Name != "" }

// MayTo tells whether the visitor may do an act to a scan.
func (v Visitor) MayTo(act access.Act, scan core.Scan) bool {
	return v.MayIn(act, access.Project{Platform: scan.SourcePlatform, Name: scan.ProjectName})
}

// Judges tells whether the visitor may judge what a project has.
func (v Visitor) Judges(platform, project string) bool {
	return v.MayIn(access.Judge, access.Project{Platform: platform, Name: project})
}

// Administers tells whether the visitor may do everything to a project.
func (v Visitor) Administers(platform, project string) bool {
	return v.MayIn(access.Administer, access.Project{Platform: platform, Name: project})
}

// Sessions opens, finds and ends the sessions of people.
type Sessions struct {
	Config
	base        httpx.Base
	providers   map[ProviderKind]provider // that are configured
	invitations invitations
}

// New returns the sessions of one Scanhook.
func New(cfg Config) *Sessions {
	s := &Sessions{Config: cfg, base: httpx.BaseOf(cfg.PublicURL), providers: map[ProviderKind]provider{}}
	if s.Refusals == nil {
		s.Refusals = &httpx.Limited{Most: maxRefused}
	}
	public := strings.TrimRight(cfg.PublicURL.String(), "/")
	if cfg.OIDC != nil {
		s.providers[KindOIDC] = &oidcProvider{OIDC: *cfg.OIDC, redirect: public + "/login/callback", now: cfg.Now}
	}
	if cfg.GitHub != nil {
		s.providers[KindGitHub] = newGitHub(*cfg.GitHub, public+"/login/github/callback")
	}
	return s
}

// LogIn opens a session with an API token that somebody typed. After a wrong one, ok is false, and wait is how long the
// client must wait before the next; 0 means that it may have been a mistake.
func (s *Sessions) LogIn(c *gin.Context, typed string) (ok bool, wait time.Duration, err error) {
	if token, ok := s.Tokens.Find(strings.TrimSpace(typed)); ok {
		if err := token.Check(s.Now()); err != nil {
			return false, 0, cmp.Or(s.refuse(c, "a token whose end has come", token.Name), err)
		}
		id := s.newID()
		return true, 0, s.open(c, id, ofToken(token, id), token.Name)
	}
	wait = s.Throttle.Refuse(c, "login with a wrong token")
	return false, wait, s.refuse(c, "a wrong token", "")
}

// refuse keeps a refused login in the audit: the first of a reason and network at once, and how many followed when a minute is over.
// who is whom it names, or empty.
func (s *Sessions) refuse(c *gin.Context, reason, who string) error {
	ctx := context.WithoutCancel(c.Request.Context())
	record := func(from, detail string) error {
		return s.Store.RecordAudit(ctx, core.AuditEvent{Action: core.AuditLoginRefused, Subject: "from " + from, Detail: detail})
	}
	first := s.Refusals.First(reason, httpx.Client(c), func(n int, network string) {
		if err := record(network, fmt.Sprintf("%s, %s more within a minute", reason, core.Plural(n, "time"))); err != nil {
			s.Log.Warn("refused logins are not in the audit", "error", err)
		}
	})
	if !first {
		return nil
	}
	return record(httpx.Client(c), strings.TrimSuffix(reason+": "+who, ": "))
}

// newID is a secret of a session, and when that begins. Its key in the database depends on both, so that nobody makes it younger.
func (s *Sessions) newID() string { return rand.Text() + "." + strconv.FormatInt(s.Now().Unix(), 36) }

// left is how long a session with a secret can last at most; 0 for what is no secret of one.
func (s *Sessions) left(id string) time.Duration {
	secret, began, _ := strings.Cut(id, ".")
	start, err := strconv.ParseInt(began, 36, 64)
	if err != nil || len(secret) != len(rand.Text()) {
		return 0
	}
	return max(0, time.Unix(start, 0).Add(sessionLength).Sub(s.Now()))
}

// ofToken is the session with a secret that a token opens.
func ofToken(token auth.Token, id string) store.Session {
	return store.Session{Key: sessionKey(token.Token, id), Subject: subjectOf(token)}
}

func subjectOf(token auth.Token) string { return "token " + token.Name }

// open gives the browser the secret of a session.
func (s *Sessions) open(c *gin.Context, id string, session store.Session, name string) error {
	ctx := c.Request.Context()
	session.Name, session.Address = name, httpx.Client(c)
	if err := s.Store.PutSession(ctx, session, sessionIdle); err != nil {
		return err
	}
	s.putCookie(c, cookieName, id, int(sessionLength.Seconds()))
	s.Log.Info("logged in", "name", name, "client", httpx.Client(c))
	return s.Store.RecordAudit(ctx, core.AuditEvent{Actor: name, Action: core.AuditLogin, Subject: "from " + httpx.Client(c)})
}

// sessionKey is the key of a session in the database. It depends on the browser's secret and on what the session was
// opened with, so that a new token ends the sessions of the old one.
func sessionKey(openedWith, id string) string {
	mac := hmac.New(sha256.New, []byte(openedWith))
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil))
}

// cookie is the name of a cookie in browsers. With __Host-, they take it only from this host over TLS, not from its neighbours under one
// domain; such a cookie is of the whole host, which a Scanhook below a path shares with others.
func (s *Sessions) cookie(name string) string {
	if s.PublicURL.Scheme == "https" && s.base == "" {
		return "__Host-" + name
	}
	return name
}

// putCookie stores a secret in the browser, or removes it. Scripts cannot read it, and forms of other sites do not send it.
func (s *Sessions) putCookie(c *gin.Context, name, value string, seconds int) {
	http.SetCookie(c.Writer, &http.Cookie{ //nolint:gosec // Secure follows public_url: there are installations without TLS
		Name: s.cookie(name), Value: value, Path: s.base.Path("/"), MaxAge: seconds,
		HttpOnly: true, Secure: s.PublicURL.Scheme == "https", SameSite: http.SameSiteLaxMode,
	})
}

// Visitor finds whose session a request belongs to, once per request. A token that was removed from the configuration
// or exchanged ends the sessions that were opened with it, and so does its end.
func (s *Sessions) Visitor(c *gin.Context) (Visitor, error) {
	if who, ok := c.Get(visitorKey); ok {
		return who.(Visitor), nil
	}
	id, _ := c.Cookie(s.cookie(cookieName))
	who, err := s.find(c.Request.Context(), id)
	if err != nil {
		return Visitor{}, err
	}
	if who.Known() && isUse(c.Request) {
		s.extend(c.Request.Context(), id, who.session)
	}
	c.Set(visitorKey, who)
	return who, nil
}

// isUse tells what a person does from what an open page asks for by itself, where the browser tells.
func isUse(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return r.Method == http.MethodPost || mode == "" || mode == "navigate"
}

// extend moves the end of a session that is used. The page does not depend on it.
func (s *Sessions) extend(ctx context.Context, id string, session store.Session) {
	lasts := min(sessionIdle, s.left(id))
	if session.ExpiresAt.Sub(s.Now()) > lasts-extendEvery {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), extendPatience)
	defer cancel()
	if err := s.Store.ExtendSession(ctx, session.Key, lasts); err != nil {
		s.Log.Warn("the session of a page was not extended", "error", err)
	}
}

// stranger is who has not logged in.
func (s *Sessions) stranger() (who Visitor) {
	if s.Public {
		who.Grants = []access.Grant{{Role: access.Reader}}
	}
	return who
}

// find finds the visitor with a session's secret.
func (s *Sessions) find(ctx context.Context, id string) (Visitor, error) {
	if s.left(id) == 0 {
		return s.stranger(), nil
	}
	byKey := make(map[string]auth.Token, len(s.Tokens))
	for _, token := range s.Tokens {
		if token.Check(s.Now()) == nil {
			byKey[sessionKey(token.Token, id)] = token
		}
	}
	keys, providers := slices.Collect(maps.Keys(byKey)), make(map[string]provider, len(s.providers))
	for _, p := range s.providers {
		providers[sessionKey(p.secret(), id)] = p
	}
	session, err := s.Store.FindSession(ctx, slices.AppendSeq(keys, maps.Keys(providers)))
	switch {
	case errors.Is(err, core.ErrNotFound):
		return s.stranger(), nil
	case err != nil:
		return Visitor{}, err
	case session.Person == "":
		token := byKey[session.Key]
		return Visitor{token.Actor(), subjectOf(token), session}, nil
	}
	who, err := decodePerson(session.Person)
	if err != nil {
		return Visitor{}, err
	}
	p := providers[session.Key]
	if actor := actorOf(who, p.people()); len(actor.Grants) > 0 {
		return Visitor{actor, p.subject(who), session}, nil
	}
	return s.stranger(), nil
}

// Admits tells whether a request comes from a browser that may read all projects here.
func (s *Sessions) Admits(r *http.Request) bool {
	who, err := s.bearer(r)
	return err == nil && who.Everywhere(access.Read)
}

// Lasts tells whether a request still comes from who it came from when it began, for answers that go on for a while.
func (s *Sessions) Lasts(c *gin.Context) bool {
	before, err := s.Visitor(c)
	if err != nil {
		return false
	}
	now, err := s.bearer(c.Request)
	return err == nil && now.Subject == before.Subject
}

// bearer finds whose session the cookie of a request is of.
func (s *Sessions) bearer(r *http.Request) (Visitor, error) {
	id := ""
	if cookie, err := r.Cookie(s.cookie(cookieName)); err == nil {
		id = cookie.Value
	}
	return s.find(r.Context(), id)
}

// LogOut ends a session.
func (s *Sessions) LogOut(c *gin.Context) error {
	return s.end(c, func(who Visitor) error { return s.Store.DeleteSession(c.Request.Context(), who.session.Key) })
}

// LogOutEverywhere ends all sessions of the visitor.
func (s *Sessions) LogOutEverywhere(c *gin.Context) error {
	return s.end(c, func(who Visitor) error { return s.Store.EndSessions(c.Request.Context(), who.Subject, who.Name) })
}

// end ends sessions of the visitor, the one of the browser among them.
func (s *Sessions) end(c *gin.Context, ended func(Visitor) error) error {
	who, err := s.Visitor(c)
	if err == nil && who.Known() {
		err = ended(who)
	}
	if err != nil {
		return err
	}
	s.putCookie(c, cookieName, "", -1)
	c.Redirect(http.StatusSeeOther, s.base.Path("/"))
	return nil
}
