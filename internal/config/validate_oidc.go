package config

import (
	"fmt"
	"path"
	"strings"
)

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
