package web

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/internal/httpx"
)

//go:embed static templates
var files embed.FS

const retrySeconds = 10

// view is what every page gets.
type view struct {
	Base   string // begins all links
	Assets string
	Title  string
	Here   string // the page's own address
	Who    visitor
	Public bool
	Reload int // seconds after which browsers without JavaScript load the page again; 0 is never
	Body   any
}

// reloading is a page that changes by itself for a while.
type reloading interface{ reloadSeconds() int }

// parse makes a template of each page: the layout, the pieces that pages share, and its own content.
func (w *Web) parse() error {
	style, err := files.ReadFile("static/style.css")
	if err != nil {
		return err
	}
	script, err := files.ReadFile("static/live.js")
	if err != nil {
		return err
	}
	w.assets = fingerprint(style, script)
	common, err := template.New("layout.html").Funcs(w.functions()).
		ParseFS(files, "templates/layout.html", "templates/pieces.html", "templates/hooks.html")
	if err != nil {
		return err
	}
	w.pages = map[string]*template.Template{}
	for _, name := range []string{"login", "error", "scan", "scans", "projects", "project", "deliveries", "explain", "audit"} {
		page, err := common.Clone()
		if err == nil {
			w.pages[name], err = page.ParseFS(files, "templates/"+name+".html")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// render answers with a page, or with nothing but the error when it cannot be made.
func (w *Web) render(c *gin.Context, status int, name, title string, body any) error {
	who, err := w.visitor(c)
	if err != nil && name != "error" {
		return err
	}
	data := view{
		Base: w.base, Assets: w.assets, Title: title, Here: w.here(c), Who: who, Public: w.Public, Body: body,
	}
	if changing, ok := body.(reloading); ok {
		data.Reload = changing.reloadSeconds()
	}
	var page bytes.Buffer
	if err := w.pages[name].Execute(&page, data); err != nil {
		return err
	}
	c.Data(status, "text/html; charset=utf-8", page.Bytes())
	return nil
}

// errorPage says what went wrong and what to do.
type errorPage struct {
	Status int
	Title  string
	Detail string
}

// fail answers with an error: a page for browsers, a problem document for programs.
func (w *Web) fail(c *gin.Context, err error) {
	if !strings.Contains(c.GetHeader("Accept"), "text/html") {
		httpx.Abort(c, w.Log, err)
		return
	}
	problem := httpx.ProblemOf(err)
	_ = c.Error(err) // for the line of the request
	if problem.Status == http.StatusInternalServerError {
		w.Log.Error("page failed", "method", c.Request.Method, "path", c.Request.URL.Path, "error", err)
	}
	if problem.Status >= http.StatusInternalServerError {
		c.Header("Retry-After", strconv.Itoa(retrySeconds))
	}
	c.Abort()
	body := errorPage{Status: problem.Status, Title: problem.Title, Detail: problem.Detail}
	if err := w.render(c, problem.Status, "error", problem.Title, body); err != nil {
		httpx.Abort(c, w.Log, err)
	}
}
