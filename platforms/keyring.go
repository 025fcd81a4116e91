package platforms

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
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

// NamedSecret is a secret with what may be shown of it.
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

// add appends a secret of the latest scope. A secret of several scopes may speak for the projects of each.
func (k *Keyring) add(secrets Secrets, named NamedSecret, key []byte) Secrets {
	at := slices.IndexFunc(secrets, func(s keyedSecret) bool { return s.text == named.Text })
	if at < 0 {
		at = len(secrets)
		by := core.Verification{SecretID: named.ID, Place: named.Place, Scope: named.Match}
		secrets = append(secrets, keyedSecret{named.Text, key, Verification{Verification: by, ring: k}})
	}
	if named.Match != "" {
		verification := &secrets[at].verification
		verification.scopes = append(verification.scopes, len(k.scopes)-1)
	}
	return secrets
}

// Empty tells that no call can be verified: the platform is off.
func (k *Keyring) Empty() bool { return len(k.Webhook)+len(k.Signing) == 0 }

// For returns the secret and the signing token that a webhook of the target is given: those of the project's scope, so
// that its maintainers see no others, else those of the platform. Either may be empty; without both the error
// wraps ErrRefused.
func (k *Keyring) For(target core.HookTarget) (secret, signing string, err error) {
	scope := -1
	if target.Scope == core.ScopeProject {
		scope = k.scopes.Of(k.platform, target.Owner)
	}
	secret, signing = k.Webhook.first(scope), k.Signing.first(scope)
	if secret == "" && signing == "" {
		err = fmt.Errorf("%w: no webhook secret is configured for %s", ErrRefused, target)
	}
	return secret, signing, err
}

// Recall is the verification of a call that was kept, by the name of the secret that verified it. core.ErrDenied when the
// secret is no longer configured.
func (k *Keyring) Recall(verifiedBy string, signed bool) (Verification, error) {
	for _, secret := range slices.Concat(k.Webhook, k.Signing) {
		if secret.verification.SecretID == core.SecretID(verifiedBy) {
			verification := secret.verification
			verification.Signed = signed
			return verification, nil
		}
	}
	return Verification{}, fmt.Errorf("%w: the secret %s that verified the call is not in the configuration any more: have the"+
		" platform send it again", core.ErrDenied, core.SecretPlace(verifiedBy))
}

// MaySign tells whether there is a signing token that may speak for the project.
func (k *Keyring) MaySign(project string) bool {
	return k != nil && slices.ContainsFunc(k.Signing, func(s keyedSecret) bool { return s.verification.speaksFor(project) })
}

// signsByScope tells whether some projects have signing tokens of their own.
func (k *Keyring) signsByScope() bool {
	return k != nil && slices.ContainsFunc(k.Signing, func(s keyedSecret) bool { return s.verification.Scope != "" })
}

// Secrets are the shared secrets of one kind that are live at the same time, so that one can be rotated without losing
// a delivery, and projects can have their own.
type Secrets []keyedSecret

type keyedSecret struct {
	text         string // as configured
	key          []byte
	verification Verification
}

// Signed finds the secret under which any of the signatures is the HMAC-SHA256 of the concatenated parts. The parts are
// read once per secret, however many signatures a caller sends. The time does not depend on which secret fits or where
// a signature differs.
func (s Secrets) Signed(signatures [][]byte, parts ...[]byte) (Verification, bool) {
	found := -1
	for i, secret := range s {
		mac := hmac.New(sha256.New, secret.key)
		for _, part := range parts {
			mac.Write(part)
		}
		want := mac.Sum(nil)
		for _, signature := range signatures {
			found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(want, signature), i, found)
		}
	}
	return s.verification(found, true)
}

// Plain finds the secret that equals token. It compares hashes, so that not even a length leaks.
func (s Secrets) Plain(token string) (Verification, bool) {
	given := sha256.Sum256([]byte(token))
	found := -1
	for i, secret := range s {
		want := sha256.Sum256(secret.key)
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(want[:], given[:]), i, found)
	}
	return s.verification(found, false)
}

// first is the first secret of a scope, of the platform for -1.
func (s Secrets) first(scope int) string {
	for _, secret := range s {
		if scope < 0 && secret.verification.Scope == "" || slices.Contains(secret.verification.scopes, scope) {
			return secret.text
		}
	}
	return ""
}

func (s Secrets) verification(found int, signed bool) (Verification, bool) {
	if found < 0 {
		return Verification{}, false
	}
	verification := s[found].verification
	verification.Signed = signed
	return verification, true
}

// stretching makes it slow to find a weak secret by trying which one has the id; a secret of the recommended length is
// beyond reach anyway. It takes about a millisecond for each secret, once.
const stretching = 4096

// SecretID tells a secret from others in public: 8 hexadecimal digits that do not change while the secret does not.
func SecretID(text string) string {
	id, err := pbkdf2.Key(sha256.New, text, []byte("scanhook secret id"), stretching, 4)
	if err != nil {
		return "" // only where FIPS 140 forbids secrets this short
	}
	return hex.EncodeToString(id)
}

// Verification is the result of verifying a call: by which secret, and for which projects that counts.
type Verification struct {
	core.Verification
	ring   *Keyring
	scopes []int // that have the secret
}

// Authorize accepts the delivery that was read from the call. The secret must be one that may speak for each project that
// the delivery names, else the error wraps core.ErrDenied: the maintainers of a project could sign a call about another.
func (v Verification) Authorize(delivery core.Delivery) (core.Delivery, error) {
	_, ignored := delivery.Event.(core.Ignored)
	for _, project := range []string{delivery.Project, delivery.Subject().Name} {
		if none := ignored && project == ""; !none && !v.speaksFor(project) {
			return core.Delivery{}, fmt.Errorf("%w: the secret %s is not one of %s: enter the secret of the first entry of"+
				" repositories that matches the project and has secrets, or one of the platform, in the webhook",
				core.ErrDenied, v.Place, project)
		}
	}
	v.MaySign = v.ring.MaySign(delivery.Project)
	delivery.Verification = v.Verification
	if !v.BelievesIDs() {
		delivery.Event = delivery.Event.WithoutRef()
	}
	return delivery, nil
}

// BelievesIDs is false where the numeric id of a project in a call could be that of another one, which it addresses as well as
// a path does, or that of a project whose own calls must be signed.
func (v Verification) BelievesIDs() bool {
	return v.Scope == "" && (v.Signed || !v.ring.signsByScope())
}

func (v Verification) speaksFor(project string) bool {
	return v.Scope == "" || slices.Contains(v.scopes, v.ring.scopes.Of(v.ring.platform, project))
}
