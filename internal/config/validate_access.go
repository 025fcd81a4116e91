package config

import (
	"encoding/base64"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

func (v *validator) validatePlatforms() {
	if len(v.config.Platforms) == 0 {
		v.warnf("platforms", "has no entry: no webhook is accepted")
	}
	for _, key := range slices.Sorted(maps.Keys(v.config.Platforms)) {
		path, platform := join("platforms", key), v.config.Platforms[key]
		v.checkName(path, key)
		v.checkChoice(path+".type", platform.Type, v.typeNames()...)
		if _, known := typeNamed(v.config.Types, platform.Type); known && platform.URL == "" {
			v.errorf(path+".url", "is missing: write the address at which people open the platform")
		} else if platform.URL != "" {
			v.checkURL(path+".url", platform.URL)
		}
		if platform.APIURL != "" {
			v.checkURL(path+".api_url", platform.APIURL)
		}
		v.validateApp(path+".app", key)
		v.validateSecrets(path, key, platform)
		v.warnOfMany(path, key)
	}
}

// typeNames are all names that a type can be written with.
func (v *validator) typeNames() (names []string) {
	for _, t := range v.config.Types {
		names = append(append(names, t.Name), t.Aliases...)
	}
	slices.Sort(names)
	return names
}

// lacks tells that a platform's type does not have something. Of an unknown type nothing is said.
func (v *validator) lacks(platform string, has func(PlatformType) bool) bool {
	found, known := typeNamed(v.config.Types, v.config.Platforms[platform].Type)
	return known && !has(found)
}

// only names the types that have something.
func (v *validator) only(has func(PlatformType) bool) string {
	var titles []string
	for _, t := range v.config.Types {
		if has(t) {
			titles = append(titles, t.Title)
		}
	}
	return strings.Join(titles, " and ")
}

func (v *validator) validateApp(path, platform string) {
	hasApps := func(t PlatformType) bool { return t.Apps }
	switch app := v.config.Platforms[platform].App; {
	case app == nil:
	case v.lacks(platform, hasApps):
		v.errorf(path, "is for %s only: use token", v.only(hasApps))
	case app.ID <= 0:
		v.errorf(path+".id", "must be the App's id, a number above zero")
	case app.PrivateKeyFile == "":
		v.errorf(path+".private_key_file", "is missing: write the path of the App's private key (PEM)")
	}
}

func (v *validator) validateSecrets(path, key string, platform Platform) {
	v.checkHookSecrets(path, platform.HookSecrets)
	v.checkSecret(path+".token", platform.Token)
	switch {
	case anyGiven(platform.SigningTokens) && v.lacks(key, signs):
		v.errorf(path+".signing_tokens", "is for %s only: use webhook_secrets", v.only(signs))
	case !v.config.Verifies(key):
		v.warnf(path, "has no webhook secret and is off: set %s.webhook_secrets", path)
	case !platform.Posts():
		v.warnf(path, "has no token: commit statuses are kept and shown, but not posted")
	}
}

func signs(t PlatformType) bool { return t.SigningTokens }

// manySecrets is the number of secrets from which on trying them all is felt: a call of 25 MiB takes over a second.
const manySecrets = 100

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

// validateRepositorySecrets checks the secrets of an entry, which its repositories' maintainers may know.
func (v *validator) validateRepositorySecrets(path string, repository Repository) {
	v.checkHookSecrets(path, repository.HookSecrets)
	reached := v.reached(repository)
	takesTokens := func(platform string) bool { return signs(v.config.typeOf(platform)) }
	if anyGiven(repository.SigningTokens) && !slices.ContainsFunc(reached, takesTokens) {
		v.errorf(path+".signing_tokens", "is for %s only: use webhook_secrets", v.only(signs))
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

func (v *validator) checkHookSecrets(path string, secrets HookSecrets) {
	v.checkSecrets(path+".webhook_secrets", secrets.WebhookSecrets)
	v.checkSecrets(path+".signing_tokens", secrets.SigningTokens)
	for i, token := range secrets.SigningTokens {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), "whsec_"))
		if !isEmpty(token) && (err != nil || len(key) == 0) {
			v.warnf(fmt.Sprintf("%s.signing_tokens[%d]", path, i), "is not a signing token: whsec_ and base64")
		}
	}
}

func (v *validator) validateTokens() {
	names, tokens := map[string]int{}, map[Secret]int{}
	for i, token := range v.config.API.Tokens {
		path := fmt.Sprintf("api.tokens[%d]", i)
		v.checkChoice(path+".role", token.Role, RoleViewer, RoleScanner, RoleAdmin)
		v.checkToken(path+".token", token.Token)
		if token.Name == "" {
			v.errorf(path+".name", "is missing: say whose token this is")
		} else if first, taken := names[token.Name]; taken {
			v.errorf(path+".name", "is the name of api.tokens[%d] already", first)
		}
		if !v.wrote(path + ".token") {
			v.errorf(path+".token", `is missing: write "${NAME:-}" for one that may be left out`)
		} else if first, taken := tokens[token.Token]; taken && !isEmpty(token.Token) {
			v.errorf(path+".token", "is the token of api.tokens[%d] already: give each its own", first)
		}
		names[token.Name], tokens[token.Token] = i, i
	}
}

// minToken is the length in bytes below which a token of the API can be found by trying, however slowly.
const minToken = 16

func (v *validator) checkToken(path string, token Secret) {
	if text := token.Reveal(); text != "" && len(strings.TrimSpace(text)) < minToken {
		v.errorf(path, "has fewer than %d characters and can be guessed: openssl rand -hex 32 makes a good one", minToken)
		return
	}
	v.checkSecret(path, token)
}

func (v *validator) validateOIDC() {
	const at = "web.oidc"
	oidc := v.config.Web.OIDC
	v.checkSecret(at+".client_secret", oidc.ClientSecret)
	v.validateMatches(at+".admins", oidc.Admins)
	v.validateMatches(at+".viewers", oidc.Viewers)
	if !oidc.Enabled() {
		return
	}
	v.checkURL(at+".issuer", oidc.Issuer)
	if strings.HasPrefix(oidc.Issuer, "http:") {
		v.warnf(at+".issuer", "is not encrypted: whoever is on the way can log in as anybody")
	}
	if oidc.ClientID == "" {
		v.errorf(at+".client_id", "is missing: write the id that the provider gave to Scanhook")
	}
	if len(oidc.Admins)+len(oidc.Viewers) == 0 {
		v.errorf(at+".viewers", `is missing: say who may log in, such as "*@example.com", "group:developers" or "*"`)
	}
}

func (v *validator) validateMatches(at string, matches []string) {
	for i, match := range matches {
		_, err := path.Match(match, "")
		kind, name, prefixed := strings.Cut(match, ":")
		known := match == "*" || strings.Contains(match, "@") || prefixed && name != "" && (kind == "group" || kind == "sub")
		if err != nil || !known {
			v.errorf(fmt.Sprintf("%s[%d]", at, i), `must be an e-mail address, with * for any part of it, "group:NAME", "sub:ID" or "*"`)
		}
	}
}

func (v *validator) checkSecrets(path string, secrets []Secret) {
	for i, secret := range secrets {
		v.checkSecret(fmt.Sprintf("%s[%d]", path, i), secret)
	}
}

// minSecret is the length in bytes below which a secret can be found by trying.
const minSecret = 8

func (v *validator) checkSecret(path string, secret Secret) {
	switch text := secret.Reveal(); {
	case isEmpty(secret):
	case strings.TrimSpace(text) != text:
		v.errorf(path, "starts or ends with white space, perhaps the line break of the file that it was read from: take it "+
			"away, the other side does not send it")
	case len(text) < minSecret:
		v.warnf(path, "is so short that it can be guessed: use %d characters or more, better 32", minSecret)
	}
}
