package web_test

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/auth"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/internal/web"
)

// The event stream of a running scan announces its end, and ends when the server stops.
func TestEventsAnnounceChanges(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	cfg := web.Config{Store: s.store, Public: true, PublicURL: "http://scanhook.example", Log: discard,
		Platforms: web.Platforms{"github": {Posts: true}}}
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

// An open page learns nothing more when its session has ended.
func TestEventsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, private)
	s.login()
	server := httptest.NewServer(s.router)
	t.Cleanup(server.Close)
	t.Cleanup(s.pages.Stop)
	scan := s.scanned(1)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/scans/"+scan.ReferenceID+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.AddCookie(&http.Cookie{Name: "scanhook_session", Value: s.cookie})
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	if !lines.Scan() || answer.StatusCode != http.StatusOK {
		t.Fatalf("no stream: %d", answer.StatusCode)
	}
	shown := lines.Text()
	if err := s.store.EndSessions(t.Context(), "token ada", "root"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.PutReport(t.Context(), scan.ReferenceID, "gitleaks", core.Report{}); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data: ") && lines.Text() != shown {
			t.Errorf("it is told %q", lines.Text())
		}
	}
	if lines.Err() != nil {
		t.Error(lines.Err())
	}
}

// A person who opens very many pages cannot use up the streams of others.
func TestEventsAreBoundedForEachPerson(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	pages, err := web.New(web.Config{Store: s.store, Public: true, PublicURL: "http://scanhook.example", Log: discard,
		Tokens: auth.Tokens{{Name: "ada", Token: token, Grant: access.Grant{Role: access.Triager}}}})
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
