package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

const token = "the-token-of-the-tests"

// site is a Scanhook's pages over a real store, and a browser's memory for its cookies.
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
	cfg := web.Config{
		Store:     storetest.Open(t, store.Config{}),
		Tokens:    []web.Token{{Name: "ada", Token: token, Role: "viewer"}, {Name: "empty", Token: "", Role: "admin"}},
		Platforms: map[string]web.Platform{"github": {Type: "github", URL: "https://github.com", Posts: true}},
		Policies:  core.Policies{{Match: "**", Policy: storetest.Policy}},
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

// ask sends a request as a browser on this site does; the form makes it a POST.
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

// scanned makes a scan of the n-th commit with a report.
func (s *site) scanned(n int, findings ...core.Finding) core.Scan {
	s.t.Helper()
	delivery, push := storetest.PushOf(n)
	receipt, err := s.store.AcceptPush(s.t.Context(), delivery, push)
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

// contains complains about whatever of the texts the page lacks.
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
