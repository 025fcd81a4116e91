package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
)

// company lets some people of an identity provider in.
func company(p *idp) func(*web.Config) {
	return func(cfg *web.Config) {
		cfg.OIDC = &web.OIDC{
			Issuer: p.URL, ClientID: "scanhook", ClientSecret: clientSecret, Name: "Example login",
			Scopes: []string{"email"}, GroupsClaim: "groups",
			Admins: []string{"group:security", "sub:root-1"}, Viewers: []string{"*@example.com", "BOB@kelvin.example"},
		}
	}
}

// toProvider follows the button and returns the address by which the provider sends the browser back.
func (s *site) toProvider(p *idp, back string) string {
	s.t.Helper()
	sent := s.ask("/login/provider?back="+url.QueryEscape(back), nil)
	target, err := url.Parse(sent.Header().Get("Location"))
	if err != nil || sent.Code != http.StatusSeeOther || !strings.HasPrefix(target.String(), p.URL+"/authorize?") {
		s.t.Fatalf("sent to %s, %v: %s", target, err, sent.Body)
	}
	p.asked, p.used = target.Query(), false
	return "/login/callback?code=a-code&state=" + url.QueryEscape(p.asked.Get("state"))
}

func TestLoginAtTheProvider(t *testing.T) {
	t.Parallel()
	p := newIDP(t, map[string]any{"email": "ada@example.com", "email_verified": true, "groups": []string{"security"}})
	s := newSite(t, private, company(p))
	contains(t, s.page("/login?back=/hooks/deliveries"), "Log in with Example login", "/hooks/login/provider?back=%2fhooks%2fdeliveries")
	answer := s.ask(s.toProvider(p, "/hooks/deliveries"), nil, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	if answer.Code != http.StatusSeeOther || answer.Header().Get("Location") != "/hooks/deliveries" {
		t.Fatalf("came back with %d to %q: %s", answer.Code, answer.Header().Get("Location"), answer.Body)
	}
	contains(t, s.page("/deliveries"), "ada@example.com", "admin", "Log out")
	contains(t, s.page("/audit"), "ada@example.com", "login")
	if got := p.asked; got.Get("redirect_uri") != "https://scanhook.example/hooks/login/callback" ||
		got.Get("scope") != "email openid" || got.Get("code_challenge_method") != "S256" {
		t.Errorf("asked with %v", got)
	}
}

func TestTheProviderDecidesWhoComesIn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		claims map[string]any
		want   int
	}{
		"a viewer":            {map[string]any{"email": "bob@example.com", "email_verified": true}, http.StatusSeeOther},
		"an admin by subject": {map[string]any{"sub": "root-1"}, http.StatusSeeOther},
		"another company":     {map[string]any{"email": "eve@example.org", "email_verified": true}, http.StatusForbidden},
		"a look-alike":        {map[string]any{"email": "eve@example.com.evil.org", "email_verified": true}, http.StatusForbidden},
		"letters that look alike": {
			map[string]any{"email": "bob@\u212aelvin.example", "email_verified": true}, http.StatusForbidden,
		},
		"an unverified address": {map[string]any{"email": "bob@example.com", "email_verified": false}, http.StatusForbidden},
		"no word of verifying":  {map[string]any{"email": "bob@example.com"}, http.StatusForbidden},
		"nothing known":         {map[string]any{}, http.StatusForbidden},
		"groups of a form":      {map[string]any{"groups": "security"}, http.StatusForbidden},
		"a token of another":    {map[string]any{"aud": "elsewhere"}, http.StatusUnauthorized},
		"an issuer of its own":  {map[string]any{"iss": "https://evil.example"}, http.StatusUnauthorized},
		"a token that is over":  {map[string]any{"exp": 1}, http.StatusUnauthorized},
		"a token that was kept": {map[string]any{"nonce": "of another login"}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newIDP(t, test.claims)
			s := newSite(t, private, company(p))
			if answer := s.ask(s.toProvider(p, "/hooks/"), nil); answer.Code != test.want {
				t.Fatalf("answer %d, want %d: %s", answer.Code, test.want, answer.Body)
			}
			opened := s.ask("/deliveries", nil).Code == http.StatusOK
			if opened != (test.want == http.StatusSeeOther) {
				t.Errorf("the pages are open: %v", opened)
			}
		})
	}
}

func TestForeignLoginsAreRefused(t *testing.T) {
	t.Parallel()
	p := newIDP(t, map[string]any{"email": "ada@example.com", "email_verified": true})
	for name, change := range map[string]func(s *site, back string) string{
		"of another browser":      func(s *site, back string) string { s.begun = ""; return back },
		"with another state":      func(_ *site, back string) string { return back + "x" },
		"without a state":         func(*site, string) string { return "/login/callback?code=a-code" },
		"with another code":       func(_ *site, back string) string { return strings.Replace(back, "a-code", "b-code", 1) },
		"which the provider ends": func(_ *site, back string) string { return back + "&error=access_denied" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, private, company(p))
			if answer := s.ask(change(s, s.toProvider(p, "/hooks/")), nil); answer.Code != http.StatusUnauthorized {
				t.Errorf("answer %d: %s", answer.Code, answer.Body)
			}
		})
	}
}

func TestConfigurationTakesRolesAwayAtOnce(t *testing.T) {
	t.Parallel()
	p := newIDP(t, map[string]any{"email": "ada@example.com", "email_verified": true})
	s := newSite(t, private, company(p))
	s.ask(s.toProvider(p, "/hooks/"), nil)
	s.page("/deliveries")
	for name, change := range map[string]func(*web.OIDC){
		"she is no viewer any more": func(o *web.OIDC) { o.Viewers = []string{"bob@example.com"} },
		"the secret was exchanged":  func(o *web.OIDC) { o.ClientSecret = "another" },
		"another provider":          func(o *web.OIDC) { o.Issuer = "https://login.example" },
	} {
		other := newSite(t, private, company(p), func(cfg *web.Config) { cfg.Store = s.store; change(cfg.OIDC) })
		other.cookie = s.cookie
		if answer := other.ask("/deliveries", nil); answer.Code != http.StatusSeeOther {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
}

func TestProviderThatIsAway(t *testing.T) {
	t.Parallel()
	p := newIDP(t, nil)
	s := newSite(t, private, company(p))
	p.Close()
	if answer := s.ask("/login/provider", nil); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("answer %d: %s", answer.Code, answer.Body)
	}
	s.login()
	s.page("/deliveries")
}

func TestAuditIsForAdministrators(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if answer := s.ask("/audit", nil); answer.Code != http.StatusSeeOther {
		t.Errorf("a stranger sees %d", answer.Code)
	}
	s.login()
	if answer := s.ask("/audit", nil); answer.Code != http.StatusForbidden {
		t.Errorf("a viewer sees %d", answer.Code)
	}
	if strings.Contains(s.page("/"), "/hooks/audit") {
		t.Error("a viewer is led to a page that is closed")
	}
	admin := newSite(t, func(cfg *web.Config) { cfg.Store, cfg.Tokens[0].Role = s.store, "admin" })
	admin.login()
	event := core.AuditEvent{Actor: "<b>x</b>", Action: core.AuditTriage, ProjectName: "a/<i>", Subject: "\u202e", Detail: "d"}
	if err := s.store.RecordAudit(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	page := admin.page("/audit?actor=" + url.QueryEscape("<b>x</b>"))
	contains(t, page, "&lt;b&gt;x", "[U&#43;202E]", "/hooks/audit")
	if strings.Contains(page, "<b>x") || strings.Contains(page, "login</td>") {
		t.Error("the filter or the escape fails")
	}
	if list, err := s.store.ListAudit(t.Context(), store.AuditFilter{Limit: 1}); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestWrongTokensAreTriedSlowly(t *testing.T) {
	t.Parallel()
	s := newSite(t, private)
	wrong := url.Values{"token": {"guess"}}
	codes := map[int]int{}
	for range 12 {
		codes[s.ask("/login", wrong).Code]++
	}
	if codes[http.StatusUnauthorized] != 10 || codes[http.StatusTooManyRequests] != 2 {
		t.Errorf("answers %v", codes)
	}
	answer := s.ask("/login", wrong)
	contains(t, answer.Body.String(), "Too many wrong tokens")
	if answer.Header().Get("Retry-After") == "" {
		t.Error("nobody says when to come back")
	}
	list, err := s.store.ListAudit(t.Context(), store.AuditFilter{Limit: 10})
	if err != nil || len(list) != 1 || list[0].Action != core.AuditLoginRefused || list[0].Subject != "from 192.0.2.1" {
		t.Errorf("audit: %+v, %v", list, err)
	}
	s.login() // a right token is never kept out
}
