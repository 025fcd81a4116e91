package github_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

// TestPublishedSignatures holds us to the vectors of others, but for those that prove themselves with an older hash or
// in the older header only: they are valid elsewhere and not here.
func TestPublishedSignatures(t *testing.T) {
	t.Parallel()
	for _, vector := range platformtest.Vectors(t, "hmac-hex") {
		t.Run(vector.ID, func(t *testing.T) {
			t.Parallel()
			header := make(http.Header)
			for name, value := range vector.Headers {
				header.Set(name, value)
			}
			platform := newPlatform(t, platforms.Config{WebhookSecrets: []string{"rotated", vector.Secret}})
			_, err := platform.Verify(header, []byte(vector.Body))
			want := vector.Valid && strings.HasPrefix(header.Get("X-Hub-Signature-256"), "sha256=")
			if got := err == nil; got != want {
				t.Errorf("want valid %t, got %v", want, err)
			}
		})
	}
}

func TestVerifyRefusesWeakSignatures(t *testing.T) {
	t.Parallel()
	signed := platformtest.Call{Header: make(http.Header), Body: "{}"}
	sign(signed, "secret")
	right := signed.Header.Get("X-Hub-Signature-256")
	tests := map[string]struct{ name, value string }{
		"gitea without a secret": {"X-Hub-Signature-256", "sha256="},
		"no prefix":              {"X-Hub-Signature-256", strings.TrimPrefix(right, "sha256=")},
		"another hash":           {"X-Hub-Signature-256", "sha1=" + strings.TrimPrefix(right, "sha256=")},
		"cut short":              {"X-Hub-Signature-256", right[:len(right)-2]},
		"no hex":                 {"X-Hub-Signature-256", "sha256=" + strings.Repeat("z", 64)},
		"older header":           {"X-Hub-Signature", right},
	}
	platform := newPlatform(t, platforms.Config{WebhookSecrets: []string{"secret"}})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := platform.Verify(http.Header{http.CanonicalHeaderKey(test.name): {test.value}}, []byte("{}"))
			if !errors.Is(err, core.ErrDenied) {
				t.Errorf("want core.ErrDenied, got %v", err)
			}
		})
	}
}
