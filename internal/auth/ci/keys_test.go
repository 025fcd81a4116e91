package ci_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/auth/ci"
	"github.com/scanhook/scanhook/internal/auth/ci/citest"
)

const audience = "https://scanhook.example"

// bench is a verifier of one issuer's tokens, with a clock that moves when the test says so.
type bench struct {
	*ci.Verifier
	issuer *citest.Issuer
	start  time.Time
	passed atomic.Int64
	made   int
}

func newBench(t *testing.T) *bench {
	b := &bench{issuer: citest.NewIssuer(t), start: time.Now()}
	b.Verifier = ci.New(ci.Config{
		Audience: audience, Client: &http.Client{Timeout: 10 * time.Second}, Log: slog.New(slog.DiscardHandler), Now: b.now,
		Platforms: []ci.Platform{{Name: "forge", Issuer: b.issuer.URL, Read: func([]byte) (access.Job, error) { return access.Job{}, nil }}},
	})
	return b
}

func (b *bench) now() time.Time { return b.start.Add(time.Duration(b.passed.Load())) }

func (b *bench) pass(time time.Duration) { b.passed.Add(int64(time)) }

// claims are those of a token that is good now.
func (b *bench) claims() citest.Claims {
	now := b.now()
	b.made++
	return b.issuer.GitHub(audience, "acme/shop", "42", strings.Repeat("a", 40)).With(citest.Claims{
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"jti": fmt.Sprint(b.made),
	})
}

// try verifies a new token of the issuer.
func (b *bench) try(t *testing.T) error {
	t.Helper()
	_, err := b.Verify(t.Context(), b.issuer.Sign(t, b.claims()))
	return err
}

func TestKeysAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 20 {
		if err := b.try(t); err != nil {
			t.Fatal(err)
		}
	}
	if asked := b.issuer.Asked(); asked != 2 {
		t.Errorf("the issuer was asked %d times for its description and its keys, want 2", asked)
	}
	// A withdrawn key is good for an hour at most; a new one at once, but for the pause.
	old, before := b.issuer.Key(), b.now()
	b.issuer.Rotate(t)
	if err := b.try(t); !errors.Is(err, core.ErrDenied) {
		t.Errorf("a new key a moment after the issuer was asked: %v", err)
	}
	b.pass(11 * time.Second)
	if err := b.try(t); err != nil {
		t.Errorf("a new key: %v", err)
	}
	withdrawn := citest.SignWith(t, jose.RS256, old, b.claims())
	if _, err := b.Verify(t.Context(), withdrawn); !errors.Is(err, core.ErrDenied) {
		t.Errorf("a withdrawn key %s later: %v", b.now().Sub(before), err)
	}
}

// Keys that are an hour old are asked for again, while nobody waits.
func TestKeysAreRenewed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.try(t); err != nil {
		t.Fatal(err)
	}
	old := b.issuer.Key()
	b.issuer.Rotate(t)
	b.pass(2 * time.Hour)
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, err := b.Verify(t.Context(), citest.SignWith(t, jose.RS256, old, b.claims()))
		if errors.Is(err, core.ErrDenied) {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("a withdrawn key is still good: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := b.try(t); err != nil {
		t.Error(err)
	}
}

func TestKeysOutliveAnOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.issuer.SetDown(true)
	if err := b.try(t); !errors.Is(err, ci.ErrNoKeys) || !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("an issuer that never answered: %v", err)
	}
	b.issuer.SetDown(false)
	b.pass(31 * time.Second)
	if err := b.try(t); err != nil {
		t.Fatal(err)
	}
	b.issuer.SetDown(true)
	for range 23 {
		b.pass(time.Hour)
		if err := b.try(t); err != nil {
			t.Fatalf("an outage with keys that are known: %v", err)
		}
	}
	b.pass(2 * time.Hour)
	if err := b.try(t); !errors.Is(err, ci.ErrNoKeys) {
		t.Errorf("after a day nobody knows whether the keys were withdrawn: %v", err)
	}
	b.issuer.SetDown(false)
	b.pass(time.Minute)
	if err := b.try(t); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

// Forged tokens must not have the issuer called once for each.
func TestForgedTokensAskTheIssuerOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.try(t); err != nil {
		t.Fatal(err)
	}
	b.pass(time.Minute)
	for n := range 10 {
		key := citest.NewKey(t, fmt.Sprintf("mine-%d", n%5))
		if n%5 == 0 {
			key.KeyID = b.issuer.Key().KeyID
		}
		if _, err := b.Verify(t.Context(), citest.SignWith(t, jose.RS256, key, b.claims())); !errors.Is(err, core.ErrDenied) {
			t.Errorf("a forged token: %v", err)
		}
	}
	if asked := b.issuer.Asked(); asked != 4 {
		t.Errorf("the issuer was asked %d times, want 4: twice for its description and its keys", asked)
	}
}
