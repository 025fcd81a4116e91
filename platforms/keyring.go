package platforms

import (
	"fmt"
	"slices"

	"github.com/scanhook/scanhook/core"
)

// Scope holds the secrets of one place in the configuration.
type Scope struct {
	Place          string   // repositories[2]; empty for the secrets of the whole platform
	Match          string   // glob over platform/project of the projects that they may speak for; empty is all
	WebhookSecrets []string // empty ones keep the places of the others, and never match
	SigningTokens  []string
}

// NamedSecret is a secret with what may be said of it in public.
type NamedSecret struct {
	Text  string
	Place string // webhook_secrets[0], repositories[2].signing_tokens[1]
	ID    string // see SecretID
	Match string // of its scope
}

// Webhooks are the webhook secrets that are given.
func (s Scope) Webhooks() []NamedSecret { return s.name("webhook_secrets", s.WebhookSecrets) }

// Signing are the signing tokens that are given.
func (s Scope) Signing() []NamedSecret { return s.name("signing_tokens", s.SigningTokens) }

func (s Scope) name(list string, texts []string) []NamedSecret {
	if s.Place != "" {
		list = s.Place + "." + list
	}
	var named []NamedSecret
	for i, text := range texts {
		if text != "" {
			named = append(named, NamedSecret{text, fmt.Sprintf("%s[%d]", list, i), SecretID(text), s.Match})
		}
	}
	return named
}

// Keyring holds all secrets that verify the calls of one platform, and knows who may speak for which project: the
// secrets of the platform for all of them, besides those of the first scope that matches the project.
type Keyring struct {
	Webhook Secrets
	Signing Secrets

	platform string
	scopes   core.Scopes
}

// NewKeyring takes the platform's own secrets and those of its scopes, in the configuration's order. Of a signing
// token, signingKey returns the key; it may be nil where there are none. An error names the place of the token, not
// its value.
func NewKeyring(platform string, scopes []Scope, signingKey func(token string) ([]byte, error)) (*Keyring, error) {
	k := &Keyring{platform: platform}
	for _, scope := range scopes {
		webhooks, signing := scope.Webhooks(), scope.Signing()
		if len(webhooks)+len(signing) == 0 {
			continue
		}
		if scope.Match != "" {
			k.scopes = append(k.scopes, scope.Match)
		}
		for _, named := range webhooks {
			k.Webhook = k.add(k.Webhook, named, []byte(named.Text))
		}
		for _, named := range signing {
			key, err := signingKey(named.Text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", named.Place, err)
			}
			k.Signing = k.add(k.Signing, named, key)
		}
	}
	return k, nil
}

// add appends a secret of the latest scope. One that stands in several scopes speaks for each of them.
func (k *Keyring) add(secrets Secrets, named NamedSecret, key []byte) Secrets {
	at := slices.IndexFunc(secrets, func(s secret) bool { return s.text == named.Text })
	if at < 0 {
		at = len(secrets)
		proof := core.Proof{SecretID: named.ID, Place: named.Place, Scope: named.Match}
		secrets = append(secrets, secret{named.Text, key, Proof{Proof: proof, ring: k}})
	}
	if named.Match != "" {
		proof := &secrets[at].proof
		proof.scopes = append(proof.scopes, len(k.scopes)-1)
	}
	return secrets
}

// Empty tells that no call can be verified: the platform is off.
func (k *Keyring) Empty() bool { return len(k.Webhook)+len(k.Signing) == 0 }

// For returns the secret and the signing token that a webhook of the place is given: those of the project's scope, so
// that its maintainers get hold of no others, else those of the platform. Either may be empty; without both the error
// wraps ErrRefused.
func (k *Keyring) For(place HookPlace) (secret, signing string, err error) {
	scope := -1
	if place.Scope == ScopeProject {
		scope = k.scopes.Of(k.platform, place.Owner)
	}
	secret, signing = k.Webhook.first(scope), k.Signing.first(scope)
	if secret == "" && signing == "" {
		err = fmt.Errorf("%w: no webhook secret is configured for %s", ErrRefused, place)
	}
	return secret, signing, err
}

// MaySign tells whether there is a signing token that may speak for the project.
func (k *Keyring) MaySign(project string) bool {
	return k != nil && slices.ContainsFunc(k.Signing, func(s secret) bool { return s.proof.speaksFor(project) })
}

// signsByScope tells whether some projects have signing tokens of their own.
func (k *Keyring) signsByScope() bool {
	return k != nil && slices.ContainsFunc(k.Signing, func(s secret) bool { return s.proof.Scope != "" })
}
