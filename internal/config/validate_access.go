package config

import (
	"fmt"
	"maps"
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
		v.checkChoice(path+".type", platform.Type, TypeGitHub, TypeGitLab)
		if platform.URL != "" {
			v.checkURL(path+".url", platform.URL)
		}
		if platform.APIURL != "" {
			v.checkURL(path+".api_url", platform.APIURL)
		}
		v.validateApp(path+".app", platform)
		v.validateSecrets(path, key, platform)
		v.warnOfMany(path, key)
	}
}

func (v *validator) validateApp(path string, platform Platform) {
	switch app := platform.App; {
	case app == nil:
	case platform.Type == TypeGitLab:
		v.errorf(path, "is for GitHub only: use token")
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
	case platform.Type == TypeGitHub && anyGiven(platform.SigningTokens):
		v.errorf(path+".signing_tokens", "is for GitLab only: use webhook_secrets")
	case !v.config.Verifies(key):
		v.warnf(path, "has no webhook secret and is off: set %s.webhook_secrets", path)
	case !platform.Posts():
		v.warnf(path, "has no token: commit statuses are kept and shown, but not posted")
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
