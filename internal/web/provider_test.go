package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/web"
)

// The provider's answers are not to be trusted further than its signatures.
func TestTheSecretStaysWithTheProvider(t *testing.T) {
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

// Whoever may choose what the provider calls him cannot pass for somebody else.
func TestNamesThatPeopleChooseAreNoProof(t *testing.T) {
	t.Parallel()
	p := newIDP(t, map[string]any{"sub": "root-1", "preferred_username": "ada@example.com"})
	s := newSite(t, private, company(p))
	s.ask(s.toProvider(p, "/hooks/"), nil)
	contains(t, s.page("/audit?actor="+url.QueryEscape("ada@example.com (root-1)")), "login")
}

// Many who wait for a provider that is away would keep all connections busy.
func TestProviderThatIsAwayIsAskedNowAndThen(t *testing.T) {
	t.Parallel()
	p := newIDP(t, nil)
	usual, asked, away := p.Config.Handler, 0, true
	p.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; away {
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
	if away = false; asked != 1 {
		t.Errorf("the provider was asked %d times at once", asked)
	}
	now = now.Add(5 * time.Second)
	s.toProvider(p, "/hooks/")
}
