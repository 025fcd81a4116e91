package platforms_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// A webhook of a project with secrets of its own is given no other: its maintainers can lead it elsewhere and read it.
func TestWebhooksAreGivenTheirOwnSecrets(t *testing.T) {
	t.Parallel()
	type secrets struct{ webhook, signing string }
	for place, want := range map[core.HookTarget]secrets{
		{Scope: core.ScopeProject, Owner: "acme/web"}:  {"wide", ""},
		{Scope: core.ScopeProject, Owner: "acme/shop"}: {"both", ""},
		{Scope: core.ScopeProject, Owner: "other/x"}:   {"both", "sign"},
		{Scope: core.ScopeProject, Owner: "else/y"}:    {"wide", ""},
		{Scope: core.ScopeGroup, Owner: "acme/shop"}:   {"wide", ""},
		{Scope: core.ScopeApp}:                         {"wide", ""},
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
	_, _, err = keys.For(core.HookTarget{Scope: core.ScopeGroup, Owner: "acme"})
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

func TestVerificationNamesTheSecret(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]core.Verification{
		"wide": {Place: "webhook_secrets[1]"},
		"web":  {Place: "repositories[0].webhook_secrets[0]", Scope: "github/acme/web"},
		"both": {Place: "repositories[2].webhook_secrets[1]", Scope: "github/acme/*"},
	} {
		want.SecretID = platforms.SecretID(secret)
		if diff := cmp.Diff(want, verificationBy(t, secret).Verification); diff != "" {
			t.Errorf("%s (-want +got):\n%s", secret, diff)
		}
		if strings.Contains(want.SecretID, secret) || len(want.SecretID) != 8 {
			t.Errorf("%s: want 8 digits that are not the secret, got %s", secret, want.SecretID)
		}
	}
}

func TestSignedFindsTheSecret(t *testing.T) {
	t.Parallel()
	mac := hmac.New(sha256.New, []byte("acme"))
	mac.Write([]byte("a body"))
	verification, ok := keyring(t).Webhook.Signed([][]byte{nil, mac.Sum(nil)}, []byte("a "), []byte("body"))
	if !ok || !verification.Signed || verification.Place != "repositories[2].webhook_secrets[2]" {
		t.Errorf("want the secret acme, got %+v, %t", verification.Verification, ok)
	}
	if verification, ok := keyring(t).Webhook.Signed([][]byte{nil, []byte("x")}, []byte("a body")); ok {
		t.Errorf("want no secret, got %+v", verification.Verification)
	}
}

func TestVerificationAuthorizesItsProjectsOnly(t *testing.T) {
	t.Parallel()
	all := []string{"acme/web", "acme/shop", "acme/bare", "other/x", "else/y", "acme/WEB", "Acme/shop", "acme/web.git"}
	for secret, want := range map[string][]string{
		"wide": all, "web": {"acme/web", "acme/WEB"}, "acme": {"acme/shop", "acme/bare", "Acme/shop"},
		"both": {"acme/shop", "acme/bare", "other/x", "Acme/shop"},
	} {
		var got []string
		for _, project := range all {
			delivery, err := verificationBy(t, secret).Authorize(pushOf(project))
			switch {
			case err == nil && delivery.Verification.Place != "":
				got = append(got, project)
			case !errors.Is(err, core.ErrDenied) || !strings.Contains(err.Error(), project) ||
				strings.Contains(err.Error(), platforms.SecretID(secret)):
				t.Errorf("%s for %s: want core.ErrDenied with the project's name and no id of a secret, got %v", secret, project, err)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", secret, diff)
		}
	}
}

func TestVerificationChecksEachProject(t *testing.T) {
	t.Parallel()
	web, shop := core.Project{Name: "acme/web"}, core.Project{Name: "acme/shop"}
	for name, test := range map[string]struct {
		delivery core.Delivery
		want     bool
	}{
		"push":                    {core.Delivery{Project: "acme/web", Event: core.Push{Project: web}}, true},
		"pipeline":                {core.Delivery{Project: "acme/web", Event: core.Pipeline{Project: web}}, true},
		"push of another":         {core.Delivery{Project: "acme/web", Event: core.Push{Project: shop}}, false},
		"pipeline of another":     {core.Delivery{Project: "acme/web", Event: core.Pipeline{Project: shop}}, false},
		"push kept elsewhere":     {core.Delivery{Project: "acme/shop", Event: core.Push{Project: web}}, false},
		"push without delivery's": {core.Delivery{Event: core.Push{Project: web}}, false},
		"ignored, its own":        {core.Delivery{Project: "acme/web", Event: core.Ignored{}}, true},
		"ignored, about another":  {core.Delivery{Project: "acme/shop", Event: core.Ignored{}}, false},
		"ignored, about no one":   {core.Delivery{Event: core.Ignored{}}, true},
		"status":                  {core.Delivery{Project: "acme/web", Event: core.ObservedStatus{Project: web}}, true},
		"status of another":       {core.Delivery{Project: "acme/web", Event: core.ObservedStatus{Project: shop}}, false},
	} {
		if _, err := verificationBy(t, "web").Authorize(test.delivery); (err == nil) != test.want {
			t.Errorf("%s: want believed %t, got %v", name, test.want, err)
		}
	}
}

// A project's number is as good as its path for posting a status, and a maintainer can write any. So can who has
// overheard a plain token: that of a project whose own calls are signed.
func TestNumbersAreBelievedFromThePlatformOnly(t *testing.T) {
	t.Parallel()
	type call struct {
		secret string
		signed bool
	}
	for call, want := range map[call]string{{"wide", true}: "7", {"wide", false}: "", {"web", true}: "", {"web", false}: ""} {
		verification := verificationBy(t, call.secret)
		verification.Signed = call.signed
		project := core.Project{Name: "acme/web", Ref: "7"}
		pipeline := core.Delivery{Project: "acme/web", Event: core.Pipeline{Project: project}}
		for _, delivery := range []core.Delivery{pushOf("acme/web"), pipeline} {
			delivery, err := verification.Authorize(delivery)
			if got := delivery.Subject().Ref; err != nil || got != want {
				t.Errorf("%+v: want %q, got %q, %v", call, want, got, err)
			}
		}
	}
}

func TestOnlyProjectsWithSigningTokensMaySign(t *testing.T) {
	t.Parallel()
	for project, want := range map[string]bool{"other/x": true, "acme/web": false, "else/y": false} {
		delivery, err := verificationBy(t, "wide").Authorize(pushOf(project))
		if err != nil || delivery.Verification.MaySign != want {
			t.Errorf("%s: want %t, got %+v, %v", project, want, delivery.Verification, err)
		}
	}
}

func TestSecretIDs(t *testing.T) {
	t.Parallel()
	first, again, other := platforms.SecretID("a secret"), platforms.SecretID("a secret"), platforms.SecretID("b secret")
	if first != again || first == other {
		t.Errorf("want one id for each secret, got %s, %s and %s", first, again, other)
	}
}
