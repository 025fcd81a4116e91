package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/web"
)

func TestPrivatePagesAskToLogInAndComeBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, private)
	scan := s.scanned(1, finding())
	path := "/scans/" + scan.ReferenceID + "?show=unchanged"
	asked := s.ask(path, nil)
	login, err := url.Parse(asked.Header().Get("Location"))
	if err != nil || asked.Code != http.StatusSeeOther || login.Path != "/hooks/login" || strings.Contains(asked.Body.String(), "A key") {
		t.Fatalf("answer %d, %s", asked.Code, login)
	}
	back := login.Query().Get("back")
	contains(t, s.page("/login?"+login.RawQuery), `name="back" value="/hooks`+path+`"`)
	if wrong := s.ask("/login", url.Values{"token": {"wrong"}, "back": {back}}); wrong.Code != http.StatusUnauthorized || s.cookie != "" {
		t.Errorf("a wrong token: %d, cookie %q", wrong.Code, s.cookie)
	}
	if none := s.ask("/login", url.Values{"token": {""}}); none.Code != http.StatusUnauthorized {
		t.Errorf("no token: %d", none.Code)
	}
	right := s.ask("/login", url.Values{"token": {" " + token + "\n"}, "back": {back}})
	if right.Code != http.StatusSeeOther || right.Header().Get("Location") != "/hooks"+path {
		t.Errorf("a right token: %d to %s", right.Code, right.Header().Get("Location"))
	}
	cookie := right.Header().Get("Set-Cookie")
	for _, attribute := range []string{"HttpOnly", "Secure", "SameSite=Lax", "Path=/hooks/"} {
		if !strings.Contains(cookie, attribute) {
			t.Errorf("cookie lacks %s", attribute)
		}
	}
	contains(t, s.page(path), "ada", "Log out")
	kept := s.cookie
	s.ask("/logout", url.Values{})
	s.cookie = kept
	if again := s.ask(path, nil); again.Code != http.StatusSeeOther {
		t.Errorf("after logging out the cookie still opens the page: %d", again.Code)
	}
}

func TestExchangedTokenEndsItsSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, private)
	s.login()
	s.page("/")
	other := newSite(t, private, func(cfg *web.Config) {
		cfg.Store, cfg.Tokens = s.store, []web.Token{{Name: "ada", Token: "another", Role: "viewer"}}
	})
	other.cookie = s.cookie
	if answer := other.ask("/", nil); answer.Code != http.StatusSeeOther {
		t.Errorf("a session outlives its token: %d", answer.Code)
	}
}

func TestBackLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	s := newSite(t, private)
	for _, back := range []string{
		"https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
		"/hooks/../..//evil.example\r\nX: y", "hooks/", "/elsewhere", "", "/hooks/\t/evil",
	} {
		answer := s.ask("/login", url.Values{"token": {token}, "back": {back}})
		if got := answer.Header().Get("Location"); got != "/hooks/" {
			t.Errorf("back %q leads to %q", back, got)
		}
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.login()
	for name, from := range map[string]func(*http.Request){
		"cross-site":     func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"other origin":   func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.example") },
		"unknown origin": func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") },
	} {
		if answer := s.ask("/logout", url.Values{}, from); answer.Code != http.StatusForbidden {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
	behindProxy := func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "https://scanhook.example")
	}
	if answer := s.ask("/logout", url.Values{}, behindProxy); answer.Code != http.StatusSeeOther {
		t.Errorf("our own origin: %d", answer.Code)
	}
}

func TestPublicPagesTakeNoWordFromStrangers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding())
	page := s.page("/scans/" + scan.ReferenceID)
	contains(t, page, "A key", "Log in to judge this finding")
	lacks(t, page, "<form class=\"triage\"")
	answer := s.ask("/findings/1/feedback", url.Values{"verdict": {"FP"}})
	if answer.Code != http.StatusSeeOther || !strings.HasPrefix(answer.Header().Get("Location"), "/hooks/login") {
		t.Errorf("feedback of a stranger: %d to %s", answer.Code, answer.Header().Get("Location"))
	}
	contains(t, s.page("/scans/"+scan.ReferenceID), "Failed")
}

func TestPagesBearSafetyHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"/", "/login", "/nothing", "/static/style.css"} {
		header := s.ask(path, nil).Header()
		policy := header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'self'") || strings.Contains(policy, "unsafe") || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, header)
		}
	}
	lacks(t, s.page("/"), "<style", " style=", "onclick", "<script>")
}

func TestErrorsArePagesForBrowsersAndProblemsForPrograms(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	missing := "/scans/00000000-0000-0000-0000-000000000000"
	for _, path := range []string{"/nothing", missing, "/scans/%3Cscript%3E", "/findings/x/patch"} {
		answer := s.ask(path, nil)
		if answer.Code != http.StatusNotFound || !strings.Contains(answer.Body.String(), "<h1>Not Found</h1>") {
			t.Errorf("%s: %d %.80s", path, answer.Code, answer.Body)
		}
		lacks(t, answer.Body.String(), "<script>")
	}
	program := s.ask(missing, nil, func(r *http.Request) { r.Header.Set("Accept", "*/*") })
	if kind := program.Header().Get("Content-Type"); program.Code != http.StatusNotFound || kind != "application/problem+json" {
		t.Errorf("program: %d %s", program.Code, kind)
	}
}
