package web

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// loginPage asks for a token, or leads to the identity provider. Package signin does the rest.
type loginPage struct {
	Back     string
	Provider string // name of the identity provider, or empty
	Tokens   bool   // there are some
	Wrong    bool
	Later    bool // too many wrong ones
}

func (w *Web) loginPage(back string) loginPage {
	page := loginPage{Back: w.Base.Local(back), Tokens: len(w.Tokens) > 0}
	if w.OIDC != nil {
		page.Provider = w.OIDC.Name
	}
	return page
}

// ShowLogin asks visitors to log in.
func (w *Web) ShowLogin(c *gin.Context) error {
	return w.Render(c, http.StatusOK, "login", "Log in", w.loginPage(c.Query("back")))
}

// LogIn logs in with an API token and goes back to the page where the visitor was.
func (w *Web) LogIn(c *gin.Context) error {
	page := w.loginPage(c.PostForm("back"))
	ok, wait, err := w.Sessions.LogIn(c, c.PostForm("token"))
	switch {
	case err != nil:
		return err
	case ok:
		c.Redirect(http.StatusSeeOther, page.Back)
		return nil
	case wait > 0:
		page.Later = true
		return w.Render(c, http.StatusTooManyRequests, "login", "Log in", page)
	}
	page.Wrong = true
	return w.Render(c, http.StatusUnauthorized, "login", "Log in", page)
}
