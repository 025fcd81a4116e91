package web

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/store"
)

// loginPage asks for a token, or leads to the identity provider.
type loginPage struct {
	Back     string
	Provider string // name of the identity provider, or empty
	Tokens   bool   // there are some
	Wrong    bool
	Later    bool // too many wrong ones
}

func (w *Web) loginPage(back string) loginPage {
	page := loginPage{Back: w.local(back), Tokens: len(w.Tokens) > 0}
	if w.provider != nil {
		page.Provider = w.provider.Name
	}
	return page
}

func (w *Web) showLogin(c *gin.Context) error {
	return w.render(c, http.StatusOK, "login", "Log in", w.loginPage(c.Query("back")))
}

// login opens a session with an API token and goes back to where the visitor was.
func (w *Web) login(c *gin.Context) error {
	page := w.loginPage(c.PostForm("back"))
	token, ok := w.tokenOf(strings.TrimSpace(c.PostForm("token")))
	if !ok {
		return w.refuseLogin(c, page)
	}
	id := rand.Text()
	if err := w.openSession(c, id, store.Session{Key: sessionKey(token, id)}, token.Name); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, page.Back)
	return nil
}

// refuseLogin answers a wrong token. Many of them are in the audit, too, once a minute.
func (w *Web) refuseLogin(c *gin.Context, page loginPage) error {
	client, status := httpx.Client(c), http.StatusUnauthorized
	httpx.Refuse(c, "login with a wrong token")
	wait := w.Guesses.Wrong(c.Request.Context(), client)
	if page.Wrong, page.Later = wait == 0, wait > 0; page.Later {
		status = http.StatusTooManyRequests
		c.Header("Retry-After", strconv.Itoa(int(wait.Seconds())))
		var err error
		w.refusals.Do(func() {
			err = w.Store.RecordAudit(c.Request.Context(), core.AuditEvent{
				Action: core.AuditLoginRefused, Subject: "from " + client, Detail: "many wrong tokens",
			})
		})
		if err != nil {
			return err
		}
	}
	return w.render(c, status, "login", "Log in", page)
}

// openSession gives the browser the secret of a session, whose key is made from it.
func (w *Web) openSession(c *gin.Context, id string, session store.Session, name string) error {
	ctx := c.Request.Context()
	if err := w.Store.PutSession(ctx, session, sessionLength); err != nil {
		return err
	}
	w.putCookie(c, cookieName, id, int(sessionLength.Seconds()))
	w.Log.Info("logged in", "name", name, "client", httpx.Client(c))
	return w.Store.RecordAudit(ctx, core.AuditEvent{Actor: name, Action: core.AuditLogin, Subject: "from " + httpx.Client(c)})
}

func (w *Web) logout(c *gin.Context) error {
	who, err := w.visitor(c)
	if err == nil && who.Known() {
		err = w.Store.DeleteSession(c.Request.Context(), who.key)
	}
	if err != nil {
		return err
	}
	w.putCookie(c, cookieName, "", -1)
	c.Redirect(http.StatusSeeOther, w.base+"/")
	return nil
}

// putCookie gives the browser a secret, or takes it away; scripts cannot read it and other sites' forms do not send it.
func (w *Web) putCookie(c *gin.Context, name, value string, seconds int) {
	http.SetCookie(c.Writer, &http.Cookie{ //nolint:gosec // Secure follows public_url: there are installations without TLS
		Name: name, Value: value, Path: w.base + "/", MaxAge: seconds,
		HttpOnly: true, Secure: w.secure, SameSite: http.SameSiteLaxMode,
	})
}
