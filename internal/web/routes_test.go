package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

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

func TestPublicPagesTakeNoFeedbackWithoutLogin(t *testing.T) {
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

func TestPagesHaveSecurityHeaders(t *testing.T) {
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

func TestHostileTextIsTextOnEveryPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := hostileScan(t, s)
	failed := s.scanned(2)
	if _, err := s.store.PutReport(t.Context(), failed.ReferenceID, "gitleaks", core.Report{Failure: evil}); err != nil {
		t.Fatal(err)
	}
	ignored, _ := storetest.PushOf(3, func(d *core.Delivery, _ *core.Push) { d.Project, d.Name = evil, evil })
	if _, err := s.store.Accept(t.Context(), storetest.With(ignored, core.Ignored{Reason: evil})); err != nil {
		t.Fatal(err)
	}
	claimed, err := s.store.ClaimStatuses(t.Context(), []string{"github"}, 10, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range claimed {
		if err := s.store.SettleStatus(t.Context(), status, store.PostResult{Error: evil, RetryAfter: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	s.login()
	query := "?" + url.Values{"project": {evil}, "branch": {evil}, "platform": {evil}, "outcome": {evil}, "before": {evil}}.Encode()
	for _, path := range []string{
		"/", "/projects", "/scans/" + scan.ReferenceID, "/scans/" + failed.ReferenceID, "/deliveries", "/explain/" + scan.CommitSHA,
		"/explain/" + failed.CommitSHA, "/projects/github/" + url.PathEscape(scan.ProjectName), "/projects/github/acme/shop",
	} {
		page := s.page(path)
		harmless(t, page)
		if t.Failed() {
			t.Fatalf("%s:\n%s", path, page)
		}
	}
	for _, path := range []string{"/" + query, "/deliveries" + query} { // what somebody looks for stays as it is in the form
		lacks(t, s.page(path), "<script>alert", "<img", "\u202e\u2066</option>")
	}
	contains(t, s.page("/scans/"+scan.ReferenceID), "&lt;script&gt;alert(1)", "exploit proven", "50 % sure")
	for _, path := range []string{"/scans/" + evil, "/explain/" + evil, "/projects/x/" + evil, "/findings/" + evil + "/patch", "/" + evil} {
		answer := s.ask(strings.ReplaceAll(url.PathEscape(path), "%2F", "/"), nil)
		if harmless(t, answer.Body.String()); answer.Code/100 != 4 {
			t.Errorf("%q is answered %d, want %d", path, answer.Code, http.StatusNotFound)
		}
	}
}

// No text or number in an address or a form makes a page fail, on either engine: what cannot be stored is refused.
func TestNoInputIsAnInternalError(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := newSite(t, func(cfg *web.Config) { cfg.Store, cfg.Tokens[0].Grant.Role = e.Open(t, store.Config{}), "admin" })
		scan := s.scanned(1, finding())
		s.login()
		params := map[string]string{
			":ref": scan.ReferenceID, ":id": fmt.Sprint(s.firstNew(scan).ID), ":platform": "github", "*project": "acme/shop",
			":sha": storetest.SHA(1), ":file": "style.css",
		}
		unstorable := []string{"%00", "a%00b", "%ff", "%c3", "%ed%a0%80"}
		odd := []string{"-1", "0", "9223372036854775807", "9223372036854775808", "2147483648", "1e400", "%25", "..%2f..", "%zz", "a;b"}
		fields := []string{
			"page", "before", "after", "state", "project", "platform", "branch", "status", "verdict", "actor", "action", "outcome",
			"event", "failing", "sha", "done", "finding", "back", "comments", "expected", "token", "q", "sort", "from", "to",
		}
		for _, route := range s.router.Routes() {
			if route.Path == "/logout" {
				continue
			}
			for _, text := range append(odd, unstorable...) {
				for name := range params {
					if !strings.Contains(route.Path, name) || strings.HasSuffix(route.Path, "/events") || text == "%zz" {
						continue
					}
					s.bears(route.Method, with(route.Path, params, name, text), "", strings.HasPrefix(text, "%00"))
				}
				form, address := strings.Join(fields, "="+text+"&")+"="+text, with(route.Path, params, "", "")
				switch {
				case route.Method == http.MethodPost:
					s.bears(route.Method, address, form, false)
				case !strings.HasSuffix(route.Path, "/events"):
					s.bears(route.Method, address+"?"+form, "", slices.Contains(unstorable, text))
				}
			}
		}
	})
}

// Everybody may see the badge of a project whose policy allows it, and of no other one.
func TestBadgesArePublicWhereThePolicySaysSo(t *testing.T) {
	t.Parallel()
	public := storetest.Policy
	public.Badges = core.BadgesPublic
	s := newSite(t, private, func(cfg *web.Config) {
		cfg.Policies = core.Policies{{Match: "github/acme/shop", Policy: public}, {Match: "**", Policy: storetest.Policy}}
	})
	badge := func(path string) (int, string) {
		answer := s.ask("/badge/"+path, nil)
		return answer.Code, answer.Body.String()
	}
	if code, _ := badge("github/acme/shop.svg"); code != http.StatusNotFound {
		t.Errorf("before any push it is answered %d", code)
	}
	scan := s.scanned(1, core.Finding{Tool: "gitleaks", RuleID: "r", File: "a.go", Line: 1, Severity: core.High, Title: "t", Message: "m"})
	code, drawn := badge("github/" + scan.ProjectName + ".svg")
	if code != http.StatusOK || !strings.Contains(drawn, "scanhook: 1 high") {
		t.Errorf("a project with a finding: %d\n%s", code, drawn)
	}
	for _, path := range []string{"github/acme/shop", "github/acme/other.svg", "gitlab/acme/shop.svg", "github/.svg", "github/acme/shop.svg/x"} {
		if code, drawn := badge(path); code != http.StatusNotFound || strings.Contains(drawn, "1 high") {
			t.Errorf("%s: %d\n%s", path, code, drawn)
		}
	}
}
