package github_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
)

var ofApp = platforms.HookTarget{Scope: platforms.ScopeApp}

// appForge is a GitHub that lets everybody in, with an App installed on acme/widgets.
func appForge(t *testing.T) (*fakeforge.Server, *github.Platform) {
	t.Helper()
	server := fakegithub.New(fakeforge.Config{Now: func() time.Time { return noon }})
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	if err := server.SetBase(web.URL); err != nil {
		t.Fatal(err)
	}
	server.AddRepository(fakeforge.Repository{Project: "acme/widgets", ID: 7, Dir: t.TempDir()})
	return server, newPlatform(t, github.Config{
		URL: web.URL, WebhookSecrets: []string{"the secret"}, App: &github.AppConfig{ID: 4, PrivateKey: privateKey(t)},
	})
}

func TestHookOfAnApp(t *testing.T) {
	t.Parallel()
	server, platform := appForge(t)
	if _, err := platform.Hooks(t.Context(), ofApp, hookAddress); !errors.Is(err, platforms.ErrNoHookAccess) {
		t.Errorf("an App without a webhook: %v", err)
	}
	server.AddHook(fakeforge.Hook{URL: hookAddress, Form: true, Events: []string{"workflow_run"}})
	hooks, err := platform.Hooks(t.Context(), ofApp, hookAddress)
	if err != nil || len(hooks) != 1 {
		t.Fatal(hooks, err)
	}
	faults := strings.Join(hooks[0].Faults, "; ")
	if !hooks[0].Broken || faults != `it has no secret; its content type is "form"` ||
		hooks[0].Problem != "subscribe the App to push and status in its settings" {
		t.Errorf("judged as %+v", hooks[0])
	}
	if err := platform.RepairHook(t.Context(), hooks[0], hookAddress); err != nil {
		t.Fatal(err)
	}
	if kept := server.Hooks()[0]; kept.Secret != "the secret" || kept.Form || kept.URL != hookAddress {
		t.Errorf("mended: %+v", kept)
	}
	if err := platform.TestHook(t.Context(), hooks[0]); !errors.Is(err, platforms.ErrNoHookAccess) {
		t.Errorf("an App is not pinged, got %v", err)
	}
}

func TestRedeliveryOfAnApp(t *testing.T) {
	t.Parallel()
	server, platform := appForge(t)
	var code atomic.Int32
	code.Store(503)
	address := receiverOf(t, &code)
	server.AddHook(fakeforge.Hook{URL: address, Secret: "the secret", Events: []string{"push", "workflow_run", "status"}})
	sha := strings.Repeat("ab", 20)
	if err := server.Declare("acme/widgets", sha); err != nil {
		t.Fatal(err)
	}
	made, err := server.Announce(t.Context(), pushOf(sha))
	if err != nil {
		t.Fatal(err)
	}
	hooks, err := platform.Hooks(t.Context(), ofApp, address)
	if err != nil {
		t.Fatal(err)
	}
	missed := attemptsOf(t, platform, hooks[0], time.Time{})
	parsed, err := platform.Parse(made[0].Header, made[0].Body)
	if err != nil || len(missed) != 1 || missed[0].Key != parsed.Key {
		t.Fatalf("missed %+v, want %s, %v", missed, parsed.Key, err)
	}
	code.Store(202)
	if err := platform.Redeliver(t.Context(), hooks[0], missed[0]); err != nil {
		t.Fatal(err)
	}
	if after := attemptsOf(t, platform, hooks[0], time.Time{}); len(after) != 2 || !after[0].Delivered {
		t.Errorf("after the redelivery: %+v", after)
	}
}
