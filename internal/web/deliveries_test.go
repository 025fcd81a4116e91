package web_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestDeliveriesAreListedAndFiltered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	contains(t, s.page("/deliveries"), "No deliveries yet")
	scan := s.scanned(1, finding())
	ignored := core.Delivery{Platform: "github", Key: "k", Name: "star<b>", Project: "acme/shop"}
	if _, err := s.store.Accept(t.Context(), storetest.With(ignored, core.Ignored{Reason: "nothing to do & more"})); err != nil {
		t.Fatal(err)
	}
	contains(t, s.page("/deliveries"), "star&lt;b&gt;", "nothing to do &amp; more", "/hooks/scans/"+scan.ReferenceID, "scan_created")
	only := s.page("/deliveries?state=ignored")
	contains(t, only, "star&lt;b&gt;", "Show all")
	lacks(t, only, scan.ReferenceID)
}

func TestSilentWebhooksAreNamed(t *testing.T) {
	t.Parallel()
	last := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	silent := liveness.Health{
		Platform: "github", Project: "acme/quiet<b>", Last: last, Known: true, Usual: 72 * time.Hour, Silent: true,
	}
	hooks := []liveness.Health{silent, {Platform: "gitlab", Last: last, Silent: true}}
	for n := range 30 {
		hooks = append(hooks, liveness.Health{Platform: "github", Project: fmt.Sprint("acme/p", n), Last: last, Silent: true})
	}
	s := newSite(t, func(cfg *web.Config) {
		cfg.Silent = func() []liveness.Health { return hooks }
		cfg.Hook = func(_, project string) (liveness.Health, bool) { return silent, project == "acme/shop" }
	})
	page := s.page("/deliveries")
	contains(t, page, "Silent webhooks", "acme/quiet&lt;b&gt;", "all of gitlab",
		"acme/p17", "and 12 more", "/hooks/projects/github/acme/quiet")
	lacks(t, page, "acme/p18")
	ignored := core.Delivery{Platform: "github", Key: "k", Name: "ping", Project: "acme/other"}
	if _, err := s.store.Accept(t.Context(), storetest.With(ignored, core.Ignored{Reason: "ping"})); err != nil {
		t.Fatal(err)
	}
	lacks(t, s.page("/projects/github/acme/other"), "last call", "Silent since")
	s.scanned(1)
	hooks, silent.Last = nil, time.Now().Add(time.Hour)
	contains(t, s.page("/projects/github/acme/shop"), "last call", "at most <b>3 days</b> apart", "Silent since")
	silent.Last = last
	lacks(t, s.page("/projects/github/acme/shop"), "Silent since")
	lacks(t, s.page("/deliveries"), "Silent webhooks")
}

func TestFailingWebhooksAreNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lacks(t, s.page("/deliveries"), "Webhooks that need repair")
	now := time.Now()
	for owner, state := range map[string]string{"acme/shop<b>": "disabled", "acme/fine": "active", "acme/empty": "none", "acme/mute": "broken"} {
		place := store.HookCheck{SourcePlatform: "gitlab", HookTarget: core.HookTarget{Scope: "project", Owner: owner}}
		claimed, err := s.store.ClaimHookTargetNow(t.Context(), place, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		next := claimed
		next.State, next.CheckedAt = state, &now
		if state == "disabled" {
			next.Note = "it fails"
		}
		if err := s.store.SettleHookTarget(t.Context(), claimed, next, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	page := s.page("/deliveries")
	contains(t, page, "Webhooks that need repair", "project <bdi>acme/shop&lt;b&gt;</bdi> on gitlab", "<b>disabled</b>: it fails")
	contains(t, page, "project <bdi>acme/mute</bdi> on gitlab")
	lacks(t, page, "acme/fine", "acme/empty")
}

// A webhook that does not call is named on every page where people look first, not only in the list of calls.
func TestFailingWebhooksAreNamedOnTheFirstPageAndTheProjects(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.scanned(1, finding())
	now := time.Now()
	for _, place := range []store.HookCheck{
		{SourcePlatform: "github", HookTarget: core.HookTarget{Scope: "project", Owner: "Acme/Shop"}}, {SourcePlatform: "github", HookTarget: core.HookTarget{Scope: "group", Owner: "acme"}},
		{SourcePlatform: "github", HookTarget: core.HookTarget{Scope: "project", Owner: "acme/other"}},
	} {
		claimed, err := s.store.ClaimHookTargetNow(t.Context(), place, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		next := claimed
		next.State, next.CheckedAt = "off", &now
		if err := s.store.SettleHookTarget(t.Context(), claimed, next, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	contains(t, s.page("/"), "Webhooks that need repair", "<bdi>acme/shop</bdi>", "<bdi>acme/other</bdi>")
	project := s.page("/projects/github/acme/shop")
	contains(t, project, "Webhooks that need repair", "<bdi>acme/shop</bdi>", "group <bdi>acme</bdi>")
	lacks(t, project, "acme/other")
}

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
	for i, proof := range []core.Verification{
		{SecretID: "0a0a0a0a", Place: "signing_tokens[0]", Signed: true, MaySign: true},
		{SecretID: "0c0c0c0c", Place: "webhook_secrets[0]", MaySign: true},
	} {
		delivery := core.Delivery{Platform: "gitlab", Key: "k", Name: "Push Hook", Project: "acme/<shop>", Verification: proof}
		call := core.Call{Delivery: storetest.With(delivery, core.Ignored{Reason: "x"}), Raw: []byte("{}")}
		if _, err := s.store.Keep(t.Context(), call); (err != nil) != (i == 1) {
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
