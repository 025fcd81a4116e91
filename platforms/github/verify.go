package github

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	signatureHeader    = "X-Hub-Signature-256"
	oldSignatureHeader = "X-Hub-Signature"
	signaturePrefix    = "sha256="
)

var _ platforms.SignatureFinder = (*Platform)(nil)

// Signed tells whether the call bears a signature of the kind that proves something.
func (p *Platform) Signed(header http.Header) bool {
	return len(header.Get(signatureHeader)) > len(signaturePrefix)
}

// Verify checks the HMAC-SHA256 of the raw body against every configured secret. GitHub's older SHA-1 header proves
// nothing here, nor does the empty signature that Gitea sends for a hook without a secret. In a form, Gitea signs the
// JSON instead of the body and so is refused.
func (p *Platform) Verify(header http.Header, body []byte) (platforms.Verification, error) {
	if p.keys.Empty() {
		return platforms.Verification{}, fmt.Errorf("%w: platform %s is off because it has no webhook secret: set webhook_secrets in the"+
			" configuration", core.ErrDenied, p.name)
	}
	value := header.Get(signatureHeader)
	encoded, ok := strings.CutPrefix(value, signaturePrefix)
	if !ok || encoded == "" {
		return platforms.Verification{}, unsigned(header)
	}
	signature, err := hex.DecodeString(encoded)
	proof, fits := p.keys.Webhook.Signed([][]byte{signature}, body)
	if err != nil || !fits {
		return platforms.Verification{}, fmt.Errorf("%w: the signature fits none of the webhook secrets of %s: check that the webhook has the"+
			" same secret and the content type application/json, and that no proxy changes the body", core.ErrDenied, p.name)
	}
	return proof, nil
}

func unsigned(header http.Header) error {
	if header.Get(signatureHeader) == "" && header.Get(oldSignatureHeader) != "" {
		return fmt.Errorf("%w: the call bears only a SHA-1 signature: the sender must send %s",
			core.ErrDenied, signatureHeader)
	}
	return fmt.Errorf("%w: the call is not signed with SHA-256: set a secret in the settings of the webhook",
		core.ErrDenied)
}
