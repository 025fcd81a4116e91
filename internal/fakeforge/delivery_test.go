package fakeforge_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
)

func TestUnsignedWithoutSecret(t *testing.T) {
	t.Parallel()
	for kind, names := range map[*forgetest.Kind][]string{
		forgetest.GitHub: {"X-Hub-Signature", "X-Hub-Signature-256"},
		forgetest.GitLab: {"X-Gitlab-Token", "Webhook-Signature"},
	} {
		d, err := kind.New(fakeforge.Config{}).Seal("push", []byte("{}"))
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

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	p := forgetest.Start(t, forgetest.GitHub, fakeforge.Config{})
	away := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	t.Cleanup(away.Close)
	d, err := p.Push(t.Context(), away.URL, fakeforge.PushSpec{Project: p.Project, Ref: "refs/heads/main"})
	if err != nil || d.Status != http.StatusFound {
		t.Errorf("answer = %d, %v, want 302", d.Status, err)
	}
	again, err := p.Redeliver(t.Context(), away.URL, d)
	if err != nil || again.Key != d.Key || cmp.Diff(d.Header, again.Header) != "" {
		t.Errorf("redelivered as %v, %v, want the same to the letter", again.Header, err)
	}
}
