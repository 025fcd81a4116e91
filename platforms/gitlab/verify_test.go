package gitlab_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

// The vector that Standard Webhooks publish, and the moment it was signed.
const (
	vectorToken     = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	vectorSeconds   = 1614265330
	otherToken      = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
)

func TestPublishedSignatures(t *testing.T) {
	t.Parallel()
	for _, vector := range platformtest.Vectors(t, "standard-webhooks-v1") {
		t.Run(vector.ID, func(t *testing.T) {
			t.Parallel()
			header := make(http.Header)
			for name, value := range vector.Headers {
				header.Set(name, value)
			}
			platform, err := gitlab.New(platforms.Config{
				SigningTokens: []string{"", otherToken, vector.Secret}, Now: at(vectorSeconds),
			})
			if err == nil {
				_, err = platform.Verify(header, []byte(vector.Body))
			}
			if got := err == nil; got != vector.Valid {
				t.Errorf("want valid %t, got %v", vector.Valid, err)
			}
		})
	}
}

func TestSignatureHasATolerance(t *testing.T) {
	t.Parallel()
	for offset, want := range map[int64]bool{0: true, 300: true, -300: true, 301: false, -301: false, 1 << 40: false} {
		platform := newPlatform(t, platforms.Config{SigningTokens: []string{vectorToken}, Now: at(vectorSeconds + offset)})
		if _, err := platform.Verify(vectorHeader(), []byte(vectorBody)); (err == nil) != want {
			t.Errorf("%d s away: want valid %t, got %v", offset, want, err)
		}
	}
}

func TestTokenAndSignatureTogether(t *testing.T) {
	t.Parallel()
	both := platforms.Config{WebhookSecrets: []string{"plain"}, SigningTokens: []string{vectorToken}, Now: at(vectorSeconds)}
	tokenOnly := platforms.Config{WebhookSecrets: []string{"plain"}}
	unsigned := map[string]string{"Webhook-Signature": "-", "X-Gitlab-Token": "plain"}
	blank := map[string]string{"Webhook-Signature": "", "X-Gitlab-Token": "plain"}
	tests := map[string]struct {
		config platforms.Config
		change map[string]string
		want   bool
	}{
		"signature alone":                {both, nil, true},
		"token alone":                    {both, unsigned, true},
		"right signature, wrong token":   {both, map[string]string{"X-Gitlab-Token": "wrong"}, true},
		"wrong signature, right token":   {both, map[string]string{"Webhook-Id": "x", "X-Gitlab-Token": "plain"}, false},
		"empty signature, right token":   {both, blank, false},
		"signature without signing keys": {tokenOnly, nil, false},
		"both, but only the token known": {tokenOnly, map[string]string{"X-Gitlab-Token": "plain"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := vectorHeader()
			for name, value := range test.change {
				header.Set(name, value)
				if value == "-" {
					header.Del(name)
				}
			}
			_, err := newPlatform(t, test.config).Verify(header, []byte(vectorBody))
			if got := err == nil; got != test.want {
				t.Errorf("want valid %t, got %v", test.want, err)
			}
			if err != nil && !errors.Is(err, core.ErrDenied) {
				t.Errorf("want core.ErrDenied, got %v", err)
			}
		})
	}
}

func TestNewNamesTheBadSigningToken(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"whsec_", "whsec_short", "whsec_!!!", "whsec_" + strings.Repeat("A", 92), "hunter2"} {
		_, err := gitlab.New(platforms.Config{SigningTokens: []string{vectorToken, token}})
		if err == nil || !strings.Contains(err.Error(), "signing_tokens[1]") {
			t.Errorf("%q: want an error that names signing_tokens[1], got %v", token, err)
		}
		if err != nil && len(token) > len("whsec_") && strings.Contains(err.Error(), token) {
			t.Errorf("the error repeats the token: %v", err)
		}
	}
}
