package signin

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
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/store"
)

const (
	attemptCookie  = "scanhook_login"
	attemptSeconds = 600
)

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
	role := s.provider.roleOf(who)
	if role == "" {
		return fmt.Errorf("%w: %s knows you as %q, who is not among web.oidc.viewers and web.oidc.admins; ask the administrator",
			core.ErrForbidden, s.provider.Name, text.Visible(who.Name))
	}
	id := rand.Text()
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
	kept, _ := c.Cookie(attemptCookie)
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
