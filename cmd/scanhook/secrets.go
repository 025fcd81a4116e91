package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/platforms"
)

// ownSecrets are the secrets that verify all calls of a platform.
func ownSecrets(p config.Platform) platforms.Scope { return scopeOf(p.HookSecrets) }

// scopesOf are the secrets that verify only the calls about some of a platform's repositories.
func scopesOf(cfg *config.Config, platform string) []platforms.Scope {
	var scopes []platforms.Scope
	for i, r := range cfg.Repositories {
		if r.Reaches(platform) {
			scope := scopeOf(r.HookSecrets)
			scope.Place, scope.Match = fmt.Sprintf("repositories[%d]", i), r.Match
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

func scopeOf(secrets config.HookSecrets) platforms.Scope {
	return platforms.Scope{
		WebhookSecrets: inPlace(secrets.WebhookSecrets, secrets.WebhookPlaces),
		SigningTokens:  inPlace(secrets.SigningTokens, secrets.SigningPlaces),
	}
}

// inPlace puts each secret where it stands in the file, with empty ones between them.
func inPlace(secrets []config.Secret, places []int) []string {
	var texts []string
	for i, secret := range secrets {
		for i < len(places) && len(texts) < places[i] {
			texts = append(texts, "")
		}
		texts = append(texts, secret.Reveal())
	}
	return texts
}

// maySign tells whether a signing token is configured for a project. Where its platform cannot be configured, that is
// what has to be mended first.
func maySign(cfg *config.Config) func(platform, project string) bool {
	return func(platform, project string) bool {
		if _, configured := cfg.Platforms[platform]; !configured {
			return false
		}
		adapter, err := platformOf(cfg, platform)
		return err != nil || platforms.MaySign(adapter, project)
	}
}

// hookSecret is a secret of a platform, without the secret itself.
type hookSecret struct {
	platforms.NamedSecret
	platform string
}

// hookSecrets lists all secrets that verify calls, by platform.
func hookSecrets(cfg *config.Config) []hookSecret {
	var list []hookSecret
	for _, name := range slices.Sorted(maps.Keys(cfg.Platforms)) {
		p := cfg.Platforms[name]
		for _, scope := range append([]platforms.Scope{ownSecrets(p)}, scopesOf(cfg, name)...) {
			secrets := scope.Webhooks()
			if p.Type == config.TypeGitLab {
				secrets = append(secrets, scope.Signing()...)
			}
			for _, secret := range secrets {
				secret.Text = ""
				list = append(list, hookSecret{secret, name})
			}
		}
	}
	return list
}
