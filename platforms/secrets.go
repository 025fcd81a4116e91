package platforms

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
)

// Secrets are the shared secrets of one kind that are live at the same time, so that one can be rotated without losing
// a delivery, and projects can have their own.
type Secrets []secret

type secret struct {
	text  string // as configured
	key   []byte
	proof Proof
}

// Signed finds the secret under which any of the signatures is the HMAC-SHA256 of parts, one after the other. The parts
// are read once per secret, however many signatures a caller sends, and it takes the same time wherever the first
// difference is and whichever secret fits.
func (s Secrets) Signed(signatures [][]byte, parts ...[]byte) (Proof, bool) {
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
	return s.proof(found, true)
}

// Contains finds the secret that token is. Hashes are compared, so that not even a length leaks.
func (s Secrets) Contains(token string) (Proof, bool) {
	given := sha256.Sum256([]byte(token))
	found := -1
	for i, secret := range s {
		want := sha256.Sum256(secret.key)
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(want[:], given[:]), i, found)
	}
	return s.proof(found, false)
}

// first is the first secret of a scope, of the platform for -1.
func (s Secrets) first(scope int) string {
	for _, secret := range s {
		if scope < 0 && secret.proof.Scope == "" || slices.Contains(secret.proof.scopes, scope) {
			return secret.text
		}
	}
	return ""
}

func (s Secrets) proof(found int, signed bool) (Proof, bool) {
	if found < 0 {
		return Proof{}, false
	}
	proof := s[found].proof
	proof.Signed = signed
	return proof, true
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
