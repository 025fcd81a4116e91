package platforms

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
)

// Secrets are the shared secrets that are live at the same time, so that one can be rotated without losing a delivery.
type Secrets [][]byte

// NewSecrets drops the empty ones: an empty secret never matches.
func NewSecrets(texts []string) Secrets {
	var secrets Secrets
	for _, text := range texts {
		if text != "" {
			secrets = append(secrets, []byte(text))
		}
	}
	return secrets
}

// Signed tells whether any of the signatures is the HMAC-SHA256 of parts, one after the other, under any of the
// secrets. The parts are read once per secret, however many signatures a caller sends, and it takes the same time
// wherever the first difference is and whichever secret fits.
func (s Secrets) Signed(signatures [][]byte, parts ...[]byte) bool {
	found := 0
	for _, secret := range s {
		mac := hmac.New(sha256.New, secret)
		for _, part := range parts {
			mac.Write(part)
		}
		want := mac.Sum(nil)
		for _, signature := range signatures {
			found |= subtle.ConstantTimeCompare(want, signature)
		}
	}
	return found == 1
}

// Contains tells whether token is one of the secrets. Hashes are compared, so that not even a length leaks.
func (s Secrets) Contains(token string) bool {
	given := sha256.Sum256([]byte(token))
	found := 0
	for _, secret := range s {
		want := sha256.Sum256(secret)
		found |= subtle.ConstantTimeCompare(want[:], given[:])
	}
	return found == 1
}
