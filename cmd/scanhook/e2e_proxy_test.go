package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// servedBehindProxies is Scanhook behind proxies on loopback.
func servedBehindProxies(t *testing.T) (*sandbox, *app, string) {
	t.Helper()
	w, _ := setup(t, sandboxConfig{kind: "github"})
	w.config.Server.TrustedProxies = []string{"127.0.0.0/8"}
	app, err := newApp(t.Context(), w.config, w.log)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(app.handler)
	t.Cleanup(func() { server.Close(); _ = app.close() })
	return w, app, server.URL
}

// The audit names the client that the proxy names, and those who guess behind it lock nobody out.
func TestLoginBehindAProxy(t *testing.T) {
	t.Parallel()
	w, app, address := servedBehindProxies(t)
	login := func(client, token string) int {
		form := strings.NewReader(url.Values{"token": {token}}.Encode())
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/login", form)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("X-Forwarded-For", "203.0.113.1, "+client)
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	for i := range 11 {
		if got := login("198.51.100.7", "a-wrong-token"); (got == http.StatusTooManyRequests) != (i == 10) {
			t.Errorf("wrong token %d: %d", i+1, got)
		}
	}
	if got := login("198.51.100.8", "a-wrong-token"); got != http.StatusUnauthorized {
		t.Errorf("another client's first wrong token: %d", got)
	}
	if got := login("198.51.100.7", w.apiToken); got != http.StatusSeeOther {
		t.Errorf("a right token of the same address: %d", got)
	}
	events, err := app.store.ListAudit(t.Context(), store.AuditFilter{Limit: 10})
	if err != nil || len(events) != 3 || events[0].Action != core.AuditLogin || events[0].Subject != "from 198.51.100.7" ||
		events[1].Subject != "from 198.51.100.8" || events[2].Action != core.AuditLoginRefused || events[2].Subject != "from 198.51.100.7" {
		t.Errorf("audit: %+v, %v", events, err)
	}
}

// Whatever answers GET answers HEAD in the same way, without a body.
func TestHeadOfEverything(t *testing.T) {
	t.Parallel()
	w, _, address := servedBehindProxies(t)
	for _, path := range []string{
		"/healthz", "/readyz", "/readyz?verbose", "/metrics", "/", "/scans", "/projects", "/deliveries", "/explain", "/login",
		"/static/style.css", "/docs", "/openapi.json", "/api/v1/scans", "/api/v1/scans/x", "/scans/x/events", "/webhooks/github", "/x",
	} {
		codes := map[string]int{}
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			request, err := http.NewRequestWithContext(t.Context(), method, address+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+w.apiToken)
			answer, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			codes[method] = answer.StatusCode
			if answer.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s %s: %v", method, path, answer.Header)
			}
		}
		if codes[http.MethodHead] != codes[http.MethodGet] {
			t.Errorf("%s: %v", path, codes)
		}
	}
}
