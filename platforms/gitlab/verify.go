package gitlab

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	eventHeader     = "X-Gitlab-Event"
	chainHeader     = "X-Gitlab-Event-UUID" // the same for events of which one led to the other, since 14.8
	retryHeader     = "Idempotency-Key"     // the same when GitLab sends a call again, since 17.4
	tokenHeader     = "X-Gitlab-Token"
	idHeader        = "Webhook-Id"
	timestampHeader = "Webhook-Timestamp"
	signatureHeader = "Webhook-Signature"
)

// MaySign tells whether calls for the project can be signed.
func (p *Platform) MaySign(project string) bool { return p.keys.MaySign(project) }

// Signed tells whether the call has a secret token or a signature.
func (p *Platform) Signed(header http.Header) bool {
	return header.Get(tokenHeader) != "" || header.Get(signatureHeader) != ""
}

// Verify checks the signature where the call has one and signing tokens are configured, else the plain secret token.
func (p *Platform) Verify(header http.Header, body []byte) (platforms.Verification, error) {
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
		return deny("the call has no secret token: set it in the settings of the webhook")
	}
	verification, fits := p.keys.Webhook.Plain(header.Get(tokenHeader))
	if !fits {
		return deny("the secret token is none of webhook_secrets of platform %s: compare it with the settings of the"+
			" webhook", p.name)
	}
	return verification, nil
}

func deny(sentence string, values ...any) (platforms.Verification, error) {
	return platforms.Verification{}, fmt.Errorf("%w: "+sentence, append([]any{core.ErrDenied}, values...)...)
}

const (
	tolerance       = 5 * time.Minute // both ways, as the reference libraries of Standard Webhooks have it
	signaturePrefix = "v1,"
	keyPrefix       = "whsec_"
	minKey, maxKey  = 24, 64 // bytes; GitLab makes 32
)

// signingKey decodes a configured token. An error does not tell its value.
func signingKey(token string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(token, keyPrefix))
	if err != nil || len(key) < minKey || len(key) > maxKey {
		return nil, fmt.Errorf("%w: the token is not %s followed by %d to %d bytes in base64: copy it again from the"+
			" webhook", core.ErrInvalid, keyPrefix, minKey, maxKey)
	}
	return key, nil
}

// verifySignature follows Standard Webhooks: the signed text is id.timestamp.body, and the header may list several
// signatures, of which one of version 1 must fit.
func (p *Platform) verifySignature(header http.Header, body []byte) (platforms.Verification, error) {
	id, timestamp := header.Get(idHeader), header.Get(timestampHeader)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return deny("the signature comes without a readable webhook-id and webhook-timestamp: check that no proxy" +
			" drops headers")
	}
	if p.now().Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return deny("the signature is more than %s away from the clock here: check both clocks, or the call is a replay",
			tolerance)
	}
	signed := []byte(id + "." + timestamp + ".")
	verification, fits := p.keys.Signing.Signed(signatures(header.Get(signatureHeader)), signed, body)
	if !fits {
		return deny("no signature fits the signing_tokens of platform %s: compare them with the webhook, and check that"+
			" no proxy changes the body", p.name)
	}
	return verification, nil
}

// signatures are those of version 1; other versions are other algorithms, which GitLab does not use.
func signatures(list string) [][]byte {
	var found [][]byte
	for entry := range strings.FieldsSeq(list) {
		encoded, ok := strings.CutPrefix(entry, signaturePrefix)
		if signature, err := base64.StdEncoding.DecodeString(encoded); ok && err == nil {
			found = append(found, signature)
		}
	}
	return found
}

// sign makes the headers of a call as GitLab does.
func sign(call platforms.Call) (http.Header, error) {
	id := rand.Text()
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(eventHeader, call.Event)
	header.Set(retryHeader, id)
	if call.SigningToken == "" {
		header.Set(tokenHeader, call.Secret)
		return header, nil
	}
	key, err := signingKey(call.SigningToken)
	if err != nil {
		return nil, err
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(call.Body)
	header.Set(idHeader, id)
	header.Set(timestampHeader, timestamp)
	header.Set(signatureHeader, signaturePrefix+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return header, nil
}
