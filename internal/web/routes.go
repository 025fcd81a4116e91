package web

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web/badge"
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
	pages.GET("/badge/:platform/*project", w.Handle(badge.Config{Store: w.Store, Policies: w.Policies}.Show))
	w.registerLogin(pages)

	for _, page := range []struct {
		act          access.Act
		method, path string
		show         func(*gin.Context) error
	}{
		{access.ReadScans, http.MethodGet, "/", w.ShowScans},
		{access.ReadScans, http.MethodGet, "/scans", w.ShowScans},
		{access.ReadScans, http.MethodGet, "/scans/:ref", w.ShowScan},
		{access.ReadScans, http.MethodGet, "/scans/:ref/events", w.live.Events},
		{access.ReadScans, http.MethodGet, "/scans/:ref/reports/:report", w.ShowReport},
		{access.ReadScans, http.MethodGet, "/scans/:ref/download/:format", w.DownloadScan},
		{access.Rescan, http.MethodPost, "/scans/:ref/rescan", w.Rescan},
		{access.Administer, http.MethodPost, "/scans/:ref/override", w.Override},
		{access.Administer, http.MethodPost, "/scans/:ref/override/end", w.EndOverride},
		{access.ReadScans, http.MethodGet, "/findings/:id", w.ToFinding},
		{access.ReadScans, http.MethodGet, "/findings/:id/patch", w.DownloadPatch},
		{access.Judge, http.MethodPost, "/findings/:id/feedback", w.GiveFeedback},
		{access.Judge, http.MethodPost, "/findings/:id/undo", w.UndoFeedback},
		{access.Judge, http.MethodPost, "/findings/:id/approve", w.Approve},
		{access.Judge, http.MethodPost, "/findings/:id/refuse", w.Refuse},
		{access.Read, http.MethodGet, "/approvals", w.workbench.ShowApprovals},
		{access.Read, http.MethodGet, "/alerts", w.workbench.ShowAlerts},
		{access.Judge, http.MethodPost, "/alerts/decide", w.workbench.Decide},
		{access.Judge, http.MethodPost, "/alerts/undo", w.workbench.Undo},
		{access.Read, http.MethodGet, "/alerts/:platform/*alert", w.ShowAlert},
		{access.Judge, http.MethodPost, "/comments/:platform/*alert", w.CommentAlert},
		{access.Read, http.MethodGet, "/downloads/:platform/*project", w.DownloadAlerts},
		{access.Read, http.MethodGet, "/projects", w.ShowProjects},
		{access.Read, http.MethodGet, "/projects/:platform/*project", w.ShowProject},
		{access.Administer, http.MethodPost, "/projects/:platform/*project", w.DeleteProject},
		{access.Judge, http.MethodPost, "/metrics/:id/expected", w.MarkExpected},
		{access.Read, http.MethodGet, "/deliveries", w.ShowDeliveries},
		{access.Read, http.MethodGet, "/explain", w.ToTimeline},
		{access.Read, http.MethodGet, "/explain/:sha", w.ShowTimeline},
		{access.Administer, http.MethodGet, "/audit", w.ShowAudit},
		{access.ReadScans, http.MethodGet, "/sessions", w.ShowSessions},
		{access.ManagePeople, http.MethodPost, "/sessions/end", w.EndSessions},
	} {
		pages.Handle(page.method, page.path, w.admit(page.act), w.Handle(page.show))
	}
	router.NoRoute(w.protect, w.Handle(func(*gin.Context) error {
		return fmt.Errorf("%w: there is nothing at this path; the API is described at /docs", core.ErrNotFound)
	}))
}

func (w *Web) registerLogin(pages *gin.RouterGroup) {
	pages.GET("/login", w.Handle(w.ShowLogin))
	pages.POST("/login", w.Handle(w.LogIn))
	pages.GET("/login/once/:code", w.Handle(w.Sessions.Accept))
	for _, p := range w.Sessions.Providers() {
		pages.GET(p.Login, w.Handle(func(c *gin.Context) error { return w.Sessions.ToProvider(c, p.Kind) }))
		pages.GET(p.Callback, w.Handle(func(c *gin.Context) error { return w.Sessions.FromProvider(c, p.Kind) }))
	}
	pages.POST("/logout", w.Handle(w.Sessions.LogOut))
	pages.POST("/logout/everywhere", w.Handle(w.Sessions.LogOutEverywhere))
}

// protect lets pages load their own files, and refuses forms that another site sends.
func (w *Web) protect(c *gin.Context) {
	c.Header("Content-Security-Policy", contentPolicy)
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

// admit passes visitors who may do an act to what the address names. Who has not logged in and may not is asked to.
func (w *Web) admit(act access.Act) gin.HandlerFunc {
	return func(c *gin.Context) {
		who, err := w.Sessions.Visitor(c)
		if err == nil && !who.Known() && !who.May(act) {
			back := c.PostForm("back")
			if c.Request.Method != http.MethodPost {
				back = w.Base.Here(c)
			}
			w.askToLogin(c, back)
			return
		}
		if err == nil {
			c.Request = c.Request.WithContext(access.With(c.Request.Context(), who.Actor))
			err = w.guard.Admit(c.Request.Context(), act, c.FullPath(), c.Param)
		}
		if err != nil {
			w.Fail(c, err)
		}
	}
}

func (w *Web) askToLogin(c *gin.Context, back string) {
	c.Redirect(http.StatusSeeOther, w.Base.Path("/login?back="+url.QueryEscape(w.Base.Local(back))))
	c.Abort()
}
