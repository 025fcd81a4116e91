package core_test

import (
	"testing"

	"github.com/scanhook/scanhook/core"
)

func TestScopesSpeakForTheFirstMatch(t *testing.T) {
	t.Parallel()
	scopes := core.Scopes{"github/acme/web", "github/acme/**", "{github,gitlab}/shared/*", "github/[l-m]*/open"}
	for project, want := range map[string]int{
		"acme/web": 0, "acme/shop": 1, "acme/a/b": 1, "shared/x": 2, "lower/open": 3, "other/x": -1, "": -1,
		"acme/Web": 0, "ACME/web": 0, "acme/web.git": -1, "acme/WEB.GIT": -1, "ACME/shop": 1, "Shared/x": 2,
		"acme/web/": 1, "acme/website": 1, "acme": 1, "acme/shop.git": 1,
	} {
		if got := scopes.Of("github", project); got != want {
			t.Errorf("%q: want scope %d, got %d", project, want, got)
		}
	}
	if got := scopes.Of("gitlab", "acme/web"); got != -1 {
		t.Errorf("another platform: want no scope, got %d", got)
	}
}

func TestSecretName(t *testing.T) {
	t.Parallel()
	proof := core.Verification{Place: "webhook_secrets[1]", SecretID: "0a1b2c3d"}
	if got, want := proof.Secret(), "webhook_secrets[1] (0a1b2c3d)"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	if got := (core.Verification{}).Secret(); got != "" {
		t.Errorf("no proof: want no name, got %q", got)
	}
}
