package signin_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web/signin"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

const token = "a-token-that-is-long-enough"

// door is where people log in, with a clock of its own.
type door struct {
	*signin.Sessions
	t   *testing.T
	now time.Time
}

func newDoor(t *testing.T, public string, change ...func(*signin.Config)) *door {
	t.Helper()
	address, err := url.Parse(public)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, now: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)}
	now := func() time.Time { return d.now }
	cfg := signin.Config{
		Tokens:    auth.Tokens{{Name: "ada", Token: token, Grant: access.Grant{Role: access.Triager}}},
		PublicURL: address, Throttle: httpx.NewLoginThrottle(), Log: slog.New(slog.DiscardHandler), Now: now,
	}
	for _, c := range change {
		c(&cfg)
	}
	if cfg.Store == nil {
		cfg.Store = storetest.OpenAt(t, storetest.SQLiteURL(t), store.Config{Now: now})
	}
	d.Sessions = signin.New(cfg)
	return d
}

// ask is a request of a browser with cookies.
func (d *door) ask(method string, cookies ...*http.Cookie) (*gin.Context, *httptest.ResponseRecorder) {
	answer := httptest.NewRecorder()
	c, _ := gin.CreateTestContext(answer)
	c.Request = httptest.NewRequestWithContext(d.t.Context(), method, "/", nil)
	for _, cookie := range cookies {
		c.Request.AddCookie(cookie)
	}
	return c, answer
}

// login returns the cookie of a new session.
func (d *door) login() *http.Cookie {
	d.t.Helper()
	c, answer := d.ask(http.MethodPost)
	if ok, _, err := d.LogIn(c, token); !ok || err != nil {
		d.t.Fatalf("no login: %v", err)
	}
	return answer.Result().Cookies()[0]
}

// knows tells whether a cookie opens a page, which the browser loads in a mode.
func (d *door) knows(cookie *http.Cookie, mode string) bool {
	d.t.Helper()
	c, _ := d.ask(http.MethodGet, cookie)
	c.Request.Header.Set("Sec-Fetch-Mode", mode)
	who, err := d.Visitor(c)
	if err != nil {
		d.t.Fatal(err)
	}
	return who.Known()
}

func TestSessionsHaveTwoEnds(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "https://scanhook.example")
	cookie := d.login()
	for hour := range 11 {
		d.now = d.now.Add(time.Hour)
		if !d.knows(cookie, "navigate") {
			t.Fatalf("a session that is used ends after %d hours", hour+1)
		}
	}
	if d.now = d.now.Add(time.Hour); d.knows(cookie, "navigate") {
		t.Error("a session that is used has no end")
	}
	for mode, want := range map[string]bool{"navigate": true, "": true, "cors": false} { // a page that is only open is not used
		cookie := d.login()
		d.now = d.now.Add(time.Hour)
		d.knows(cookie, mode)
		if d.now = d.now.Add(time.Hour); d.knows(cookie, "navigate") != want {
			t.Errorf("an hour after use in the mode %q it is open: %t", mode, !want)
		}
	}
}

func TestSessionsCannotBeMadeYounger(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "https://scanhook.example")
	cookie := d.login()
	secret, began, _ := strings.Cut(cookie.Value, ".")
	for _, value := range []string{secret, secret + ".", secret + ".zzzzzz", secret + "." + began + "0", "." + began, secret + ".-1"} {
		other := *cookie
		other.Value = value
		if d.knows(&other, "navigate") {
			t.Errorf("%q opens the session of %q", value, cookie.Value)
		}
	}
	if !d.knows(cookie, "navigate") {
		t.Error("the session has ended")
	}
}

// Neighbours of the host cannot set the cookie, where browsers can know that.
func TestCookieIsOfTheHost(t *testing.T) {
	t.Parallel()
	shared := newDoor(t, "https://scanhook.example")
	for public, want := range map[string]string{
		"https://scanhook.example":       "__Host-scanhook_session",
		"https://scanhook.example/":      "__Host-scanhook_session",
		"https://tools.example/scanhook": "scanhook_session",
		"http://scanhook.example":        "scanhook_session",
	} {
		d := newDoor(t, public, func(cfg *signin.Config) { cfg.Store = shared.Store })
		cookie := d.login()
		if cookie.Name != want || cookie.Secure != strings.HasPrefix(public, "https") || cookie.Domain != "" ||
			strings.HasPrefix(want, "__Host-") && cookie.Path != "/" {
			t.Errorf("%s: %s", public, cookie.Raw)
		}
		if !d.knows(cookie, "") {
			t.Errorf("%s: the session is not known", public)
		}
	}
}

// Who reads the database cannot log in with what is in it.
func TestDatabaseOpensNoSession(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "https://scanhook.example")
	cookie := d.login()
	list, err := d.Store.ListSessions(t.Context(), "", 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("sessions: %+v, %v", list, err)
	}
	_, began, _ := strings.Cut(cookie.Value, ".")
	kept := fmt.Sprintf("%+v", list[0])
	if secret := strings.TrimSuffix(cookie.Value, "."+began); strings.Contains(kept, secret) || strings.Contains(kept, token) {
		t.Errorf("the database has %s", kept)
	}
	for _, value := range []string{list[0].Key, list[0].Key + "." + began, list[0].Key[:26] + "." + began} {
		stolen := *cookie
		stolen.Value = value
		if d.knows(&stolen, "navigate") {
			t.Errorf("%q opens a session", value)
		}
	}
}

// The audit has the first refused login of a network and reason, and how many followed.
func TestRefusedLoginsAreInTheAudit(t *testing.T) {
	t.Parallel()
	d := newDoor(t, "https://scanhook.example", func(cfg *signin.Config) {
		cfg.Refusals = &httpx.Limited{Every: 20 * time.Millisecond}
		cfg.Tokens[0].Expires = cfg.Now()
	})
	for end := time.Now().Add(10 * time.Second); ; {
		for range 100 {
			c, _ := d.ask(http.MethodPost)
			if ok, _, err := d.LogIn(c, token); ok || err == nil {
				t.Fatal("a token goes on after its end")
			}
		}
		list, err := d.Store.ListAudit(t.Context(), store.AuditFilter{Limit: 1000})
		if err != nil || len(list) == 0 {
			t.Fatalf("audit: %+v, %v", list, err)
		}
		first, last := list[len(list)-1], list[0]
		if first.Action != core.AuditLoginRefused || first.Subject != "from 192.0.2.1" || first.Detail != "a token whose end has come: ada" {
			t.Fatalf("the first refusal: %+v", first)
		}
		if strings.HasPrefix(last.Detail, "a token whose end has come, ") && strings.HasSuffix(last.Detail, " more within a minute") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("nobody says how many followed: %+v", list)
		}
	}
}
