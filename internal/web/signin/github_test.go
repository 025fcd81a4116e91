package signin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/fakeforge/github"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web/signin"
)

var octocat = github.Person{ID: 583231, Login: "OctoCat", Orgs: []string{"Acme"}, Teams: []string{"Acme/Security"}}

// accounts is a door to which people come with accounts of GitHub.
type accounts struct {
	*door
	forge  *httptest.Server
	login  *github.Login
	router *gin.Engine
	jar    map[string]*http.Cookie // of one browser
}

func newAccounts(t *testing.T, person github.Person, matches []string, change ...func(*signin.Config)) *accounts {
	t.Helper()
	a := &accounts{jar: map[string]*http.Cookie{}}
	a.login = &github.Login{
		ClientID: "scanhook", ClientSecret: "secret-of-the-app", Person: person,
		Callback: "https://scanhook.example/login/github/callback",
	}
	a.forge = httptest.NewServer(a.login)
	t.Cleanup(a.forge.Close)
	with := func(cfg *signin.Config) {
		cfg.GitHub = &signin.GitHub{
			URL: a.forge.URL, APIURL: a.forge.URL + "/api/v3", ClientID: "scanhook", ClientSecret: "secret-of-the-app", Name: "GitHub",
			People: []signin.People{{Matches: matches, Grant: access.Grant{Role: access.Triager}}},
		}
	}
	a.door = newDoor(t, "https://scanhook.example", append([]func(*signin.Config){with}, change...)...)
	a.router = gin.New()
	for _, p := range a.Providers() {
		for path, handle := range map[string]func(*gin.Context, signin.ProviderKind) error{p.Login: a.ToProvider, p.Callback: a.FromProvider} {
			a.router.GET(path, func(c *gin.Context) {
				if err := handle(c, p.Kind); err != nil {
					c.String(httpx.Status(err), err.Error())
				}
			})
		}
	}
	return a
}

// open is a request of the browser to a page of Scanhook.
func (a *accounts) open(address string) *httptest.ResponseRecorder {
	request := httptest.NewRequestWithContext(a.t.Context(), http.MethodGet, address, nil)
	for _, cookie := range a.jar {
		request.AddCookie(cookie)
	}
	answer := httptest.NewRecorder()
	a.router.ServeHTTP(answer, request)
	for _, cookie := range answer.Result().Cookies() {
		a.jar[cookie.Name] = cookie
	}
	return answer
}

// agree follows the button to GitHub, where the person agrees, and returns the address that the browser is sent back to.
func (a *accounts) agree(change ...func(url.Values)) string {
	a.t.Helper()
	to, err := url.Parse(a.open("/login/github?back=/projects").Header().Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), a.forge.URL) {
		a.t.Fatalf("sent to %s, %v", to, err)
	}
	asked := to.Query()
	for _, f := range change {
		f(asked)
	}
	to.RawQuery = asked.Encode()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(to.String())
	if err != nil {
		a.t.Fatal(err)
	}
	_ = answer.Body.Close()
	return strings.TrimPrefix(answer.Header.Get("Location"), "https://scanhook.example")
}

// who is whom the browser's session is of.
func (a *accounts) who() string {
	a.t.Helper()
	c, _ := a.ask(http.MethodGet)
	for _, cookie := range a.jar {
		c.Request.AddCookie(cookie)
	}
	who, err := a.Visitor(c)
	if err != nil {
		a.t.Fatal(err)
	}
	return who.Name
}

func TestGitHubTellsWhoSomebodyIs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		matches []string
		scope   string
		want    int
	}{
		"by login, in any case": {[]string{"user:octoCAT"}, "", http.StatusSeeOther},
		"by number":             {[]string{"sub:583231"}, "", http.StatusSeeOther},
		"by organisation":       {[]string{"group:acme"}, "read:org", http.StatusSeeOther},
		"by team":               {[]string{"group:acme/security"}, "read:org", http.StatusSeeOther},
		"everybody":             {[]string{"*"}, "", http.StatusSeeOther},
		"another login":         {[]string{"user:octocat2", "user:octo"}, "", http.StatusForbidden},
		"another number":        {[]string{"sub:58323", "sub:5832310"}, "", http.StatusForbidden},
		"another organisation":  {[]string{"group:acme2", "group:octocat"}, "read:org", http.StatusForbidden},
		"another team":          {[]string{"group:acme/sec", "group:evil/security"}, "read:org", http.StatusForbidden},
		"an address":            {[]string{"*@example.com"}, "", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccounts(t, octocat, test.matches)
			answer := a.open(a.agree(func(asked url.Values) {
				if asked.Get("scope") != test.scope || asked.Get("code_challenge_method") != "S256" {
					t.Errorf("asked with %v", asked)
				}
			}))
			if answer.Code != test.want {
				t.Fatalf("answer %d: %s", answer.Code, answer.Body)
			}
			want := ""
			if test.want == http.StatusSeeOther {
				want = "OctoCat (GitHub 583231)"
			}
			if got := a.who(); got != want {
				t.Errorf("it is %q, want %q", got, want)
			}
		})
	}
}

// Who is in very many teams is asked for all pages, and not for more than are kept.
func TestGitHubListsAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{250: http.StatusSeeOther, 499: http.StatusSeeOther, 5000: http.StatusForbidden} {
		person := octocat
		person.Teams = nil
		for i := range n {
			person.Teams = append(person.Teams, fmt.Sprintf("acme/team-%d", i))
		}
		a := newAccounts(t, person, []string{fmt.Sprintf("group:acme/team-%d", n-1)})
		if answer := a.open(a.agree()); answer.Code != want {
			t.Errorf("%d teams: %d %s", n, answer.Code, answer.Body)
		}
	}
}

func TestGitHubLoginsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		back func(*accounts) string
		want int
	}{
		"begun by another browser":  {func(a *accounts) string { back := a.agree(); clear(a.jar); return back }, http.StatusUnauthorized},
		"with another state":        {func(a *accounts) string { return a.agree() + "x" }, http.StatusUnauthorized},
		"with a code of its own":    {func(a *accounts) string { return strings.Replace(a.agree(), "code=", "code=x", 1) }, http.StatusUnauthorized},
		"with the code of another":  {theCodeOfAnother, http.StatusUnauthorized},
		"which the person declined": {func(a *accounts) string { return a.agree() + "&error=access_denied" }, http.StatusUnauthorized},
		"without what is asked for": {func(a *accounts) string { return a.agree(func(q url.Values) { q.Set("scope", "") }) }, http.StatusUnauthorized},
		"that comes twice":          {func(a *accounts) string { back := a.agree(); a.open(back); clear(a.jar); return back }, http.StatusUnauthorized},
		"while GitHub is away":      {func(a *accounts) string { back := a.agree(); a.forge.Close(); return back }, http.StatusServiceUnavailable},
		"with another secret":       {func(a *accounts) string { a.login.ClientSecret = "exchanged"; return a.agree() }, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccounts(t, octocat, []string{"group:acme"})
			if answer := a.open(test.back(a)); answer.Code != test.want || a.who() != "" {
				t.Errorf("answer %d: %s; it is %q", answer.Code, answer.Body, a.who())
			}
		})
	}
}

// theCodeOfAnother is the address of somebody's login with a code that somebody else got: it was proven with another key.
func theCodeOfAnother(a *accounts) string {
	theirs, err := url.Parse(a.agree())
	if err != nil {
		a.t.Fatal(err)
	}
	mine, err := url.Parse(a.agree())
	if err != nil {
		a.t.Fatal(err)
	}
	query := mine.Query()
	query.Set("code", theirs.Query().Get("code"))
	return mine.Path + "?" + query.Encode()
}

// An Enterprise Server that does not know proof keys leaves them alone.
func TestOldGitHubServersLogPeopleIn(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, octocat, []string{"group:acme"})
	a.login.OldServer = true
	if answer := a.open(a.agree()); answer.Code != http.StatusSeeOther || answer.Header().Get("Location") != "/projects" {
		t.Errorf("answer %d to %q: %s", answer.Code, answer.Header().Get("Location"), answer.Body)
	}
}

// Whose account got another name stays the same: all their sessions end together. The account that takes the old name is another one.
func TestGitHubAccountsAreTheirNumbers(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, octocat, []string{"sub:583231", "user:octocat"})
	a.open(a.agree())
	sessions := func(name string) int {
		list, err := a.Store.ListSessions(t.Context(), "github "+a.forge.URL+" 583231", 10)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.who(); got != name {
			t.Errorf("it is %q, want %q", got, name)
		}
		return len(list)
	}
	if n := sessions("OctoCat (GitHub 583231)"); n != 1 {
		t.Errorf("%d sessions", n)
	}
	a.login.Person.Login = "renamed"
	a.open(a.agree())
	if n := sessions("renamed (GitHub 583231)"); n != 2 {
		t.Errorf("%d sessions of the renamed account", n)
	}
	a.login.Person = github.Person{ID: 999, Login: "octocat"}
	a.open(a.agree())
	if n := sessions("octocat (GitHub 999)"); n != 2 {
		t.Errorf("the account that took the name has sessions of the other: %d", n)
	}
}

// Whom the configuration names no more, and another app or server, ends sessions at once.
func TestConfigurationEndsGitHubSessions(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, octocat, []string{"group:acme"})
	a.open(a.agree())
	for name, change := range map[string]func(*signin.GitHub){
		"":                                   func(*signin.GitHub) {},
		"the organisation is not named":      func(g *signin.GitHub) { g.People[0].Matches = []string{"group:acme/security", "group:other"} },
		"the secret was exchanged":           func(g *signin.GitHub) { g.ClientSecret = "another" },
		"people come from another server":    func(g *signin.GitHub) { g.URL = "https://github.example" },
		"nobody logs in with GitHub anymore": nil,
	} {
		other := newAccounts(t, octocat, []string{"group:acme"}, func(cfg *signin.Config) {
			cfg.Store, cfg.GitHub.URL = a.Store, a.forge.URL
			if change == nil {
				cfg.GitHub = nil
				return
			}
			change(cfg.GitHub)
		})
		other.jar = a.jar
		if got := other.who(); (got != "") != (name == "") {
			t.Errorf("%s: it is %q", name, got)
		}
	}
}

// One provider's answer does not pass for that of another.
func TestProvidersAreToldApart(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, octocat, []string{"group:acme"}, func(cfg *signin.Config) {
		cfg.OIDC = &signin.OIDC{Issuer: "https://login.example", ClientID: "x", Name: "x"}
	})
	back := strings.Replace(a.agree(), "/login/github/callback", "/login/callback", 1)
	if answer := a.open(back); answer.Code != http.StatusUnauthorized || a.who() != "" {
		t.Errorf("answer %d: %s", answer.Code, answer.Body)
	}
}

// Answers that never end, or that are very long, end the login.
func TestCallsOfGitHubAreBounded(t *testing.T) {
	t.Parallel()
	a := newAccounts(t, octocat, []string{"group:acme"})
	usual := a.forge.Config.Handler
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a stranger gets the token") }))
	t.Cleanup(stranger.Close)
	for name, answered := range map[string]http.HandlerFunc{
		"very long": func(w http.ResponseWriter, _ *http.Request) {
			for range 64 {
				_, _ = w.Write([]byte(strings.Repeat(" ", 1<<20)))
			}
		},
		"no JSON":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"a failure":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"to elsewhere": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, stranger.URL, http.StatusFound) },
	} {
		a.forge.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/orgs") {
				answered(w, r)
				return
			}
			usual.ServeHTTP(w, r)
		})
		if answer := a.open(a.agree()); answer.Code != http.StatusServiceUnavailable || a.who() != "" {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
}
