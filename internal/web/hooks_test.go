package web_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
)

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
	if _, err := s.store.AcceptIgnored(t.Context(), ignored, "ping"); err != nil {
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
	lacks(t, s.page("/deliveries"), "Webhooks to mend")
	now := time.Now()
	for owner, state := range map[string]string{"acme/shop<b>": "disabled", "acme/fine": "active", "acme/empty": "none", "acme/mute": "broken"} {
		place := store.HookPlace{SourcePlatform: "gitlab", Scope: "project", Owner: owner}
		claimed, err := s.store.ClaimHookPlaceNow(t.Context(), place, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		next := claimed
		next.State, next.CheckedAt = state, &now
		if state == "disabled" {
			next.Note = "it fails"
		}
		if err := s.store.SettleHookPlace(t.Context(), claimed, next, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	page := s.page("/deliveries")
	contains(t, page, "Webhooks to mend", "project <bdi>acme/shop&lt;b&gt;</bdi> on gitlab", "<b>disabled</b>: it fails")
	contains(t, page, "project <bdi>acme/mute</bdi> on gitlab")
	lacks(t, page, "acme/fine", "acme/empty")
}

// A webhook that does not call is named wherever people look first: it is not only the list of calls that it concerns.
func TestFailingWebhooksAreNamedOnTheFirstPageAndTheProjects(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.scanned(1, finding())
	now := time.Now()
	for _, place := range []store.HookPlace{
		{SourcePlatform: "github", Scope: "project", Owner: "Acme/Shop"}, {SourcePlatform: "github", Scope: "group", Owner: "acme"},
		{SourcePlatform: "github", Scope: "project", Owner: "acme/other"},
	} {
		claimed, err := s.store.ClaimHookPlaceNow(t.Context(), place, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		next := claimed
		next.State, next.CheckedAt = "off", &now
		if err := s.store.SettleHookPlace(t.Context(), claimed, next, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	contains(t, s.page("/"), "Webhooks to mend", "<bdi>Acme/Shop</bdi>", "<bdi>acme/other</bdi>")
	project := s.page("/projects/github/acme/shop")
	contains(t, project, "Webhooks to mend", "<bdi>Acme/Shop</bdi>", "group <bdi>acme</bdi>")
	lacks(t, project, "acme/other")
}
