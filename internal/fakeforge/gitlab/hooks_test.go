package gitlab_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/internal/fakeforge/gitlab"
)

const secret = "It's a Secret to Everybody"

func TestGitLabTokenAndSignature(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("k", 32)
	signing := "whsec_" + base64.StdEncoding.EncodeToString([]byte(key))
	clock := forgetest.Now
	p := forgetest.Start(t, forgetest.GitLab, fakeforge.Config{
		Secret: secret, SigningToken: signing, Now: func() time.Time { return clock },
	})
	address, calls := forgetest.Receive(t)
	spec := fakeforge.PushSpec{Project: p.Project, Ref: "refs/tags/v1", After: p.Sample.Head}
	first, err := p.Push(t.Context(), address, spec)
	if err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Hour)
	if _, err := p.Redeliver(t.Context(), address, first); err != nil {
		t.Fatal(err)
	}
	for _, stamp := range []string{"1777896000", "1777899600"} {
		got := <-calls
		signature := mac(key, first.Key+"."+stamp+"."+string(got.Body))
		forgetest.WantHeader(t, got.Header, map[string]string{
			"X-Gitlab-Event": "Tag Push Hook", "X-Gitlab-Token": secret, "X-Gitlab-Instance": p.Base(),
			"Idempotency-Key": first.Key, "Webhook-Id": first.Key, "Webhook-Timestamp": stamp,
			"Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(signature),
		})
		if !strings.HasPrefix(got.Header.Get("User-Agent"), "GitLab/") {
			t.Errorf("User-Agent = %q, want GitLab's", got.Header.Get("User-Agent"))
		}
	}
}

func TestBadSigningTokenIsToldWithoutIt(t *testing.T) {
	t.Parallel()
	p := gitlab.New(fakeforge.Config{SigningToken: "whsec_not base64!"})
	_, err := p.Seal("Push Hook", nil)
	if err == nil || strings.Contains(err.Error(), "not base64!") {
		t.Errorf("err = %v, want one that keeps the forgetest.Token to itself", err)
	}
}

func mac(key, message string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(message))
	return h.Sum(nil)
}
