package platforms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/platforms"
)

// A webhook of a project with secrets of its own is given no other: its maintainers can lead it elsewhere and read it.
func TestWebhooksAreGivenTheirOwnSecrets(t *testing.T) {
	t.Parallel()
	type secrets struct{ webhook, signing string }
	for place, want := range map[platforms.HookPlace]secrets{
		{Scope: platforms.ScopeProject, Owner: "acme/web"}:  {"wide", ""},
		{Scope: platforms.ScopeProject, Owner: "acme/shop"}: {"both", ""},
		{Scope: platforms.ScopeProject, Owner: "other/x"}:   {"both", "sign"},
		{Scope: platforms.ScopeProject, Owner: "else/y"}:    {"wide", ""},
		{Scope: platforms.ScopeGroup, Owner: "acme/shop"}:   {"wide", ""},
		{Scope: platforms.ScopeApp}:                         {"wide", ""},
	} {
		webhook, signing, err := keyring(t).For(place)
		if got := (secrets{webhook, signing}); got != want || err != nil {
			t.Errorf("%s: want %q, got %q, %v", place, want, got, err)
		}
	}
}

func TestWebhooksAreNotMadeWithoutSecret(t *testing.T) {
	t.Parallel()
	scope := platforms.Scope{Match: "github/acme/*", WebhookSecrets: []string{"x"}}
	keys, err := platforms.NewKeyring("github", []platforms.Scope{scope}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = keys.For(platforms.HookPlace{Scope: platforms.ScopeGroup, Owner: "acme"})
	if !errors.Is(err, platforms.ErrRefused) {
		t.Errorf("want platforms.ErrRefused, got %v", err)
	}
}

func TestKeyringNamesTheBrokenToken(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	_, err := platforms.NewKeyring("gitlab", []platforms.Scope{
		{Place: "repositories[3]", Match: "gitlab/*", SigningTokens: []string{"", "secret-token"}},
	}, func(string) ([]byte, error) { return nil, broken })
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "repositories[3].signing_tokens[1]") {
		t.Errorf("want the place of the token, got %v", err)
	}
	if strings.Contains(err.Error(), "secret-token") {
		t.Errorf("the error repeats the token: %v", err)
	}
}
