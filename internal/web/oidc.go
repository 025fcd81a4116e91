package web

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gin-gonic/gin"
	"golang.org/x/oauth2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

const (
	attemptCookie  = "scanhook_login"
	attemptSeconds = 600
)

// attempt is what a browser keeps while its person is at the identity provider.
type attempt struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // of the proof key (PKCE)
	Back     string `json:"back"`
}

// toProvider sends a browser to the identity provider.
func (w *Web) toProvider(c *gin.Context) error {
	flow, _, err := w.provider.discover(calling(c.Request.Context()))
	if err != nil {
		return err
	}
	try := attempt{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Back: w.local(c.Query("back")),
	}
	kept, err := json.Marshal(try)
	if err != nil {
		return err
	}
	w.putCookie(c, attemptCookie, base64.RawURLEncoding.EncodeToString(kept), attemptSeconds)
	c.Redirect(http.StatusSeeOther,
		flow.AuthCodeURL(try.State, oidc.Nonce(try.Nonce), oauth2.S256ChallengeOption(try.Verifier)))
	return nil
}

// fromProvider opens a session for a browser that comes back from the identity provider.
func (w *Web) fromProvider(c *gin.Context) error {
	try, err := w.attemptOf(c)
	if err != nil {
		return err
	}
	who, err := w.provider.exchange(c.Request.Context(), c.Query("code"), try)
	if err != nil {
		return err
	}
	role := w.provider.roleOf(who)
	if role == "" {
		return fmt.Errorf("%w: %s knows you as %q, who is not among web.oidc.viewers and web.oidc.admins; ask the administrator",
			core.ErrForbidden, w.provider.Name, visible(who.Name))
	}
	id := rand.Text()
	session := store.Session{Key: w.provider.sessionKey(id), Person: who.json()}
	if err := w.openSession(c, id, session, who.Name); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, w.local(try.Back))
	return nil
}

// attemptOf finds what the browser has kept, and that it is of this login: another site cannot log somebody in here.
func (w *Web) attemptOf(c *gin.Context) (try attempt, err error) {
	kept, _ := c.Cookie(attemptCookie)
	w.putCookie(c, attemptCookie, "", -1)
	text, err := base64.RawURLEncoding.DecodeString(kept)
	if err == nil {
		err = json.Unmarshal(text, &try)
	}
	same := subtle.ConstantTimeCompare([]byte(try.State), []byte(c.Query("state"))) == 1
	if err != nil || try.State == "" || !same {
		return attempt{}, fmt.Errorf("%w: this login was not begun here, or more than ten minutes ago; begin again", core.ErrDenied)
	}
	if refusal := c.Query("error"); refusal != "" {
		return attempt{}, fmt.Errorf("%w: the identity provider refuses: %s", core.ErrDenied, cut(visible(refusal), maxName))
	}
	return try, nil
}

// sessionKey is under what a session of the provider is kept; another provider or secret ends all of them.
func (p *provider) sessionKey(id string) string {
	return sessionKey(Token{Token: "oidc\x00" + p.Issuer + "\x00" + p.ClientID + "\x00" + p.ClientSecret}, id)
}
