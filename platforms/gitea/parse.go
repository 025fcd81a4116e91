package gitea

import (
	"cmp"
	"crypto/rand"
	"fmt"
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
func (p *Platform) Parse(header http.Header, body []byte) (delivery core.Delivery, err error) {
	event := cmp.Or(header.Get(eventHeader), header.Get(copiedEventHeader))
	delivery = core.Delivery{
		Platform: p.Name, Name: platforms.Clean(event), ReceivedAt: p.Now().UTC(), Key: platforms.HashKey(event, body),
	}
	if delivery.Name == "" {
		return core.Delivery{}, fmt.Errorf("%w: the header %s is missing: only webhooks of Gitea and Forgejo belong to this"+
			" address", core.ErrInvalid, eventHeader)
	}
	if id := cmp.Or(header.Get(deliveryHeader), header.Get(copiedDeliveryHeader)); id != "" { // new in each call
		delivery.Key = platforms.DeliveryKey("delivery", id)
	}
	delivery.Event, delivery.Project, err = p.ParseEvent(delivery.Name, body)
	if err != nil {
		return core.Delivery{}, fmt.Errorf("parsing %s: %w", delivery.Name, err)
	}
	return delivery, nil
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
