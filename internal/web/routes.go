package web

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
)

const (
	maxForm = 64 << 10 // bytes of a form

	// contentPolicy lets a page load from here only, and run no inline script and no inline style.
	contentPolicy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

// Register mounts the pages, and a page for paths that lead nowhere.
func (w *Web) Register(router *gin.Engine) {
	pages := router.Group("/", w.protect)
	pages.GET("/static/:file", w.Static)
	w.registerLogin(pages)

	reading := pages.Group("/", w.reader)
	reading.GET("/", w.Handle(w.ShowScans))
	reading.GET("/scans", w.Handle(w.ShowScans))
	reading.GET("/scans/:ref", w.Handle(w.ShowScan))
	reading.GET("/scans/:ref/events", w.Handle(w.live.Events))
	reading.GET("/findings/:id", w.Handle(w.ToFinding))
	reading.GET("/findings/:id/patch", w.Handle(w.DownloadPatch))
	reading.GET("/alerts", w.Handle(w.workbench.ShowAlerts))
	reading.GET("/alerts/:platform/*alert", w.Handle(w.ShowAlert))
	reading.GET("/projects", w.Handle(w.ShowProjects))
	reading.GET("/projects/:platform/*project", w.Handle(w.ShowProject))
	reading.GET("/deliveries", w.Handle(w.ShowDeliveries))
	reading.GET("/explain", w.Handle(w.ToTimeline))
	reading.GET("/explain/:sha", w.Handle(w.ShowTimeline))

	pages.POST("/scans/:ref/rescan", w.member, w.Handle(w.Rescan))
	pages.POST("/findings/:id/feedback", w.member, w.Handle(w.GiveFeedback))
	pages.POST("/findings/:id/undo", w.member, w.Handle(w.UndoFeedback))
	pages.POST("/alerts/decide", w.member, w.Handle(w.workbench.Decide))
	pages.POST("/alerts/undo", w.member, w.Handle(w.workbench.Undo))
	pages.POST("/comments/:platform/*alert", w.member, w.Handle(w.CommentAlert))
	pages.POST("/metrics/:id/expected", w.member, w.Handle(w.MarkExpected))

	pages.GET("/audit", w.administrator, w.Handle(w.ShowAudit))
	router.NoRoute(w.protect, w.Handle(func(*gin.Context) error {
		return fmt.Errorf("%w: there is nothing at this path; the API is described at /docs", core.ErrNotFound)
	}))
}

func (w *Web) registerLogin(pages *gin.RouterGroup) {
	pages.GET("/login", w.Handle(w.ShowLogin))
	pages.POST("/login", w.Handle(w.LogIn))
	pages.GET("/login/once/:code", w.Handle(w.Sessions.Accept))
	if w.OIDC != nil {
		pages.GET("/login/provider", w.Handle(w.Sessions.ToProvider))
		pages.GET("/login/callback", w.Handle(w.Sessions.FromProvider))
	}
	pages.POST("/logout", w.Handle(w.Sessions.LogOut))
}

// protect sets headers that keep browsers safe, and refuses forms that another site sends.
func (w *Web) protect(c *gin.Context) {
	for name, value := range map[string]string{
		"Content-Security-Policy":    contentPolicy,
		"Cross-Origin-Opener-Policy": "same-origin",
		"Permissions-Policy":         "camera=(), geolocation=(), microphone=()",
	} {
		c.Header(name, value)
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	if err := w.origin.Check(c.Request); err != nil {
		w.Fail(c, fmt.Errorf("%w: this form was sent from another site; open the page here and send it again", core.ErrForbidden))
		return
	}
	if err := checkInput(c); err != nil {
		w.Fail(c, err)
	}
}

// checkInput refuses text that no database can store, in address and form.
func checkInput(c *gin.Context) error {
	if err := httpx.CheckAddress(c.Request.URL); err != nil {
		return err
	}
	c.PostForm("") // reads the form
	return httpx.CheckValues(c.Request.PostForm)
}

// reader passes visitors who may read, and asks others to log in.
func (w *Web) reader(c *gin.Context) {
	who, err := w.Sessions.Visitor(c)
	if err != nil {
		w.Fail(c, err)
		return
	}
	if !w.Public && !who.Known() {
		w.askToLogin(c, w.Base.Here(c))
	}
}

// member passes visitors who have logged in.
func (w *Web) member(c *gin.Context) {
	who, err := w.Sessions.Visitor(c)
	switch {
	case err != nil:
		w.Fail(c, err)
	case !who.Known():
		w.askToLogin(c, c.PostForm("back"))
	}
}

// administrator passes visitors who have logged in with the role admin.
func (w *Web) administrator(c *gin.Context) {
	who, err := w.Sessions.Visitor(c)
	switch {
	case err != nil:
		w.Fail(c, err)
	case !who.Known():
		w.askToLogin(c, w.Base.Here(c))
	case !who.Admin():
		w.Fail(c, fmt.Errorf("%w: this page takes the role admin, yours is %s", core.ErrForbidden, who.Role))
	}
}

func (w *Web) askToLogin(c *gin.Context, back string) {
	c.Redirect(http.StatusSeeOther, w.Base.Path("/login?back="+url.QueryEscape(w.Base.Local(back))))
	c.Abort()
}
