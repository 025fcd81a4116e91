package github_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
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
			_, attempts := platform.Attempts(t.Context(), platforms.Hook{HookTarget: ofWidgets, ID: 3}, noon)
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
	mad := platforms.HookTarget{Scope: platforms.ScopeGroup, Owner: "../app"}
	_, err := newPlatform(t, github.Config{Token: theToken}).Hooks(t.Context(), mad, hookAddress)
	if !errors.Is(err, platforms.ErrRefused) {
		t.Errorf("place that is none: %v", err)
	}
}
