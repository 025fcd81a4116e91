package config

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStarterParsesToItsValues(t *testing.T) {
	t.Parallel()
	platforms := func(github, gitlab string) []StarterPlatform {
		return []StarterPlatform{
			{Type: "github", URL: "https://github.com", Secret: github, Note: "note", Variable: "GITHUB_TOKEN", Needs: "much"},
			{Type: "gitlab", URL: "https://gitlab.com", Secret: gitlab, Variable: "GITLAB_TOKEN"}, {Type: "gitea"},
		}
	}
	for name, values := range map[string]StarterValues{
		"usual":   {"https://scanhook.example.com", "api-token-16-long", platforms("github-secret", "gitlab-secret")},
		"strange": {"http://[::1]:8080", "ünïcode 🔑 \x00 {{.}}", platforms("a\"'\\ b: #c\n\x7f", "${HOME}$$@APIToken@")},
		"empty":   {"http://localhost:8080", "", platforms("", "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := mustParse(t, string(Starter(values)), nil)
			got := StarterValues{PublicURL: config.Server.PublicURL, Platforms: slices.Clone(values.Platforms)}
			for i, platform := range got.Platforms {
				got.Platforms[i].Secret = ""
				for _, secret := range config.Platforms[platform.Type].WebhookSecrets {
					got.Platforms[i].Secret = secret.Reveal()
				}
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
