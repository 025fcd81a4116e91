package web

import (
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// loginPage asks for a token.
type loginPage struct {
	Back   string
	Wrong  bool
	Closed bool // no token is configured
}

func (w *Web) showLogin(c *gin.Context) error {
	return w.render(c, http.StatusOK, "login", "Log in", loginPage{
		Back: w.local(c.Query("back")), Closed: len(w.Tokens) == 0,
	})
}

// login opens a session with an API token and goes back to where the visitor was.
func (w *Web) login(c *gin.Context) error {
	back := w.local(c.PostForm("back"))
	token, ok := w.tokenOf(strings.TrimSpace(c.PostForm("token")))
	if !ok {
		w.Log.Warn("login refused", "client", c.RemoteIP())
		return w.render(c, http.StatusUnauthorized, "login", "Log in", loginPage{
			Back: back, Wrong: true, Closed: len(w.Tokens) == 0,
		})
	}
	id := rand.Text()
	if err := w.Store.PutSession(c.Request.Context(), sessionKey(token, id), sessionLength); err != nil {
		return err
	}
	w.setCookie(c, id, int(sessionLength.Seconds()))
	w.Log.Info("logged in", "name", token.Name, "client", c.RemoteIP())
	c.Redirect(http.StatusSeeOther, back)
	return nil
}

func (w *Web) logout(c *gin.Context) error {
	who, err := w.visitor(c)
	if err == nil && who.Known() {
		err = w.Store.DeleteSession(c.Request.Context(), who.key)
	}
	if err != nil {
		return err
	}
	w.setCookie(c, "", -1)
	c.Redirect(http.StatusSeeOther, w.base+"/")
	return nil
}

// setCookie gives the browser its secret, or takes it away; scripts cannot read it and other sites' forms do not send it.
func (w *Web) setCookie(c *gin.Context, id string, seconds int) {
	http.SetCookie(c.Writer, &http.Cookie{ //nolint:gosec // Secure follows public_url: there are installations without TLS
		Name: cookieName, Value: id, Path: w.base + "/", MaxAge: seconds,
		HttpOnly: true, Secure: w.secure, SameSite: http.SameSiteLaxMode,
	})
}
