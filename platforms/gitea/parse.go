package gitea

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// Gitea's own headers, of which Forgejo sends the same, and the copies of GitHub's headers that both send, too.
const (
	eventHeader     = "X-Gitea-Event"
	deliveryHeader  = "X-Gitea-Delivery"
	signatureHeader = "X-Gitea-Signature" // hexadecimal digits without a prefix

	copiedEventHeader    = "X-GitHub-Event"
	copiedDeliveryHeader = "X-GitHub-Delivery"
)

// Signed tells whether the call has a signature that Verify accepts.
func (p *Platform) Signed(header http.Header) bool { return signatureOf(header) != "" }

// Verify checks the HMAC-SHA256 of the raw body. Of a form it refuses it, because Gitea signs the JSON instead.
func (p *Platform) Verify(header http.Header, body []byte) (platforms.Verification, error) {
	return p.VerifySignature(signatureOf(header), body,
		"the call is not signed with SHA-256: set a secret in the settings of the webhook")
}

// signatureOf is empty where the call is not signed. Without a secret, Gitea sends an empty signature.
func signatureOf(header http.Header) string {
	copied, found := strings.CutPrefix(header.Get(ghapi.SignatureHeader), ghapi.SignaturePrefix)
	if !found {
		copied = ""
	}
	return cmp.Or(header.Get(signatureHeader), copied)
}

// Parse translates a verified call.
func (p *Platform) Parse(header http.Header, body []byte) (core.Delivery, error) {
	event := cmp.Or(header.Get(eventHeader), header.Get(copiedEventHeader))
	delivery := core.Delivery{
		Platform: p.Name, Name: platforms.Clean(event), ReceivedAt: p.Now().UTC(), Key: platforms.HashKey(event, body),
	}
	if id := cmp.Or(header.Get(deliveryHeader), header.Get(copiedDeliveryHeader)); id != "" { // new in each call
		delivery.Key = platforms.DeliveryKey("delivery", id)
	}
	return platforms.Translate(delivery, eventHeader, "Gitea and Forgejo", func() (core.Event, string, error) {
		return p.ParseEvent(delivery.Name, body)
	})
}

// Keep is part of platforms.Keeper.
func (p *Platform) Keep(header http.Header, body []byte) (http.Header, []byte) {
	return platforms.Headers(header, eventHeader, deliveryHeader, copiedEventHeader, copiedDeliveryHeader), body
}

// sign makes the headers of a call as Gitea does.
func sign(call platforms.Call) (http.Header, error) {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(eventHeader, call.Event)
	header.Set(deliveryHeader, rand.Text())
	header.Set(signatureHeader, ghapi.Sign(call.Secret, call.Body))
	return header, nil
}
