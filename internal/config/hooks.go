package config

import (
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// HookSecrets verify calls: any of them does, so that one can be exchanged without a gap.
type HookSecrets struct {
	WebhookSecrets []Secret `yaml:"webhook_secrets"` // none of them is empty
	SigningTokens  []Secret `yaml:"signing_tokens"`  // GitLab's whsec_… tokens; none of them is empty

	WebhookPlaces []int `yaml:"-"` // where each of WebhookSecrets stands in the file's list, which may hold empty ones
	SigningPlaces []int `yaml:"-"`
}

func (s HookSecrets) any() bool { return anyGiven(s.WebhookSecrets) || anyGiven(s.SigningTokens) }

// prune drops the empty secrets, and remembers where the others stand: that is their name for people.
func (s *HookSecrets) prune() {
	s.WebhookSecrets, s.WebhookPlaces = given(s.WebhookSecrets)
	s.SigningTokens, s.SigningPlaces = given(s.SigningTokens)
}

func given(secrets []Secret) (kept []Secret, places []int) {
	kept = secrets[:0]
	for i, secret := range secrets {
		if !isEmpty(secret) {
			kept, places = append(kept, secret), append(places, i)
		}
	}
	return kept, places
}

// Reaches tells whether the entry can match a repository of the platform.
func (r Repository) Reaches(platform string) bool {
	start, _, _ := strings.Cut(r.Match, "/")
	if !doublestar.ValidatePattern(start) { // braces around the slash
		return true
	}
	matched, _ := doublestar.Match(strings.ToLower(start), strings.ToLower(platform))
	return matched
}

// Verifies tells whether a call of the platform can be verified at all, by its own secrets or by those of repositories;
// a platform without any is off.
func (c *Config) Verifies(platform string) bool {
	if c.Platforms[platform].Enabled() {
		return true
	}
	for _, r := range c.Repositories {
		isGitLab := c.Platforms[platform].Type == TypeGitLab
		if r.Reaches(platform) && (anyGiven(r.WebhookSecrets) || isGitLab && anyGiven(r.SigningTokens)) {
			return true
		}
	}
	return false
}
