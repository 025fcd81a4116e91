package github_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestHookRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		want   error
	}{
		"hidden": {404, platforms.ErrNoHookAccess}, "forbidden": {403, platforms.ErrNoHookAccess},
		"no such call": {405, platforms.ErrNoHookAccess}, "limited": {429, new(platforms.RateLimited)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := describe(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(`{"message":"no ` + theToken + `"}`))
			})
			platform := newPlatform(t, github.Config{URL: server.URL + "/sub", Token: theToken})
			_, err := platform.Hooks(t.Context(), ofWidgets, hookAddress)
			_, attempts := platform.Attempts(t.Context(), platforms.Hook{HookPlace: ofWidgets, ID: 3}, noon)
			for _, err := range []error{err, attempts} {
				limited := new(platforms.RateLimited)
				matches := errors.Is(err, test.want) || errors.As(test.want, &limited) && errors.As(err, &limited)
				if !matches || strings.Contains(err.Error(), theToken) {
					t.Errorf("%v, want %v", err, test.want)
				}
			}
		})
	}
	silent := newPlatform(t, github.Config{})
	if _, err := silent.Hooks(t.Context(), ofWidgets, hookAddress); !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
	mad := platforms.HookPlace{Scope: platforms.ScopeGroup, Owner: "../app"}
	_, err := newPlatform(t, github.Config{Token: theToken}).Hooks(t.Context(), mad, hookAddress)
	if !errors.Is(err, platforms.ErrRefused) {
		t.Errorf("place that is none: %v", err)
	}
}

// Gitea wants to be told the kind of webhook, shows no secret, and old ones have no workflow runs.
func TestHooksOnGitea(t *testing.T) {
	t.Parallel()
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			text := make([]byte, 4096)
			n, _ := r.Body.Read(text)
			body = string(text[:n])
			w.WriteHeader(http.StatusCreated)
		}
		_, _ = w.Write([]byte(`[{"id":1,"type":"gitea","active":true,"events":["push"],
			"config":{"content_type":"json","url":"` + hookAddress + `"}}]`))
	}))
	defer server.Close()
	platform := newPlatform(t, github.Config{
		URL: server.URL, APIURL: server.URL + "/api/v1", Token: theToken, WebhookSecrets: []string{platformtest.Secret},
	})
	if hook := hooksOf(t, platform, ofWidgets)[0]; hook.Broken || len(hook.Faults) > 0 {
		t.Errorf("hook: %+v", hook)
	}
	if err := platform.AddHook(t.Context(), "acme/widgets", hookAddress); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(body, `"type":"gitea"`) || !strings.Contains(body, platformtest.Secret) {
		t.Errorf("sent %s", body)
	}
}
