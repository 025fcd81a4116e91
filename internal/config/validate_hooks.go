package config

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// manySecrets is the number of secrets from which on trying them all is felt: a call of 25 MiB takes over a second.
const manySecrets = 100

func (v *validator) checkHookSecrets(path string, secrets HookSecrets) {
	v.checkSecrets(path+".webhook_secrets", secrets.WebhookSecrets)
	v.checkSecrets(path+".signing_tokens", secrets.SigningTokens)
	for i, token := range secrets.SigningTokens {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), "whsec_"))
		if !isEmpty(token) && (err != nil || len(key) == 0) {
			v.warnf(fmt.Sprintf("%s.signing_tokens[%d]", path, i), "is not what GitLab shows: whsec_ and base64")
		}
	}
}

// validateRepositorySecrets checks the secrets of an entry, which its repositories' maintainers may know.
func (v *validator) validateRepositorySecrets(path string, repository Repository) {
	v.checkHookSecrets(path, repository.HookSecrets)
	reached := v.reached(repository)
	isGitLab := func(platform string) bool { return v.config.Platforms[platform].Type == TypeGitLab }
	if anyGiven(repository.SigningTokens) && !slices.ContainsFunc(reached, isGitLab) {
		v.errorf(path+".signing_tokens", "is for GitLab only: use webhook_secrets")
	}
	for _, list := range []string{".webhook_secrets", ".signing_tokens"} {
		if v.wrote(path+list) && !repository.any() {
			v.warnf(path+list, "is empty: these repositories have no secret of their own")
			break
		}
	}
	for _, platform := range reached {
		own := v.config.Platforms[platform]
		v.warnOfSharing(path+".webhook_secrets", repository.WebhookSecrets, platform, own.WebhookSecrets)
		v.warnOfSharing(path+".signing_tokens", repository.SigningTokens, platform, own.SigningTokens)
	}
}

func (v *validator) reached(repository Repository) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(v.config.Platforms)), func(platform string) bool {
		return !repository.Reaches(platform)
	})
}

// warnOfSharing speaks of secrets of repositories that are the platform's as well.
func (v *validator) warnOfSharing(path string, secrets []Secret, platform string, own []Secret) {
	for i, secret := range secrets {
		if !isEmpty(secret) && slices.Contains(own, secret) {
			v.warnf(fmt.Sprintf("%s[%d]", path, i), "is a secret of platforms.%s, too: who knows it may speak for all of "+
				"its repositories", platform)
		}
	}
}

// warnOfMany speaks of a platform whose calls are tried with very many secrets.
func (v *validator) warnOfMany(path, platform string) {
	own := v.config.Platforms[platform]
	n := len(own.WebhookSecrets) + len(own.SigningTokens)
	for _, repository := range v.config.Repositories {
		if repository.Reaches(platform) {
			n += len(repository.WebhookSecrets) + len(repository.SigningTokens)
		}
	}
	if n > manySecrets {
		v.warnf(path, "is verified with %d secrets, each of which is tried on every call: give several repositories one",
			n)
	}
}
