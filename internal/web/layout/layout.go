// Package layout makes HTML pages: what all pages share, the functions of their templates, the error page, static files,
// and the links between the pages of a list. It knows no page; pages call it.
package layout

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/approval"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web/signin"
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/store"
)

// The lengths in characters to which texts from outside are cut.
const (
	maxExcerpt = 700
	maxMessage = 8000
)

// Config holds what every page needs.
type Config struct {
	Files    fs.FS // templates/shared, templates with one file for each page, and static
	Base     httpx.Base
	Sessions *signin.Sessions
	Log      *slog.Logger
	Now      func() time.Time
}

// Layout renders pages.
type Layout struct {
	Config
	pages  map[string]*template.Template // by the name of the file
	assets string                        // changes with the style sheet and the script
}

// New parses the templates. Each page has its own set: the shared templates and the page's.
func New(cfg Config) (*Layout, error) {
	l := &Layout{Config: cfg, pages: map[string]*template.Template{}}
	style, err := fs.ReadFile(cfg.Files, "static/style.css")
	if err != nil {
		return nil, err
	}
	script, err := fs.ReadFile(cfg.Files, "static/live.js")
	if err != nil {
		return nil, err
	}
	l.assets = fingerprint(style, script)
	shared, err := template.New("layout.html").Funcs(l.functions()).ParseFS(cfg.Files, "templates/shared/*.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(cfg.Files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		page, err := shared.Clone()
		if err == nil {
			page, err = page.ParseFS(cfg.Files, file)
		}
		if err != nil {
			return nil, err
		}
		l.pages[strings.TrimSuffix(path.Base(file), ".html")] = page
	}
	return l, nil
}

func fingerprint(contents ...[]byte) string {
	sum := sha256.New()
	for _, content := range contents {
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// functions are what templates can call.
func (l *Layout) functions() template.FuncMap {
	return template.FuncMap{
		"visible":    text.Visible,
		"name":       func(s string) string { return text.Short(s, text.MaxName) },
		"message":    func(s string) string { return text.Short(s, maxMessage) },
		"excerpt":    func(s string) string { return text.Short(s, maxExcerpt) },
		"short":      core.ShortSHA,
		"lower":      func(word any) string { return strings.ToLower(fmt.Sprint(word)) },
		"percentile": text.Percentile,
		"percent":    func(share float64) string { return text.Percent(share) },
		"ago":        func(at time.Time) string { return text.Ago(l.Now().Sub(at)) },
		"utc":        func(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") },
		"iso":        func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
		"plural":     core.Plural,
		"number":     text.Number,
		"upto":       func(n int, one, more string) string { return text.UpTo(n, store.MaxCounted, one, more) },
		"decision":   text.Decision,
		"said":       text.Said,
		"proposed":   text.Proposed,
		"proposer":   approval.Proposer,
		"opinion":    text.Opinion,
		"seconds":    text.Seconds,
		"days":       text.Days,
		"bytes":      func(n int64) string { return text.Size(float64(n)) },
		"part":       func(page View, body any) Part { return Part{page, body} },
	}
}

// View is what the template of every page gets.
type View struct {
	Base   string // begins all links
	Assets string
	Title  string
	Here   string // the page's own address
	Who    signin.Visitor
	Reload int // seconds after which browsers without JavaScript load the page again; 0 is never
	Body   any // of the page
}

// Part is what a template inside a page gets: its own data, and the page around it.
type Part struct {
	Page View
	Body any
}

// reloading is a page that changes by itself for a while.
type reloading interface{ ReloadSeconds() int }

// Handle makes a Gin handler of one that returns an error, which becomes a page.
func (l *Layout) Handle(handler func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := handler(c); err != nil {
			l.Fail(c, err)
		}
	}
}

// Render answers with the page of a name. If the page cannot be made, nothing is written.
func (l *Layout) Render(c *gin.Context, status int, name, title string, body any) error {
	who, err := l.Sessions.Visitor(c)
	if err != nil && name != "error" {
		return err
	}
	view := View{
		Base: string(l.Base), Assets: l.assets, Title: title, Here: l.Base.Here(c), Who: who, Body: body,
	}
	if changing, ok := body.(reloading); ok {
		view.Reload = changing.ReloadSeconds()
	}
	var page bytes.Buffer
	if err := l.pages[name].Execute(&page, view); err != nil {
		return err
	}
	c.Data(status, "text/html; charset=utf-8", page.Bytes())
	return nil
}

// Fail answers with an error: a page for browsers, a problem document for programs.
func (l *Layout) Fail(c *gin.Context, err error) {
	if !strings.Contains(c.GetHeader("Accept"), "text/html") {
		httpx.Abort(c, l.Log, err)
		return
	}
	problem := httpx.Report(c, l.Log, err)
	if problem.Status >= http.StatusInternalServerError {
		c.Header("Retry-After", httpx.RetryAfter)
	}
	c.Abort()
	if err := l.Render(c, problem.Status, "error", problem.Title, problem); err != nil {
		httpx.Abort(c, l.Log, err)
	}
}

// Static serves a file of the directory static. The addresses in pages change with the contents, so that browsers can
// cache files for a long time.
func (l *Layout) Static(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	c.FileFromFS("static/"+c.Param("file"), http.FS(l.Files))
}
