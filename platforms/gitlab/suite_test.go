package gitlab_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newPlatform(t testing.TB, config gitlab.Config) *gitlab.Platform {
	t.Helper()
	config.Name = "gitlab"
	if config.Now == nil {
		config.Now = func() time.Time { return noon }
	}
	platform, err := gitlab.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return platform
}

func headerOf(event string) http.Header {
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set("X-Gitlab-Event", event)
	return header
}

func TestSuite(t *testing.T) {
	t.Parallel()
	platformtest.Run(t, platformtest.Subject{
		New: func(t testing.TB, setup platformtest.Setup) platforms.Platform {
			return newPlatform(t, gitlab.Config{URL: setup.URL, WebhookSecrets: setup.Secrets, Token: setup.Token})
		},
		Sign: func(call platformtest.Call, secret string) { call.Header["X-Gitlab-Token"] = []string{secret} },
		Push: platformtest.Call{Header: headerOf("Push Hook"), Body: `{"object_kind":"push","ref":"refs/heads/main",` +
			`"after":"` + platformtest.SHA + `","commits":[],"project":{"path_with_namespace":"acme/widgets"}}`},
		EventHeader: "X-Gitlab-Event",
		IDHeader:    "Idempotency-Key",
		Host:        "gitlab.com",
	})
}

func TestManifest(t *testing.T) {
	t.Parallel()
	platformtest.RunManifest(t, newPlatform(t, gitlab.Config{}), "gitlab", "X-Gitlab-Event")
}
