package github

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Login is what GitHub has for logging in to other sites with its accounts (OAuth apps), apart from the pages that ask people whether they
// agree: Person always does. The zero value of the rest is ready.
type Login struct {
	ClientID, ClientSecret, Callback string // of the app that is registered
	Person                           Person // who sits before the browser
	OldServer                        bool   // an Enterprise Server that does not know proof keys (PKCE), and leaves them alone

	mu     sync.Mutex
	codes  map[string]grant // each is good for one token
	tokens map[string]grant
}

// Person has an account.
type Person struct {
	ID    int64
	Login string
	Orgs  []string
	Teams []string // organisation/team
}

// grant is what a person has agreed to.
type grant struct {
	who                        Person
	redirect, challenge, scope string
}

const (
	oauthRoot    = "/login/oauth"
	noOrgs       = "You need at least read:org scope to list your organizations."
	mostPerPage  = 100
	usualPerPage = 30
)

// ServeHTTP answers a browser at the pages, and the site that somebody logs in to.
func (l *Login) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+oauthRoot+"/authorize", l.authorize)
	mux.HandleFunc("POST "+oauthRoot+"/access_token", l.exchange)
	mux.HandleFunc("GET "+apiRoot+"/user", l.asUser(func(w http.ResponseWriter, _ *http.Request, g grant) {
		answer(w, http.StatusOK, map[string]any{"id": g.who.ID, "login": g.who.Login, "type": "User"})
	}))
	mux.HandleFunc("GET "+apiRoot+"/user/orgs", l.asUser(func(w http.ResponseWriter, r *http.Request, g grant) {
		list(w, r, g, g.who.Orgs, func(name string) any { return map[string]any{"login": name} })
	}))
	mux.HandleFunc("GET "+apiRoot+"/user/teams", l.asUser(func(w http.ResponseWriter, r *http.Request, g grant) {
		list(w, r, g, g.who.Teams, func(name string) any {
			organisation, slug, _ := strings.Cut(name, "/")
			return map[string]any{"slug": slug, "organization": map[string]any{"login": organisation}}
		})
	}))
	mux.ServeHTTP(w, r)
}

// authorize sends the browser back with a code.
func (l *Login) authorize(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	redirect := cmp.Or(asked.Get("redirect_uri"), l.Callback)
	if asked.Get("client_id") != l.ClientID || redirect != l.Callback {
		http.Error(w, "The redirect_uri is not associated with this application.", http.StatusNotFound)
		return
	}
	code := rand.Text()
	g := grant{who: l.Person, redirect: redirect, scope: asked.Get("scope")}
	if asked.Get("code_challenge_method") == "S256" && !l.OldServer {
		g.challenge = asked.Get("code_challenge")
	}
	l.mu.Lock()
	if l.codes == nil {
		l.codes, l.tokens = map[string]grant{}, map[string]grant{}
	}
	l.codes[code] = g
	l.mu.Unlock()
	back := redirect + "?" + url.Values{"code": {code}, "state": {asked.Get("state")}}.Encode()
	http.Redirect(w, r, back, http.StatusFound)
}

// exchange gives a token for a code. Refusals have the status 200, as GitHub's do.
func (l *Login) exchange(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	code := r.FormValue("code")
	g, known := l.codes[code]
	delete(l.codes, code)
	proof := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	proven := g.challenge == "" || g.challenge == base64.RawURLEncoding.EncodeToString(proof[:])
	switch {
	case r.FormValue("client_id") != l.ClientID || r.FormValue("client_secret") != l.ClientSecret:
		answerForm(w, url.Values{"error": {"incorrect_client_credentials"}})
	case !known || !proven || r.FormValue("redirect_uri") != g.redirect:
		answerForm(w, url.Values{"error": {"bad_verification_code"}})
	default:
		token := "gho_" + rand.Text()
		l.tokens[token] = g
		answerForm(w, url.Values{"access_token": {token}, "scope": {g.scope}, "token_type": {"bearer"}})
	}
}

// asUser answers a call with the token of somebody.
func (l *Login) asUser(answered func(http.ResponseWriter, *http.Request, grant)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		g, known := l.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		l.mu.Unlock()
		if !known {
			answer(w, http.StatusUnauthorized, map[string]any{"message": "Bad credentials"})
			return
		}
		answered(w, r, g)
	}
}

// list answers a page of what only read:org shows.
func list(w http.ResponseWriter, r *http.Request, g grant, all []string, describe func(string) any) {
	if !slices.Contains(strings.Fields(g.scope), "read:org") {
		answer(w, http.StatusForbidden, map[string]any{"message": noOrgs})
		return
	}
	number, _ := strconv.Atoi(r.FormValue("page"))
	size, _ := strconv.Atoi(r.FormValue("per_page"))
	size = min(cmp.Or(size, usualPerPage), mostPerPage)
	from := min(len(all), (max(number, 1)-1)*size)
	page := []any{}
	for _, name := range all[from:min(len(all), from+size)] {
		page = append(page, describe(name))
	}
	answer(w, http.StatusOK, page)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func answerForm(w http.ResponseWriter, fields url.Values) {
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
	_, _ = w.Write([]byte(fields.Encode()))
}
