package ci_test

import (
	"errors"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/auth/ci"
	"github.com/scanhook/scanhook/internal/auth/ci/citest"
)

func TestNobodysTokensAreTaken(t *testing.T) {
	t.Parallel()
	if ci.New(ci.Config{Audience: audience}) != nil {
		t.Error("a verifier without platforms")
	}
	for sent, want := range map[string]bool{"eyJh.eyJi.c": true, "eyJh.eyJi": false, "": false, "a-token-of-the-configuration": false} {
		if ci.IsToken(sent) != want {
			t.Errorf("%q: %t", sent, !want)
		}
	}
}

// What is refused by its claims alone; the rest is tried through the API.
func TestVerifyLooksAtTheLifeOfTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, test := range map[string]struct {
		claims citest.Claims
		good   bool
	}{
		"as it is":                 {nil, true},
		"a slash at the end":       {citest.Claims{"aud": []string{audience + "/"}}, true},
		"clocks a minute apart":    {citest.Claims{"iat": b.now().Add(time.Minute).Unix()}, true},
		"a long job":               {citest.Claims{"iat": b.now().Add(-170 * time.Minute).Unix()}, true},
		"a job that is too long":   {citest.Claims{"iat": b.now().Add(-190 * time.Minute).Unix()}, false},
		"an end that is no number": {citest.Claims{"exp": "never"}, false},
		"an id that is no text":    {citest.Claims{"jti": []string{"a"}}, false},
	} {
		_, err := b.Verify(t.Context(), b.issuer.Sign(t, b.claims().With(test.claims)))
		if test.good != (err == nil) || err != nil && !errors.Is(err, core.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token is good for one commit, however often it is sent.
func TestUseBindsATokenToACommit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var tokens []ci.Verified
	for range 2 {
		list, err := b.Verify(t.Context(), b.issuer.Sign(t, b.claims()))
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, list...)
	}
	for _, use := range []struct {
		token  int
		commit string
		good   bool
	}{{0, "a", true}, {0, "a", true}, {1, "b", true}, {0, "b", false}, {1, "b", true}, {0, "a", true}} {
		if err := b.Use(tokens[use.token], use.commit); use.good != (err == nil) || err != nil && !errors.Is(err, core.ErrForbidden) {
			t.Errorf("%+v: %v", use, err)
		}
	}
}
