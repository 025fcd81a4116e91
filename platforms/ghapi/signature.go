package ghapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// The header in which both send the HMAC-SHA256 of the body, and how its value begins.
const (
	SignatureHeader = "X-Hub-Signature-256"
	SignaturePrefix = "sha256="
)

// Sign is the HMAC-SHA256 of a body in hexadecimal digits.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// VerifySignature checks an HMAC-SHA256 of the raw body in hexadecimal digits against every configured secret. An empty
// one is a call that is not signed; unsigned says why.
func (s *Server) VerifySignature(encoded string, body []byte, unsigned string) (platforms.Verification, error) {
	if s.Keys.Empty() {
		return platforms.Verification{}, fmt.Errorf("%w: platform %s is off because it has no webhook secret: set"+
			" webhook_secrets in the configuration", core.ErrDenied, s.Name)
	}
	if encoded == "" {
		return platforms.Verification{}, fmt.Errorf("%w: %s", core.ErrDenied, unsigned)
	}
	signature, err := hex.DecodeString(encoded)
	verification, fits := s.Keys.Webhook.Signed([][]byte{signature}, body)
	if err != nil || !fits {
		return platforms.Verification{}, fmt.Errorf("%w: the signature fits none of the webhook secrets of %s: check that the"+
			" webhook has the same secret and the content type application/json, and that no proxy changes the body",
			core.ErrDenied, s.Name)
	}
	return verification, nil
}
