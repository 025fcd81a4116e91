package web_test

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

func TestAlertPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding(), finding(func(f *core.Finding) { f.RuleID, f.Title, f.Snippet = "other", evil, "OTHER" }))
	contains(t, s.page("/scans/"+scan.ReferenceID), `href="/hooks/alerts/github/acme/shop/1"`, ">shop#1</a>", "shop#2")
	list := s.page("/alerts?platform=github&project=acme/shop")
	contains(t, list, "shop#1", "shop#2", `href="/hooks/alerts/github/acme/shop/2"`)
	lacks(t, list, "<script>alert")
	page := s.page("/alerts/github/acme/shop/2")
	contains(t, page, "shop#2", "refs/heads/main", "/hooks/scans/"+scan.ReferenceID, "Nobody has judged it.", "commit/"+scan.CommitSHA, "of <bdi>main</bdi>", `<mark>OTHER</mark>`, "Log in to judge")
	lacks(t, page, "<script>alert")
	findings, err := s.store.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.RecordFeedback(t.Context(), core.Feedback{
		FindingID: findings[0].ID, UserVerdict: core.FalsePositive, Author: "ada", Comments: "a test key",
	}); err != nil {
		t.Fatal(err)
	}
	number := findings[0].AlertNumber
	judged := s.page("/alerts/github/acme/shop/" + string(rune('0'+number)))
	contains(t, judged, "dismissed", "false positive", "a test key", "No branch.", "/hooks/findings/")
	contains(t, s.page("/alerts?platform=github&project=acme/shop&state=dismissed"), "shop#"+string(rune('0'+number)))
	contains(t, s.page("/alerts?platform=github&project=acme/shop&state=fixed"), "No alert here")
	s.login()
	if answer := s.ask("/comments/github/acme/shop/1", url.Values{"comments": {"see the ticket\r\nof ops"}}); answer.Code != http.StatusSeeOther ||
		answer.Header().Get("Location") != "/hooks/alerts/github/acme/shop/1#history" {
		t.Errorf("comment: %d %s", answer.Code, answer.Header().Get("Location"))
	}
	contains(t, s.page("/alerts/github/acme/shop/1"), "commented", "see the ticket\nof ops")
	for path, want := range map[string]int{"/comments/github/acme/shop/1": http.StatusBadRequest, "/comments/github/acme/shop/77": http.StatusNotFound} {
		if answer := s.ask(path, url.Values{"comments": {" "}}); answer.Code != want {
			t.Errorf("%s: %d, want %d", path, answer.Code, want)
		}
	}
	for _, path := range []string{"/alerts/github/acme/shop/9", "/alerts/github/acme/shop/x", "/alerts/github/acme/none/1"} {
		if answer := s.ask(path, nil); answer.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, answer.Code)
		}
	}
}

func TestAlertsByFacets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.scanned(1, finding(), finding(func(f *core.Finding) {
		f.RuleID, f.Title, f.Message, f.Snippet, f.File, f.Severity = "other", "Old openssl", "openssl 1.1 is CVE-2024-3094", "OTHER", "src/go.mod", core.Critical
	}))
	page := s.page("/alerts")
	contains(t, page, "shop#1", "shop#2", "Critical</bdi></a> <span>1</span>", "aws-key</bdi>", "last 24 hours", "Log in to judge", "acme/shop</bdi></a> <span>2</span>")
	for query, want := range map[string][]string{
		"?severity=critical": {"shop#2"}, "?rule=aws-key": {"shop#1"}, "?q=OPENSSL": {"shop#2"}, "?q=cve-2024-3094": {"shop#2"}, "?q=100%25": nil,
		"?state=branch": nil, "?project=acme/shop&platform=github&path=src/": {"shop#2"}, "?project=acme/shop&platform=github&path=a/b.env": {"shop#1"},
		"?age=day&sort=oldest": {"shop#1", "shop#2"}, "?age=older": nil, "?tool=gitleaks": {"shop#1", "shop#2"}, "?kev=yes": nil, "?severity=odd&age=odd": {"shop#1", "shop#2"},
	} {
		page := s.page("/alerts" + query)
		contains(t, page, want...)
		for _, name := range []string{"shop#1", "shop#2"} {
			if !slices.Contains(want, name) {
				lacks(t, page, name)
			}
		}
	}
	contains(t, s.page("/alerts?group=rule"), `rule=other"`, `rule=aws-key"`)
	contains(t, s.page("/alerts?group=file"), "path=src%2Fgo.mod", "path=a%2Fb.env")
	contains(t, s.page("/alerts?group=project&q=key"), "project=acme%2Fshop")
	if answer := s.ask("/alerts?after=x", nil); answer.Code != http.StatusBadRequest {
		t.Errorf("after no alert: %d", answer.Code)
	}
}

func TestDecisionsOnManyAlerts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding(), finding(func(f *core.Finding) { f.RuleID, f.Snippet = "other", "OTHER" }))
	s.login()
	contains(t, s.page("/alerts"), `name="alert"`, "All 2 that match")
	send := func(path string, form url.Values) string {
		t.Helper()
		answer := s.ask(path, form)
		if answer.Code != http.StatusSeeOther {
			t.Fatalf("%s: %d %s", path, answer.Code, answer.Body)
		}
		return s.page(strings.TrimPrefix(answer.Header().Get("Location"), "/hooks"))
	}
	back := url.Values{"back": {"/hooks/alerts?rule=aws-key"}}
	decide := func(more url.Values) url.Values {
		form := url.Values{"verdict": {"FP"}, "comments": {"fixtures"}}
		maps.Copy(form, back)
		maps.Copy(form, more)
		return form
	}
	page := send("/alerts/decide", decide(url.Values{"all": {"yes"}, "filter": {"rule=aws-key"}}))
	contains(t, page, "You marked 1 alert as false positive.", "Undo all of it", "No alert here")
	contains(t, s.page("/alerts"), "shop#2")
	lacks(t, s.page("/alerts"), "shop#1")
	contains(t, s.page("/alerts?state=dismissed"), "shop#1")
	batch := regexp.MustCompile(`name="batch" value="(\w+)"`).FindStringSubmatch(page)[1]
	page = send("/alerts/undo", url.Values{"batch": {batch}, "back": back["back"]})
	contains(t, page, "You withdrew the decision on 1 alert.", "shop#1")
	findings, err := s.store.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	selected := url.Values{"alert": {strconv.FormatInt(findings[0].AlertID, 10), strconv.FormatInt(findings[1].AlertID, 10)}, "verdict": {"TP"}}
	contains(t, send("/alerts/decide", decide(selected)), "You marked 2 alerts as real.")
	// Nobody is led to go on with what somebody else's link names.
	lacks(t, s.page("/alerts?done=FP&n=3&left=9&batch=guessed&filter=state%3Dopen"), "You marked")
	for name, form := range map[string]url.Values{
		"none": decide(nil), "no number": decide(url.Values{"alert": {"x"}}), "no verdict": decide(url.Values{"alert": {"1"}, "verdict": {"x"}}),
	} {
		if answer := s.ask("/alerts/decide", form); answer.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
	if answer := s.ask("/alerts/decide", decide(url.Values{"batch": {"guessed"}, "alert": {"1"}})); answer.Code != http.StatusConflict {
		t.Errorf("a guessed batch: %d", answer.Code)
	}
}
