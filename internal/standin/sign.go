package standin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" // GitHub still sends the legacy signature beside the real one
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// githubHookID is the id of the webhook whose calls tests make by hand.
const githubHookID = 7001

// bySettings is the webhook that the configuration speaks of, which need not be kept.
func (s *Server) bySettings() Hook {
	return Hook{ID: githubHookID, Secret: s.cfg.Secret, SigningToken: s.cfg.SigningToken}
}

// githubHeader signs a delivery of a webhook.
func githubHeader(d Delivery, hook Hook) http.Header {
	h := http.Header{}
	h.Set("Accept", "*/*")
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "GitHub-Hookshot/5ca11e0")
	h.Set("X-GitHub-Delivery", d.Key)
	h.Set("X-GitHub-Event", d.Event)
	h.Set("X-GitHub-Hook-ID", strconv.FormatInt(hook.ID, 10))
	h.Set("X-GitHub-Hook-Installation-Target-Type", hook.target())
	if hook.Secret != "" {
		h.Set("X-Hub-Signature", "sha1="+hex.EncodeToString(sum(sha1.New, hook.Secret, d.Body)))
		h.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sum(sha256.New, hook.Secret, d.Body)))
	}
	return h
}

// gitlabHeader signs a delivery of a webhook, with the time of now.
func (s *Server) gitlabHeader(d Delivery, hook Hook) (http.Header, error) {
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "GitLab/19.0.0")
	h.Set("Idempotency-Key", d.Key)
	h.Set("X-Gitlab-Event", d.Event)
	h.Set("X-Gitlab-Instance", s.Base())
	h.Set("X-Gitlab-Event-UUID", newUUID())
	h.Set("X-Gitlab-Webhook-UUID", newUUID()) // new for every request, whatever its name promises
	if hook.Secret != "" {
		h.Set("X-Gitlab-Token", hook.Secret)
	}
	if hook.SigningToken == "" {
		return h, nil
	}
	return h, addStandardWebhooks(h, d, hook.SigningToken, s.cfg.Now())
}

// addStandardWebhooks signs id, time and body, see https://www.standardwebhooks.com.
func addStandardWebhooks(h http.Header, d Delivery, token string, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(token, "whsec_"))
	if err != nil {
		return fmt.Errorf("signing %s: the signing token must be whsec_ and base64", d.Event)
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	signed := append([]byte(d.Key+"."+stamp+"."), d.Body...)
	h.Set("Webhook-Id", d.Key)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(sum(sha256.New, string(key), signed)))
	return nil
}

func sum(algorithm func() hash.Hash, key string, message []byte) []byte {
	mac := hmac.New(algorithm, []byte(key))
	mac.Write(message)
	return mac.Sum(nil)
}

// newUUID is a random UUID, version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
