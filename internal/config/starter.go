package config

import (
	_ "embed"
	"strconv"
	"strings"
)

//go:embed starter.yaml
var starter string

// StarterValues is what a new installation does not share with others.
type StarterValues struct {
	PublicURL    string // http(s)
	GitHubSecret string // fresh random text, as the others below; empty switches GitHub off
	GitLabSecret string // empty switches GitLab off
	APIToken     string // of a token with the role scanner; empty leaves it out
}

// Starter renders a short, commented configuration, which holds the secrets in clear text. Parse reads it back to the
// same values.
func Starter(values StarterValues) []byte {
	return []byte(strings.NewReplacer(
		"@PublicURL@", literal(values.PublicURL),
		"@GitHubSecret@", literal(values.GitHubSecret),
		"@GitLabSecret@", literal(values.GitLabSecret),
		"@APIToken@", literal(values.APIToken),
	).Replace(starter))
}

// literal writes text so that neither YAML nor the replacement of variables changes it: Go's escapes in ASCII are a
// part of those that YAML knows between double quotes.
func literal(text string) string { return strconv.QuoteToASCII(strings.ReplaceAll(text, "$", "$$")) }
