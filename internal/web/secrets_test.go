package web_test

import (
	"net/url"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web"
)

func TestSecretsAreShownToThoseWhoLoggedIn(t *testing.T) {
	t.Parallel()
	maySign := true
	s := newSite(t, func(cfg *web.Config) {
		cfg.MaySign = func(string, string) bool { return maySign }
		cfg.Secrets = []web.Secret{
			{Platform: "gitlab", Place: "signing_tokens[0]", ID: "0a0a0a0a"},
			{Platform: "gitlab", Place: "repositories[2].webhook_secrets[0]", ID: "0b0b0b0b", Match: "gitlab/acme/*"},
		}
	})
	for i, proof := range []core.Proof{
		{SecretID: "0a0a0a0a", Place: "signing_tokens[0]", Signed: true, MaySign: true},
		{SecretID: "0c0c0c0c", Place: "webhook_secrets[0]", MaySign: true},
	} {
		delivery := core.Delivery{Platform: "gitlab", Key: "k", Name: "Push Hook", Project: "acme/<shop>", Proof: proof}
		if _, err := s.store.AcceptIgnored(t.Context(), delivery, "x"); (err != nil) != (i == 1) {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	anonymous := s.page("/deliveries")
	contains(t, anonymous, "signed, by signing_tokens[0]")
	lacks(t, anonymous, "Webhook secrets", "0a0a0a0a", "0b0b0b0b", "unsigned call")
	lacks(t, s.page("/projects/gitlab/"+url.PathEscape("acme/<shop>")), "0a0a0a0a")
	s.login()
	page := s.page("/deliveries")
	contains(t, page, "signed, by signing_tokens[0] (0a0a0a0a)", "Webhook secrets", "repositories[2].webhook_secrets[0] (0b0b0b0b)", "gitlab/acme/*", "all projects",
		"never used", "1 unsigned call", "acme/&lt;shop&gt;", "enter the signing token there")
	lacks(t, page, "0c0c0c0c")
	maySign = false
	lacks(t, s.page("/deliveries"), "unsigned call")
}
