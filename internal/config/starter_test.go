package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStarterParsesToItsValues(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]StarterValues{
		"usual":   {"https://scanhook.example.com", "github-secret", "gitlab-secret", "api-token-16-long"},
		"strange": {"http://[::1]:8080", "a\"'\\ b: #c\n\x7f", "${HOME}$$@APIToken@", "ünïcode 🔑 \x00 {{.}}"},
		"empty":   {PublicURL: "http://localhost:8080"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := mustParse(t, string(Starter(values)), nil)
			got := StarterValues{PublicURL: config.Server.PublicURL}
			for _, secret := range config.Platforms["github"].WebhookSecrets {
				got.GitHubSecret = secret.Reveal()
			}
			for _, secret := range config.Platforms["gitlab"].WebhookSecrets {
				got.GitLabSecret = secret.Reveal()
			}
			for _, token := range config.API.Tokens {
				got.APIToken = token.Token.Reveal()
			}
			if diff := cmp.Diff(values, got); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}
