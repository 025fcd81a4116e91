package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/internal/web/signin"
	"github.com/scanhook/scanhook/store"
)

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

func TestProviderDecidesWhoMayLogIn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		claims map[string]any
		want   int
	}{
		"a triager":           {map[string]any{"email": "bob@example.com", "email_verified": true}, http.StatusSeeOther},
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

func TestLoginsBegunElsewhereAreRefused(t *testing.T) {
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
	for name, change := range map[string]func(*signin.OIDC){
		"she is not named any more": func(o *signin.OIDC) { o.People[1].Matches = []string{"bob@example.com"} },
		"the secret was exchanged":  func(o *signin.OIDC) { o.ClientSecret = "another" },
		"another provider":          func(o *signin.OIDC) { o.Issuer = "https://login.example" },
	} {
		other := newSite(t, private, company(p), func(cfg *web.Config) { cfg.Store = s.store; change(cfg.OIDC) })
		other.cookie = s.cookie
		if answer := other.ask("/deliveries", nil); answer.Code != http.StatusSeeOther {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
}

func TestUnreachableProvider(t *testing.T) {
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

// The provider's answers are trusted only as far as they are signed.
func TestClientSecretGoesToTheProviderOnly(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a stranger is asked: %s %s", r.Method, r.URL)
	}))
	t.Cleanup(stranger.Close)
	for name, misled := range map[string]string{"the login": "/token", "the discovery": "/.well-known/openid-configuration"} {
		p := newIDP(t, map[string]any{"email": "ada@example.com", "email_verified": true})
		usual := p.Config.Handler
		p.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == misled {
				http.Redirect(w, r, stranger.URL+r.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			usual.ServeHTTP(w, r)
		})
		s := newSite(t, private, company(p))
		address := "/login/provider"
		if misled == "/token" {
			address = s.toProvider(p, "/hooks/")
		}
		if answer := s.ask(address, nil); answer.Code < http.StatusBadRequest {
			t.Errorf("%s: answer %d", name, answer.Code)
		}
	}
}

func TestLongRefusalsOfTheProviderAreCut(t *testing.T) {
	t.Parallel()
	p := newIDP(t, nil)
	usual := p.Config.Handler
	p.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(strings.Repeat("no ", 100_000)))
			return
		}
		usual.ServeHTTP(w, r)
	})
	s := newSite(t, private, company(p))
	if answer := s.ask(s.toProvider(p, "/hooks/"), nil); answer.Code != http.StatusUnauthorized || answer.Body.Len() > 10_000 {
		t.Errorf("answer %d of %d bytes", answer.Code, answer.Body.Len())
	}
}

// People who can choose their name at the provider cannot appear as somebody else.
func TestChosenNamesDoNotIdentify(t *testing.T) {
	t.Parallel()
	p := newIDP(t, map[string]any{"sub": "root-1", "preferred_username": "ada@example.com"})
	s := newSite(t, private, company(p))
	s.ask(s.toProvider(p, "/hooks/"), nil)
	contains(t, s.page("/audit?actor="+url.QueryEscape("ada@example.com (root-1)")), "login")
}

// If many people waited for an unreachable provider, they would occupy all connections.
func TestUnreachableProviderIsAskedNowAndThen(t *testing.T) {
	t.Parallel()
	p := newIDP(t, nil)
	usual, asked, unreachable := p.Config.Handler, 0, true
	p.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; unreachable {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		usual.ServeHTTP(w, r)
	})
	now := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	s := newSite(t, private, company(p), func(cfg *web.Config) { cfg.Now = func() time.Time { return now } })
	for range 3 {
		if answer := s.ask("/login/provider", nil); answer.Code != http.StatusServiceUnavailable {
			t.Errorf("answer %d", answer.Code)
		}
	}
	if unreachable = false; asked != 1 {
		t.Errorf("the provider was asked %d times at once", asked)
	}
	now = now.Add(5 * time.Second)
	s.toProvider(p, "/hooks/")
}

// An invitation logs in once, from this machine, and not with HEAD.
func TestInvitationLogsInOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, private)
	local := func(r *http.Request) { r.RemoteAddr = "127.0.0.1:4711" }
	invite := func() string {
		return s.pages.Sessions.Invite(auth.Token{Name: "ada", Token: token, Grant: access.Grant{Role: access.Triager}}, "/projects")[len("/hooks"):]
	}
	link := invite()
	if answer := s.ask(link, nil); answer.Code != http.StatusNotFound || s.cookie != "" {
		t.Errorf("from elsewhere: %d", answer.Code)
	}
	if answer := s.ask(link, nil, local); answer.Header().Get("Location") != "/hooks/projects" || s.cookie == "" {
		t.Fatalf("from here: %d to %s", answer.Code, answer.Header().Get("Location"))
	}
	contains(t, s.page("/projects"), "ada", "Log out")
	for _, used := range []string{link, "/login/once/", "/login/once/x"} {
		if answer := s.ask(used, nil, local); answer.Code != http.StatusNotFound {
			t.Errorf("%s: %d", used, answer.Code)
		}
	}
	known := func(cookie string) bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://platform.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.AddCookie(&http.Cookie{Name: "scanhook_session", Value: cookie})
		return s.pages.Sessions.Admits(request)
	}
	if !known(s.cookie) || known("x") || known("") {
		t.Error("who is logged in is not who is known")
	}
}

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
		cfg.Store, cfg.Tokens = s.store, auth.Tokens{{Name: "ada", Token: "another", Grant: access.Grant{Role: access.Triager}}}
	})
	other.cookie = s.cookie
	if answer := other.ask("/", nil); answer.Code != http.StatusSeeOther {
		t.Errorf("a session outlives its token: %d", answer.Code)
	}
}

// browsers are those of ada, of bob, who is an administrator, and of one of some projects, at two replicas that start anew for each.
func browsers(t *testing.T) func(token string) *site {
	tokens := auth.Tokens{
		{Name: "ada", Token: token, Grant: access.Grant{Role: access.Triager}},
		{Name: "bob", Token: "token-of-bob", Grant: access.Grant{Role: access.Admin}},
		{Name: "cid", Token: "token-of-cid", Grant: access.Grant{Role: access.Admin, Projects: []string{"github/acme/*"}}},
	}
	kept := newSite(t, private).store
	return func(token string) *site {
		s := newSite(t, private, func(cfg *web.Config) { cfg.Store, cfg.Tokens = kept, tokens })
		if answer := s.ask("/login", url.Values{"token": {token}}); answer.Code != http.StatusSeeOther {
			t.Fatalf("login: %d", answer.Code)
		}
		return s
	}
}

func (s *site) opens() bool { return s.ask("/projects", nil).Code == http.StatusOK }

func TestLogOutEverywhere(t *testing.T) {
	t.Parallel()
	login := browsers(t)
	here, there, bob := login(token), login(token), login("token-of-bob")
	contains(t, here.page("/sessions"), "ada", "192.0.2.1", "Log out everywhere")
	lacks(t, here.page("/sessions"), "bob", "Others")
	kept := here.cookie
	if answer := here.ask("/logout/everywhere", url.Values{}); answer.Code != http.StatusSeeOther || here.cookie != "" {
		t.Errorf("answer %d", answer.Code)
	}
	if here.cookie = kept; here.opens() || there.opens() || !bob.opens() {
		t.Error("not those of ada have ended")
	}
	if !login(token).opens() {
		t.Error("ada cannot log in again")
	}
	if answer := newSite(t, private).ask("/sessions", nil); !strings.HasPrefix(answer.Header().Get("Location"), "/hooks/login") {
		t.Errorf("a stranger's sessions: %d", answer.Code)
	}
}

func TestAdministratorsLogOthersOut(t *testing.T) {
	t.Parallel()
	login := browsers(t)
	ada, bob, cid := login(token), login("token-of-bob"), login("token-of-cid")
	end := url.Values{"subject": {"token ada"}}
	for name, s := range map[string]*site{"ada": ada, "cid, who is an administrator of some projects": cid} {
		if answer := s.ask("/sessions/end", end); answer.Code != http.StatusForbidden || !ada.opens() {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
	lacks(t, cid.page("/sessions"), "Others")
	contains(t, bob.page("/sessions"), "Others", "ada", `value="token ada"`)
	if answer := bob.ask("/sessions/end", end); answer.Code != http.StatusSeeOther || ada.opens() || !cid.opens() || !bob.opens() {
		t.Errorf("answer %d; not those of ada have ended", answer.Code)
	}
	if answer := bob.ask("/sessions/end", url.Values{}); answer.Code != http.StatusBadRequest {
		t.Errorf("nobody: %d", answer.Code)
	}
	contains(t, bob.page("/audit"), "logged out", "of ada", "1 session")
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
