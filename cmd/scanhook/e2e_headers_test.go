package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a browser may do with an answer is the same wherever it comes from: a handler, the router, or nothing at all.
func TestEveryRouteAnswersWithSecurityHeaders(t *testing.T) {
	t.Parallel()
	admin := caller{role: "admin", scope: "all"}
	w := newWorld(t, []caller{admin})
	cookie, of := w.login(admin), w.seed(own)
	tried := map[string]string{"GET /nothing": "/nothing", "GET /scans/": "/scans/", "DELETE /docs": "/docs", "GET /api/v1/nothing": "/api/v1/nothing"}
	of["file"], of["code"] = "style.css", "x"
	for _, found := range w.app.router.Routes() {
		r := route{method: found.Method, path: found.Path}
		tried[r.String()] = w.address(r, of)
	}
	for name, address := range tried {
		method, _, _ := strings.Cut(name, " ")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if strings.HasSuffix(name, "/events") {
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		}
		request := httptest.NewRequestWithContext(ctx, method, address, http.NoBody)
		if !strings.Contains(name, "/logout") {
			request.Header.Set("Cookie", cookie)
			request.Header.Set("Authorization", "Bearer "+admin.token())
		}
		answer := httptest.NewRecorder()
		w.app.handler.ServeHTTP(answer, request)
		cancel()
		w.protects(name, answer.Result().Header)
	}
	t.Logf("%d routes", len(tried))
}

// cacheable are the only answers that browsers and proxies may keep: they are the same for everybody.
var cacheable = []string{"GET /static/:file", "GET /badge/:platform/*project"}

func (w *world) protects(name string, header http.Header) {
	w.Helper()
	policy := header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src '", "base-uri 'none'", "form-action '", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			w.Errorf("%s: Content-Security-Policy lacks %s: %q", name, part, policy)
		}
	}
	if strings.Contains(strings.ReplaceAll(policy, "style-src 'unsafe-inline'", ""), "unsafe") || strings.Contains(policy, "unsafe") && name != "GET /docs" { // its styles are in the page
		w.Errorf("%s: Content-Security-Policy is %q", name, policy)
	}
	for key, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
		"Strict-Transport-Security": "max-age=31536000",
	} {
		if got := header.Get(key); got != want {
			w.Errorf("%s: %s is %q, want %q", name, key, got, want)
		}
	}
	if kept := header.Get("Cache-Control"); kept != "no-store" && !slices.Contains(cacheable, name) {
		w.Errorf("%s: Cache-Control is %q", name, kept)
	}
	if header.Get("X-Request-Id") == "" && name != "GET /scans/" { // the router leads to /scans by itself
		w.Errorf("%s: it has no request id", name)
	}
}
