package gitlab_test

import (
	"strings"
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitlab"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	platformtest.Run(t, platformtest.Subject{
		New: func(t testing.TB, setup platformtest.Setup) platforms.Platform {
			return newPlatform(t, platforms.Config{URL: setup.URL, WebhookSecrets: setup.Secrets, Token: setup.Token})
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
	platformtest.RunManifest(t, newPlatform(t, platforms.Config{}), "gitlab", "X-Gitlab-Event")
}

func TestNewRefusesAddresses(t *testing.T) {
	t.Parallel()
	for _, config := range []platforms.Config{
		{URL: "ftp://git.example.com"}, {URL: "https://ada:hunter2@git.example.com"}, {APIURL: "/api/v4"},
	} {
		if _, err := gitlab.New(config); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("want an error without the password, got %v", err)
		}
	}
}
