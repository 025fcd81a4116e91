package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
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

const evil = "\"'></code></pre><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u2066\u200b\x1b[31m"

// harmless is what no page may have, whatever it shows of what others wrote.
func harmless(t *testing.T, page string) {
	t.Helper()
	lacks(t, page, "<script>alert", "<img", "\u202e", "\u2066", "\u200b", "\x1b", `href="javascript:`, `href="data:`)
}

// hostileScan has evil in every text that a push, a report, an AI and a person may choose.
func hostileScan(t *testing.T, s *site) core.Scan {
	t.Helper()
	delivery, push := storetest.PushOf(1, func(d *core.Delivery, p *core.Push) {
		p.Project.Name, p.Project.URL, p.Project.DefaultBranch, p.Ref = "acme/"+evil, "javascript:alert(1)", evil, "refs/heads/"+evil
		d.Project, d.Name = p.Project.Name, evil
	})
	receipt, err := s.store.AcceptPush(t.Context(), delivery, push)
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
	found, err := s.store.PageFindings(t.Context(), scan, store.FindingPage{State: core.New, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	found[0].Code, found[0].CodeLine = evil+"\n"+evil, 3
	if err := s.store.PutCode(t.Context(), core.Job{ID: found[0].JobID}, found); err != nil {
		t.Fatal(err)
	}
	_, err = s.store.PatchFinding(t.Context(), found[0].ID, core.Statement{
		Source: core.ByAI, RemediationPatch: core.SetTo("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+" + evil + "\n"), AIVerdict: core.SetTo("<script>alert(1)</script>\u202e"),
		AIReasoning: core.SetTo(evil), AIConfidence: core.SetTo(0.5), RedTeamSuccess: core.SetTo(true), Author: evil,
	})
	if err != nil {
		t.Fatal(err)
	}
	return scan
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
	if _, err := s.store.AcceptIgnored(t.Context(), ignored, evil); err != nil {
		t.Fatal(err)
	}
	claimed, err := s.store.ClaimStatuses(t.Context(), []string{"github"}, 10, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, status := range claimed {
		if err := s.store.SettleStatus(t.Context(), status, store.Settlement{Error: evil, RetryAfter: time.Hour}); err != nil {
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
func TestNoInputIsOurFailure(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := newSite(t, func(cfg *web.Config) { cfg.Store, cfg.Tokens[0].Role = e.Open(t, store.Config{}), "admin" })
		scan := s.scanned(1, finding())
		found, err := s.store.PageFindings(t.Context(), scan, store.FindingPage{State: core.New, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.login()
		params := map[string]string{
			":ref": scan.ReferenceID, ":id": fmt.Sprint(found[0].ID), ":platform": "github", "*project": "acme/shop",
			":sha": storetest.SHA(1), ":file": "style.css",
		}
		unstorable := []string{"%00", "a%00b", "%ff", "%c3", "%ed%a0%80"}
		odd := []string{"-1", "0", "9223372036854775807", "9223372036854775808", "2147483648", "1e400", "%25", "..%2f..", "%zz", "a;b"}
		fields := []string{
			"page", "before", "after", "state", "project", "platform", "branch", "status", "verdict", "actor", "action", "outcome",
			"event", "failing", "sha", "said", "of", "back", "comments", "expected", "token", "q", "sort", "from", "to",
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

// with is a route's address where a parameter is the text, and all others are right.
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
