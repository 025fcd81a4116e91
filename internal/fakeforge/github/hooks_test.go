package github_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/internal/fakeforge/github"
)

const secret = "It's a Secret to Everybody"

func TestGitHubSignature(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{Secret: secret})
	address, calls := forgetest.Receive(t)
	spec := fakeforge.PushSpec{Project: p.Project, Ref: "refs/heads/main", Before: p.Sample.Before}
	d, err := p.Push(t.Context(), address, spec)
	if err != nil {
		t.Fatal(err)
	}
	got := <-calls
	want := map[string]string{
		"Content-Type":                           "application/json",
		"X-GitHub-Event":                         "push",
		"X-GitHub-Delivery":                      d.Key,
		"X-GitHub-Hook-Installation-Target-Type": "repository",
		"X-GitHub-Hook-Installation-Target-ID":   "77",
		"X-Hub-Signature-256":                    "sha256=" + hex.EncodeToString(mac(secret, string(got.Body))),
	}
	forgetest.WantHeader(t, got.Header, want)
	if !strings.HasPrefix(got.Header.Get("User-Agent"), "GitHub-Hookshot/") || got.Header.Get("X-GitHub-Hook-ID") == "" {
		t.Errorf("header = %v, want GitHub's User-Agent and a hook id", got.Header)
	}
	if d.Status != http.StatusAccepted || string(d.Answer) != `{"outcome":"scan_created"}` {
		t.Errorf("answer = %d %s, want what the hook said", d.Status, d.Answer)
	}
}

func mac(key, message string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(message))
	return h.Sum(nil)
}

// The vector is the one of GitHub's documentation.
func TestGitHubSignatureVector(t *testing.T) {
	t.Parallel()
	p := github.New(fakeforge.Config{Secret: secret})
	d, err := p.Seal("push", []byte("Hello, World!"))
	if err != nil {
		t.Fatal(err)
	}
	want := "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if got := d.Header.Get("X-Hub-Signature-256"); got != want {
		t.Errorf("signature = %s, want %s", got, want)
	}
}
