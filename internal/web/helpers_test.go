package web_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/internal/web/signin"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

const token = "the-token-of-the-tests"

// site is the pages over a real store, with a browser's cookies.
type site struct {
	t      testing.TB
	store  *store.Store
	router *gin.Engine
	pages  *web.Web
	cookie string // of the session
	begun  string // of a login under way
}

func newSite(t testing.TB, change ...func(*web.Config)) *site {
	t.Helper()
	policy := storetest.Policy
	policy.Approval = core.Approval{Medium: 2}
	policies := core.Policies{{Match: "**", Policy: policy}}
	cfg := web.Config{
		Store:     storetest.Open(t, store.Config{Policies: policies}),
		Tokens:    auth.Tokens{{Name: "ada", Token: token, Grant: access.Grant{Role: access.Triager}}, {Name: "empty", Token: "", Grant: access.Grant{Role: access.Admin}}},
		Platforms: web.Platforms{"github": {Links: github.Kind().Links, URL: "https://github.com", Posts: true}},
		Policies:  policies,
		PublicURL: "https://scanhook.example/hooks", Public: true, Log: discard,
	}
	for _, f := range change {
		f(&cfg)
	}
	pages, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, store: cfg.Store, router: routerOf(pages), pages: pages}
}

var discard = slog.New(slog.DiscardHandler)

func routerOf(pages *web.Web) *gin.Engine {
	router := httpx.NewRouter(discard)
	pages.Register(router)
	return router
}

func private(cfg *web.Config) { cfg.Public = false }

// ask sends a request like a browser on this site; with a form it is a POST.
func (s *site) ask(path string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	s.t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	request := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(form.Encode()))
	request.Header.Set("Accept", "text/html")
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if s.cookie != "" {
		request.AddCookie(&http.Cookie{Name: "scanhook_session", Value: s.cookie})
	}
	if s.begun != "" {
		request.AddCookie(&http.Cookie{Name: "scanhook_login", Value: s.begun})
	}
	for _, f := range change {
		f(request)
	}
	answer := httptest.NewRecorder()
	s.router.ServeHTTP(answer, request)
	for _, cookie := range answer.Result().Cookies() {
		if cookie.Name == "scanhook_login" {
			s.begun = cookie.Value
			continue
		}
		s.cookie = cookie.Value
	}
	return answer
}

func (s *site) page(path string) string {
	s.t.Helper()
	answer := s.ask(path, nil)
	if answer.Code != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func (s *site) login() {
	s.t.Helper()
	if answer := s.ask("/login", url.Values{"token": {token}}); answer.Code != http.StatusSeeOther {
		s.t.Fatalf("login: %d", answer.Code)
	}
}

// scanned creates a scan of the n-th commit with a report.
func (s *site) scanned(n int, findings ...core.Finding) core.Scan {
	s.t.Helper()
	delivery, push := storetest.PushOf(n)
	receipt, err := s.store.Accept(s.t.Context(), storetest.With(delivery, push))
	if err != nil {
		s.t.Fatal(err)
	}
	if findings == nil {
		scan, err := s.store.GetScan(s.t.Context(), receipt.Reference)
		if err != nil {
			s.t.Fatal(err)
		}
		return scan
	}
	scan, err := s.store.PutReport(s.t.Context(), receipt.Reference, "gitleaks", core.Report{Findings: findings})
	if err != nil {
		s.t.Fatal(err)
	}
	return scan
}

// firstNew is the new finding that the page of a scan begins with.
func (s *site) firstNew(scan core.Scan) core.Finding {
	s.t.Helper()
	found, err := s.store.PageFindings(s.t.Context(), scan, store.FindingPage{State: core.New, Limit: 1})
	if err != nil || len(found) != 1 {
		s.t.Fatal(found, err)
	}
	return found[0]
}

func finding(change ...func(*core.Finding)) core.Finding {
	f := core.Finding{
		Tool: "gitleaks", RuleID: "aws-key", File: "a/b.env", Line: 3, Severity: core.High, Title: "A key", Message: "A key.",
		Snippet: "KEY=REDACTED",
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

// contains is an error for each text that the page lacks.
func contains(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q", text)
		}
	}
}

func lacks(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(page, text) {
			t.Errorf("the page has %q", text)
		}
	}
}

// idp is an identity provider that logs everybody in with the given claims.
type idp struct {
	*httptest.Server
	t      *testing.T
	signer *ecdsa.PrivateKey
	claims map[string]any // of the next person
	asked  url.Values     // by which the last browser was sent here
	used   bool           // the code was exchanged
}

const clientSecret = "secret-of-the-client"

func newIDP(t *testing.T, claims map[string]any) *idp {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{t: t, signer: key, claims: claims}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		p.answer(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
			"jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		p.answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("POST /token", p.exchange)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *idp) answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		p.t.Error(err)
	}
}

// exchange answers the code with the identity token, once, if the client's secret and the proof key are right.
func (p *idp) exchange(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	proof := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(proof[:])
	if id != "scanhook" || secret != clientSecret || r.FormValue("code") != "a-code" || p.used ||
		p.asked.Get("code_challenge") != challenge || r.FormValue("redirect_uri") != p.asked.Get("redirect_uri") {
		w.WriteHeader(http.StatusBadRequest)
		p.answer(w, map[string]string{"error": "invalid_grant"})
		return
	}
	p.used = true
	p.answer(w, map[string]any{"access_token": "unused", "token_type": "Bearer", "id_token": p.token()})
}

func (p *idp) token() string {
	p.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.signer, KeyID: "1"}}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	claims := map[string]any{
		"iss": p.URL, "aud": "scanhook", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"nonce": p.asked.Get("nonce"), "sub": "4711",
	}
	for name, value := range p.claims {
		claims[name] = value
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// company configures an identity provider, some of whose people may log in.
func company(p *idp) func(*web.Config) {
	return func(cfg *web.Config) {
		cfg.OIDC = &signin.OIDC{
			Issuer: p.URL, ClientID: "scanhook", ClientSecret: clientSecret, Name: "Example login",
			Scopes: []string{"email"}, GroupsClaim: "groups",
			People: []signin.People{
				{Matches: []string{"group:security", "sub:root-1"}, Grant: access.Grant{Role: access.Admin}},
				{Matches: []string{"*@example.com", "BOB@kelvin.example"}, Grant: access.Grant{Role: access.Triager}},
			},
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

func many(n int) []core.Finding {
	findings := make([]core.Finding, n)
	for i := range findings {
		findings[i] = finding(func(f *core.Finding) {
			f.Line, f.Snippet, f.Title = i+1, fmt.Sprintf("KEY%d=REDACTED", i), fmt.Sprintf("Key %d", i)
		})
	}
	return findings
}

func (s *site) quickest(path string) time.Duration {
	best := time.Hour
	for range 5 {
		start := time.Now()
		s.page(path)
		best = min(best, time.Since(start))
	}
	return best
}

// link finds the address that leads to another page of a list.
func link(t *testing.T, page, rel string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, `<a rel="`+rel+`" href="`)
	target, _, _ := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("no page is %s of\n%s", rel, page)
	}
	return html.UnescapeString(target)
}

const evil = "\"'></code></pre><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u2066\u200b\x1b[31m"

// harmless checks that a page with hostile text has no markup from it.
func harmless(t *testing.T, page string) {
	t.Helper()
	lacks(t, page, "<script>alert", "<img", "\u202e", "\u2066", "\u200b", "\x1b", `href="javascript:`, `href="data:`)
}

// hostileScan has evil in every text that a push, a report, an AI or a person can choose.
func hostileScan(t *testing.T, s *site) core.Scan {
	t.Helper()
	delivery, push := storetest.PushOf(1, func(d *core.Delivery, p *core.Push) {
		p.Project.Name, p.Project.URL, p.Project.DefaultBranch, p.Ref = "acme/"+evil, "javascript:alert(1)", evil, "refs/heads/"+evil
		d.Project, d.Name, p.Project.Ref = p.Project.Name, evil, "666"
	})
	receipt, err := s.store.Accept(t.Context(), storetest.With(delivery, push))
	if err != nil {
		t.Fatal(err)
	}
	scan, err := s.store.PutReport(t.Context(), receipt.Reference, "gitleaks", core.Report{Findings: []core.Finding{finding(
		func(f *core.Finding) {
			f.Title, f.Message, f.RuleID, f.Tool, f.File, f.HelpURI = evil, evil, evil, evil, evil, evil
		})}})
	if err != nil {
		t.Fatal(err)
	}
	found := []core.Finding{s.firstNew(scan)}
	found[0].Code, found[0].CodeLine = evil+"\n"+evil, 3
	if err := s.store.PutCode(t.Context(), core.Job{ID: found[0].JobID}, found); err != nil {
		t.Fatal(err)
	}
	_, err = s.store.PatchFinding(t.Context(), found[0].ID, core.TriageUpdate{
		Source: core.ByAI, RemediationPatch: core.SetTo("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+" + evil + "\n"), AIVerdict: core.SetTo("<script>alert(1)</script>\u202e"),
		AIReasoning: core.SetTo(evil), AIConfidence: core.SetTo(0.5), RedTeamSuccess: core.SetTo(true), Author: evil,
	})
	if err != nil {
		t.Fatal(err)
	}
	return scan
}

// with is a route's address in which one parameter is the text and all others are valid.
func with(route string, params map[string]string, name, text string) string {
	for param, value := range params {
		if param == name {
			value = text
		}
		route = strings.Replace(route, param, strings.TrimPrefix(value, "/"), 1)
	}
	return route
}

func (s *site) bears(method, address, form string, refused bool) {
	s.t.Helper()
	request := httptest.NewRequestWithContext(s.t.Context(), method, address, strings.NewReader(form))
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.AddCookie(&http.Cookie{Name: "scanhook_session", Value: s.cookie})
	answer := httptest.NewRecorder()
	s.router.ServeHTTP(answer, request)
	if answer.Code >= 500 || refused && answer.Code < 400 {
		s.t.Errorf("%s %s %s: %d", method, address, form, answer.Code)
	}
}

// post settles the next status that is due.
func (s *site) post(end store.PostResult) {
	s.t.Helper()
	claimed, err := s.store.ClaimStatuses(s.t.Context(), []string{"github"}, 1, time.Minute)
	if err != nil || len(claimed) != 1 {
		s.t.Fatalf("claimed %d statuses, %v", len(claimed), err)
	}
	if err := s.store.SettleStatus(s.t.Context(), claimed[0], end); err != nil {
		s.t.Fatal(err)
	}
}

// ran records a successful pipeline of the n-th commit.
func (s *site) ran(n int, bytes int64) {
	s.t.Helper()
	_, push := storetest.PushOf(n)
	duration, end := time.Duration(90+n%7)*time.Second, time.Date(2026, 3, 1, 0, n, 0, 0, time.UTC)
	run := core.Pipeline{
		Project: push.Project, ID: int64(n), Attempt: 1, Name: "CI <b>", Source: "push", Branch: "main", CommitSHA: push.CommitSHA,
		Status: "completed", Conclusion: "success", Duration: &duration, ArtifactBytes: &bytes, FinishedAt: end, UpdatedAt: end,
	}
	delivery := core.Delivery{Platform: "github", Key: fmt.Sprint("run-", n), Name: "workflow_run", Project: "acme/shop"}
	if _, err := s.store.Accept(s.t.Context(), storetest.With(delivery, run)); err != nil {
		s.t.Fatal(err)
	}
}
