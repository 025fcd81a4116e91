package github

import (
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// oldSignatureHeader has GitHub's older SHA-1 signature, which is not accepted.
const oldSignatureHeader = "X-Hub-Signature"

// Signed tells whether the call has a signature that Verify accepts.
func (p *Platform) Signed(header http.Header) bool {
	return len(header.Get(ghapi.SignatureHeader)) > len(ghapi.SignaturePrefix)
}

// Verify checks the HMAC-SHA256 of the raw body, also of a form.
func (p *Platform) Verify(header http.Header, body []byte) (platforms.Verification, error) {
	value := header.Get(ghapi.SignatureHeader)
	encoded, sha256 := strings.CutPrefix(value, ghapi.SignaturePrefix)
	if !sha256 {
		encoded = ""
	}
	unsigned := "the call is not signed with SHA-256: set a secret in the settings of the webhook"
	if value == "" && header.Get(oldSignatureHeader) != "" {
		unsigned = "the call has only a SHA-1 signature: the sender must send " + ghapi.SignatureHeader
	}
	return p.VerifySignature(encoded, body, unsigned)
}

// sign makes the headers of a call as GitHub does.
func sign(call platforms.Call) (http.Header, error) {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(eventHeader, call.Event)
	header.Set(guidHeader, rand.Text())
	header.Set(ghapi.SignatureHeader, ghapi.SignaturePrefix+ghapi.Sign(call.Secret, call.Body))
	return header, nil
}
