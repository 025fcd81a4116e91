package gitlab

import (
	"fmt"
	"net/http"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	tokenHeader     = "X-Gitlab-Token"
	idHeader        = "Webhook-Id"
	timestampHeader = "Webhook-Timestamp"
	signatureHeader = "Webhook-Signature"
)

var (
	_ platforms.SignatureFinder = (*Platform)(nil)
	_ platforms.Signer          = (*Platform)(nil)
)

// MaySign tells whether calls for the project can be signed.
func (p *Platform) MaySign(project string) bool { return p.keys.MaySign(project) }

// Signed tells whether the call bears a secret token or a signature.
func (p *Platform) Signed(header http.Header) bool {
	return header.Get(tokenHeader) != "" || header.Get(signatureHeader) != ""
}

// Verify checks the signature where the call bears one and signing tokens are configured, else the plain secret token.
func (p *Platform) Verify(header http.Header, body []byte) (platforms.Proof, error) {
	signed := len(header.Values(signatureHeader)) > 0
	switch {
	case p.keys.Empty():
		return deny("platform %s is off because it has no webhook secret: set webhook_secrets or signing_tokens in the"+
			" configuration", p.name)
	case signed && len(p.keys.Signing) > 0:
		return p.verifySignature(header, body)
	case len(p.keys.Webhook) == 0:
		return deny("the call is not signed: set the signing token in the settings of the webhook (GitLab 19.0 or" +
			" later), or use a secret token and webhook_secrets")
	case header.Get(tokenHeader) == "":
		return deny("the call bears no secret token: set it in the settings of the webhook")
	}
	proof, fits := p.keys.Webhook.Contains(header.Get(tokenHeader))
	if !fits {
		return deny("the secret token is none of webhook_secrets of platform %s: compare it with the settings of the"+
			" webhook", p.name)
	}
	return proof, nil
}

func deny(sentence string, values ...any) (platforms.Proof, error) {
	return platforms.Proof{}, fmt.Errorf("%w: "+sentence, append([]any{core.ErrDenied}, values...)...)
}
