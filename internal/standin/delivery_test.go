package standin_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/standin"
)

const secret = "It's a Secret to Everybody"

// received is what a hook got.
type received struct {
	header http.Header
	body   []byte
}

// hook answers 202 and remembers.
func hook(t *testing.T) (address string, calls <-chan received) {
	t.Helper()
	queue := make(chan received, 10)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		queue <- received{r.Header, body}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"outcome":"scan_created"}`)
	}))
	t.Cleanup(web.Close)
	return web.URL, queue
}

func mac(key, message string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(message))
	return h.Sum(nil)
}

func TestGitHubSignature(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub, Secret: secret})
	address, calls := hook(t)
	spec := standin.PushSpec{Project: p.project, Ref: "refs/heads/main", Before: p.sample.Before}
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
		"X-Hub-Signature-256":                    "sha256=" + hex.EncodeToString(mac(secret, string(got.body))),
	}
	checkHeader(t, got.header, want)
	if !strings.HasPrefix(got.header.Get("User-Agent"), "GitHub-Hookshot/") || got.header.Get("X-GitHub-Hook-ID") == "" {
		t.Errorf("header = %v, want GitHub's User-Agent and a hook id", got.header)
	}
	if d.Status != http.StatusAccepted || string(d.Answer) != `{"outcome":"scan_created"}` {
		t.Errorf("answer = %d %s, want what the hook said", d.Status, d.Answer)
	}
}

// The vector is the one of GitHub's documentation.
func TestGitHubSignatureVector(t *testing.T) {
	t.Parallel()
	p := standin.New(standin.Config{Kind: standin.GitHub, Secret: secret})
	d, err := p.Seal("push", []byte("Hello, World!"))
	if err != nil {
		t.Fatal(err)
	}
	want := "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if got := d.Header.Get("X-Hub-Signature-256"); got != want {
		t.Errorf("signature = %s, want %s", got, want)
	}
}

func TestGitLabTokenAndSignature(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("k", 32)
	signing := "whsec_" + base64.StdEncoding.EncodeToString([]byte(key))
	clock := now
	p := start(t, standin.Config{
		Kind: standin.GitLab, Secret: secret, SigningToken: signing, Now: func() time.Time { return clock },
	})
	address, calls := hook(t)
	spec := standin.PushSpec{Project: p.project, Ref: "refs/tags/v1", After: p.sample.Head}
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
		signature := mac(key, first.Key+"."+stamp+"."+string(got.body))
		checkHeader(t, got.header, map[string]string{
			"X-Gitlab-Event": "Tag Push Hook", "X-Gitlab-Token": secret, "X-Gitlab-Instance": p.Base(),
			"Idempotency-Key": first.Key, "Webhook-Id": first.Key, "Webhook-Timestamp": stamp,
			"Webhook-Signature": "v1," + base64.StdEncoding.EncodeToString(signature),
		})
		if !strings.HasPrefix(got.header.Get("User-Agent"), "GitLab/") {
			t.Errorf("User-Agent = %q, want GitLab's", got.header.Get("User-Agent"))
		}
	}
}

func checkHeader(t *testing.T, header http.Header, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for name := range want {
		got[name] = header.Get(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestUnsignedWithoutSecret(t *testing.T) {
	t.Parallel()
	for kind, names := range map[standin.Kind][]string{
		standin.GitHub: {"X-Hub-Signature", "X-Hub-Signature-256"},
		standin.GitLab: {"X-Gitlab-Token", "Webhook-Signature"},
	} {
		d, err := standin.New(standin.Config{Kind: kind}).Seal("push", []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if _, ok := d.Header[http.CanonicalHeaderKey(name)]; ok {
				t.Errorf("%s sends %s without a secret", kind, name)
			}
		}
	}
}

func TestBadSigningTokenIsToldWithoutIt(t *testing.T) {
	t.Parallel()
	p := standin.New(standin.Config{Kind: standin.GitLab, SigningToken: "whsec_not base64!"})
	_, err := p.Seal("Push Hook", nil)
	if err == nil || strings.Contains(err.Error(), "not base64!") {
		t.Errorf("err = %v, want one that keeps the token to itself", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	p := start(t, standin.Config{Kind: standin.GitHub})
	away := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	t.Cleanup(away.Close)
	d, err := p.Push(t.Context(), away.URL, standin.PushSpec{Project: p.project, Ref: "refs/heads/main"})
	if err != nil || d.Status != http.StatusFound {
		t.Errorf("answer = %d, %v, want 302", d.Status, err)
	}
	again, err := p.Redeliver(t.Context(), away.URL, d)
	if err != nil || again.Key != d.Key || cmp.Diff(d.Header, again.Header) != "" {
		t.Errorf("redelivered as %v, %v, want the same to the letter", again.Header, err)
	}
}
