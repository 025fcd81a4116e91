package github_test

import (
	"testing"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
	"github.com/scanhook/scanhook/platforms/platformtest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	platformtest.Run(t, platformtest.Subject{
		New: func(t testing.TB, setup platformtest.Setup) platforms.Platform {
			return newPlatform(t, platforms.Config{URL: setup.URL, WebhookSecrets: setup.Secrets, Token: setup.Token})
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
	platformtest.RunManifest(t, newPlatform(t, platforms.Config{}), "github", "X-GitHub-Event")
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]platforms.Config{
		"key that is none":   {App: &platforms.App{ID: 1, PrivateKey: []byte("hunter2")}},
		"address of a file":  {URL: "file:///etc/passwd"},
		"address with login": {URL: "https://ada:hunter2@git.example.com"},
		"api without host":   {APIURL: "https://"},
		"api with a query":   {APIURL: "https://git.example.com/?token=hunter2&"},
	} {
		_, err := github.New(config)
		if err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}
