package web

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/web/signin"
	"github.com/scanhook/scanhook/store"
)

// maxSessions is how many sessions a page shows.
const maxSessions = 1000

// loginPage asks for a token, or leads to the identity provider. Package signin does the rest.
type loginPage struct {
	Back      string
	Providers []signin.Provider // where people can log in besides
	Tokens    bool              // there are some
	Wrong     bool
	Later     bool // too many wrong ones
}

func (w *Web) loginPage(back string) loginPage {
	return loginPage{Back: w.Base.Local(back), Tokens: len(w.Tokens) > 0, Providers: w.Sessions.Providers()}
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

// sessionsPage is where the visitor is logged in, and for who manages people, who else is.
type sessionsPage struct {
	Mine   personSessions
	Others []personSessions
	More   bool // there are more than the page shows
}

// personSessions are the sessions of one person or token.
type personSessions struct {
	Subject, Name string
	Sessions      []store.Session
}

// ShowSessions shows visitors where they are logged in.
func (w *Web) ShowSessions(c *gin.Context) error {
	who, err := w.Sessions.Visitor(c)
	if err != nil {
		return err
	}
	if !who.Known() {
		w.askToLogin(c, w.Base.Here(c))
		return nil
	}
	page := sessionsPage{Mine: personSessions{Subject: who.Subject, Name: who.Name}}
	if page.Mine.Sessions, err = w.Store.ListSessions(c.Request.Context(), who.Subject, maxSessions); err != nil {
		return err
	}
	if who.May(access.ManagePeople) {
		all, err := w.Store.ListSessions(c.Request.Context(), "", maxSessions+1)
		if err != nil {
			return err
		}
		page.More = len(all) > maxSessions
		page.Others = othersOf(all[:min(len(all), maxSessions)], who.Subject)
	}
	return w.Render(c, http.StatusOK, "sessions", "Sessions", page)
}

// othersOf are the sessions of everybody but one, by person. Those whose owner an earlier release did not keep are left out.
func othersOf(list []store.Session, but string) (others []personSessions) {
	for _, session := range list {
		if session.Subject == but || session.Subject == "" {
			continue
		}
		if last := len(others) - 1; last < 0 || others[last].Subject != session.Subject {
			others = append(others, personSessions{Subject: session.Subject, Name: session.Name})
		}
		last := &others[len(others)-1]
		last.Sessions = append(last.Sessions, session)
	}
	return others
}

// EndSessions logs somebody else out everywhere.
func (w *Web) EndSessions(c *gin.Context) error {
	who, err := w.Sessions.Visitor(c)
	if err != nil {
		return err
	}
	subject := c.PostForm("subject")
	if subject == "" {
		return fmt.Errorf("%w: the form does not say whose sessions are to end; use the button on the page", core.ErrInvalid)
	}
	if err := w.Store.EndSessions(c.Request.Context(), subject, who.Name); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, w.Base.Path("/sessions"))
	return nil
}
