package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
)

const (
	cookieName    = "scanhook_session"
	sessionLength = 12 * time.Hour
	maxForm       = 64 << 10 // bytes of a form
	visitorKey    = "visitor"
	roleViewer    = "viewer"
	roleScanner   = "scanner"
	roleAdmin     = "admin"
)

// visitor is whoever looks at a page; the zero value is nobody in particular.
type visitor struct {
	Name string // of the token that the session was opened with, or of the person
	Role string
	key  string // of the session
}

// Known tells whether the visitor has logged in.
func (v visitor) Known() bool { return v.Name != "" }

// Admin tells whether the visitor may see what everybody does.
func (v visitor) Admin() bool { return v.Role == roleAdmin }

// MayScan tells whether the visitor may have a commit scanned.
func (v visitor) MayScan() bool { return v.Role == roleScanner || v.Role == roleAdmin }

// contentPolicy lets a page load from here only, and run no script and no style that stands in it.
const contentPolicy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// protect sets what keeps browsers safe, and refuses forms that another site sends.
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
		w.fail(c, fmt.Errorf("%w: this form was sent from another site; open the page here and send it again", core.ErrForbidden))
		return
	}
	if err := checkInput(c); err != nil {
		w.fail(c, err)
	}
}

// checkInput refuses what no database stores, in address and form.
func checkInput(c *gin.Context) error {
	if err := httpx.CheckAddress(c.Request.URL); err != nil {
		return err
	}
	c.PostForm("") // reads the form
	return httpx.CheckValues(c.Request.PostForm)
}

// reader lets those pass who may read, and asks the others to log in.
func (w *Web) reader(c *gin.Context) {
	who, err := w.visitor(c)
	if err != nil {
		w.fail(c, err)
		return
	}
	if !w.Public && !who.Known() {
		w.askToLogin(c, w.here(c))
	}
}

// member lets those pass who have logged in.
func (w *Web) member(c *gin.Context) {
	who, err := w.visitor(c)
	switch {
	case err != nil:
		w.fail(c, err)
	case !who.Known():
		w.askToLogin(c, c.PostForm("back"))
	}
}

func (w *Web) askToLogin(c *gin.Context, back string) {
	c.Redirect(http.StatusSeeOther, w.base+"/login?back="+url.QueryEscape(w.local(back)))
	c.Abort()
}

// visitor finds out once per request whose session it belongs to. A token that left the configuration, or was
// exchanged, ends the sessions that it opened.
func (w *Web) visitor(c *gin.Context) (visitor, error) {
	if who, ok := c.Get(visitorKey); ok {
		return who.(visitor), nil
	}
	who := visitor{}
	if id, err := c.Cookie(cookieName); err == nil && len(id) == len(rand.Text()) {
		if who, err = w.find(c.Request.Context(), id); err != nil {
			return visitor{}, err
		}
	}
	c.Set(visitorKey, who)
	return who, nil
}

func (w *Web) find(ctx context.Context, id string) (visitor, error) {
	byKey := make(map[string]Token, len(w.Tokens))
	for _, token := range w.Tokens {
		byKey[sessionKey(token, id)] = token
	}
	keys := slices.Collect(maps.Keys(byKey))
	if w.provider != nil {
		keys = append(keys, w.provider.sessionKey(id))
	}
	session, err := w.Store.FindSession(ctx, keys)
	switch {
	case errors.Is(err, core.ErrNotFound):
		return visitor{}, nil
	case err != nil || session.Person == "":
		token := byKey[session.Key]
		return visitor{Name: token.Name, Role: token.Role, key: session.Key}, err
	}
	who, err := readPerson(session.Person)
	if role := w.provider.roleOf(who); err == nil && role != "" {
		return visitor{Name: who.Name, Role: role, key: session.Key}, nil
	}
	return visitor{}, err
}

// sessionKey is under what a session is kept; it needs both the browser's secret and the token.
func sessionKey(token Token, id string) string {
	mac := hmac.New(sha256.New, []byte(token.Token))
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil))
}

// tokenOf finds the token that somebody typed; every one is compared.
func (w *Web) tokenOf(typed string) (found Token, ok bool) {
	hash := sha256.Sum256([]byte(typed))
	for _, token := range w.Tokens {
		known := sha256.Sum256([]byte(token.Token))
		if token.Token != "" && subtle.ConstantTimeCompare(hash[:], known[:]) == 1 {
			found, ok = token, true
		}
	}
	return found, ok
}

// here is the address of the page as the browser knows it, without the host.
func (w *Web) here(c *gin.Context) string { return w.base + c.Request.URL.RequestURI() }

// local keeps a path on this site, and makes the first page of all others.
func (w *Web) local(back string) string {
	parsed, err := url.Parse(back)
	if err != nil || parsed.Host != "" || parsed.Scheme != "" || strings.ContainsAny(back, "\\\r\n\t") ||
		strings.HasPrefix(back, "//") || !strings.HasPrefix(back, w.base+"/") {
		return w.base + "/"
	}
	return back
}
