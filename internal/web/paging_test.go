package web_test

import (
	"bufio"
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store/storetest"
)

func many(n int) []core.Finding {
	findings := make([]core.Finding, n)
	for i := range findings {
		findings[i] = finding(func(f *core.Finding) {
			f.Line, f.Snippet, f.Title = i+1, fmt.Sprintf("KEY%d=REDACTED", i), fmt.Sprintf("Key %d", i)
		})
	}
	return findings
}

// A scan of 5,000 findings has a page of 50 like a scan of 50; the log tells how long both take.
func TestManyFindingsArePaged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	small, large := s.scanned(1, many(50)...), s.scanned(2, many(5000)...)
	page := s.page("/scans/" + large.ReferenceID)
	if n := strings.Count(page, `<article class="finding`); n != 50 {
		t.Errorf("%d findings on the first page, want 50", n)
	}
	contains(t, page, "Page 1 of 99", `href="?show=new&amp;page=2"`, "Known findings")
	last := s.page("/scans/" + large.ReferenceID + "?page=99999999")
	contains(t, last, "Page 99 of 99", "Key 4999", `rel="prev"`)
	t.Logf("50 findings: %s, 5,000 findings: %s", s.quickest("/scans/"+small.ReferenceID), s.quickest("/scans/"+large.ReferenceID))
	if few, most := len(s.page("/scans/"+small.ReferenceID)), len(page); most > 2*few {
		t.Errorf("the page of 5,000 findings has %d bytes, that of 50 has %d", most, few)
	}
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

func TestScansAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	contains(t, s.page("/"), "No scans yet", "/webhooks/github")
	for n := range 60 {
		delivery, push := storetest.PushOf(n+1, storetest.OnBranch(fmt.Sprintf("b%d", n%2)))
		if _, err := s.store.AcceptPush(t.Context(), delivery, push); err != nil {
			t.Fatal(err)
		}
	}
	first := s.page("/")
	if n := strings.Count(first, "/hooks/scans/"); n != 50 || strings.Contains(first, `rel="prev"`) {
		t.Errorf("%d scans on the first page", n)
	}
	second := s.page("/" + link(t, first, "next"))
	if n := strings.Count(second, "/hooks/scans/"); n != 10 || strings.Contains(second, `rel="next"`) {
		t.Errorf("%d scans on the second page", n)
	}
	back := s.page("/" + link(t, second, "prev"))
	if n := strings.Count(back, "/hooks/scans/"); n != 50 || link(t, back, "next") != link(t, first, "next") {
		t.Errorf("the page before the second is not the first one:\n%s", back)
	}
	middle := s.page("/?after=5&platform=github")
	if link(t, middle, "prev") != "?platform=github&after=55" || link(t, middle, "next") != "?platform=github&before=6" {
		t.Errorf("a page in the middle:\n%s", middle)
	}
	contains(t, s.page("/?before=1"), "No scan matches", `href="?">Newest`)
	if n := strings.Count(s.page("/?branch=b1&platform=github&project=acme/shop&status=pending"), "/hooks/scans/"); n != 30 {
		t.Errorf("%d scans of one branch", n)
	}
	contains(t, s.page("/?verdict=fail&status=nonsense&before=x"), "No scan matches", "Show all")
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

// The stream of a running scan tells of its end, and ends itself when the server stops.
func TestEventsTellOfChanges(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	cfg := web.Config{Store: s.store, Public: true, PublicURL: "http://scanhook.example", Log: discard,
		Platforms: map[string]web.Platform{"github": {Posts: true}}}
	pages, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(routerOf(pages))
	defer server.Close()
	scan := s.scanned(1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/scans/"+scan.ReferenceID+"/events?version=old", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	versions := map[string]bool{}
	for lines.Scan() {
		if version, ok := strings.CutPrefix(lines.Text(), "data: "); ok && !versions[version] {
			if versions[version] = true; len(versions) == 1 {
				if _, err := s.store.PutReport(t.Context(), scan.ReferenceID, "gitleaks", core.Report{}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			pages.Stop()
		}
	}
	if len(versions) != 2 || ctx.Err() != nil || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("versions %v, %v, %v", versions, ctx.Err(), answer.Header)
	}
}

// One who opens very many live pages leaves room for the others.
func TestEventsAreBoundedForEachPerson(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pages, err := web.New(web.Config{Store: s.store, Public: true, PublicURL: "http://scanhook.example", Log: discard,
		Tokens: []web.Token{{Name: "ada", Token: token, Role: "viewer"}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(httpx.AnswerHead(routerOf(pages)))
	t.Cleanup(server.Close)
	t.Cleanup(pages.Stop)
	s.router = routerOf(pages)
	s.login()
	path := server.URL + "/scans/" + s.scanned(1).ReferenceID + "/events"
	open := func(method, cookie string) int {
		request, err := http.NewRequestWithContext(t.Context(), method, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.AddCookie(&http.Cookie{Name: "scanhook_session", Value: cookie})
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = answer.Body.Close() })
		return answer.StatusCode
	}
	for i := range 52 {
		if got := open(http.MethodGet, ""); (got == http.StatusNoContent) != (i >= 50) {
			t.Errorf("stream %d: %d", i+1, got)
		}
	}
	if got := open(http.MethodGet, s.cookie); got != http.StatusOK {
		t.Errorf("another person's: %d", got)
	}
	if got := open(http.MethodHead, ""); got != http.StatusOK {
		t.Errorf("HEAD, which ends at once: %d", got)
	}
}
