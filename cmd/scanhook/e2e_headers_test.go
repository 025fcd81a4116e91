package main

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
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

// Each statement of the threat model names the tests behind it, and there are such tests.
func TestThreatModelNamesItsTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, model, found := strings.Cut(string(text), "## Threat model\n")
	model, _, whole := strings.Cut(model, "\nNot defended:")
	if !found || !whole {
		t.Fatal("SECURITY.md has no threat model")
	}
	known, name := testNames(t), regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	statements := regexp.MustCompile(`\n(?:- |\n)`).Split(model, -1)
	for _, statement := range statements[2:] { // after the introduction
		named := name.FindAllStringSubmatch(statement, -1)
		admitted := strings.Contains(statement, "can bring any report") || !strings.Contains(statement, ".") ||
			strings.HasPrefix(statement, "**") && !strings.Contains(statement, "`") // a headline, or what is not defended
		if len(named) == 0 && !admitted {
			t.Errorf("no test is named behind: %s", statement)
		}
		for _, n := range named {
			if !known[n[1]] {
				t.Errorf("there is no %s, behind: %s", n[1], statement)
			}
		}
	}
}

// testNames are those of all tests of the repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names, function := map[string]bool{}, regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, found := range function.FindAllStringSubmatch(string(source), -1) {
			names[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
