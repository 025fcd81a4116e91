package github_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newPlatform(t testing.TB, config github.Config) *github.Platform {
	t.Helper()
	config.Name = "github"
	config.Now = func() time.Time { return noon }
	platform, err := github.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return platform
}

func sign(call platformtest.Call, secret string) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(call.Body))
	call.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
}

func headerOf(event string) http.Header {
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set("X-GitHub-Event", event)
	return header
}

func TestSuite(t *testing.T) {
	t.Parallel()
	platformtest.Run(t, platformtest.Subject{
		New: func(t testing.TB, setup platformtest.Setup) platforms.Platform {
			return newPlatform(t, github.Config{URL: setup.URL, WebhookSecrets: setup.Secrets, Token: setup.Token})
		},
		Sign: sign,
		Push: platformtest.Call{Header: headerOf("push"), Body: `{"ref":"refs/heads/main","after":"` + platformtest.SHA +
			`","commits":[],"repository":{"full_name":"acme/widgets"}}`},
		EventHeader: "X-GitHub-Event",
		IDHeader:    "X-GitHub-Delivery",
		Host:        "github.com",
	})
}

func TestManifest(t *testing.T) {
	t.Parallel()
	platformtest.RunManifest(t, newPlatform(t, github.Config{}), "github", "X-GitHub-Event")
}
