package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Whoever tries tokens is slowed down, and nobody else: a right token is taken from the same address at any time.
func TestWrongTokensAreSlowedDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 10 {
		if got := b.call(t, "wrong", "GET", "/api/v1/scans", "", nil); got.Code != http.StatusUnauthorized {
			t.Fatalf("a wrong token: %d", got.Code)
		}
	}
	for range 20 {
		if got := b.call(t, "", "GET", "/api/v1/scans", "", nil); got.Code != http.StatusUnauthorized {
			t.Errorf("no token, which is no guess: %d", got.Code)
		}
	}
	start := time.Now()
	got := b.call(t, "wrong", "PUT", "/api/v1/scans/x/results/y", "", nil)
	if took := time.Since(start); got.Code != http.StatusTooManyRequests || got.Header().Get("Retry-After") != "6" || took < time.Second {
		t.Errorf("one more wrong token: %d, Retry-After %s, after %s", got.Code, got.Header().Get("Retry-After"), took)
	}
	if text := detail(t, got); !strings.Contains(text, "like many before it") {
		t.Errorf("detail: %s", text)
	}
	if got := b.call(t, "viewer", "GET", "/api/v1/scans", "", nil); got.Code != http.StatusOK {
		t.Errorf("a right token: %d", got.Code)
	}
}

// What an operation answers is in its description.
func TestDescriptionNamesRefusals(t *testing.T) {
	t.Parallel()
	var description struct {
		Paths map[string]map[string]struct{ Responses map[string]any }
	}
	answer := setup(t).call(t, "", "GET", "/openapi.json", "", &description)
	if answer.Header().Get("X-Content-Type-Options") != "nosniff" || answer.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers of /openapi.json: %v", answer.Header())
	}
	for path, operations := range description.Paths {
		for method, operation := range operations {
			for _, status := range []string{"401", "403", "404", "429", "503"} {
				if operation.Responses[status] == nil && (status != "404" || strings.Contains(path, "{")) {
					t.Errorf("%s %s: %s is not described", method, path, status)
				}
			}
		}
	}
}
