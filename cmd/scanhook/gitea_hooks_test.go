package main

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/gitea"
)

// Gitea takes the webhook that hooks sync makes, shows it as right, and lets it be mended; it remembers no deliveries.
func testGiteaHooks(t *testing.T, w *giteaSandbox) {
	p := w.newProject(t, "hooks")
	adapter, err := gitea.New(platforms.Config{
		Name: "gitea", URL: p.base, Token: p.token, WebhookSecrets: []string{p.secrets["SECRET"]},
	})
	if err != nil {
		t.Fatal(err)
	}
	place := platforms.HookTarget{Scope: platforms.ScopeProject, Owner: p.name}
	if err := adapter.AddHook(t.Context(), p.name, p.hookURL()); err != nil {
		t.Fatal(err)
	}
	hook := giteaHook(t, adapter, place, p.hookURL())
	if len(hook.Faults) > 0 || hook.Broken || hook.Problem != "" {
		t.Errorf("a fresh webhook: %+v", hook)
	}
	p.call(t, http.MethodPatch, fmt.Sprintf("/repos/%s/hooks/%d", p.name, hook.ID), map[string]any{
		"active": false, "events": []string{"issues"}, "config": map[string]string{"content_type": "form"},
	}, nil)
	if hook = giteaHook(t, adapter, place, p.hookURL()); len(hook.Faults) != 3 || !hook.Broken {
		t.Errorf("a spoilt webhook: %+v", hook)
	}
	if err := adapter.RepairHook(t.Context(), hook, p.hookURL()); err != nil {
		t.Fatal(err)
	}
	if hook = giteaHook(t, adapter, place, p.hookURL()); len(hook.Faults) > 0 || hook.Broken {
		t.Errorf("the mended webhook: %+v", hook)
	}
	if _, err := adapter.Attempts(t.Context(), hook, time.Time{}); !errors.Is(err, platforms.ErrNoHookAccess) {
		t.Errorf("deliveries of Gitea: %v", err)
	}
	p.push(t, p.sample.Before+":refs/heads/main")
	wantStatus(t, p.final(t, p.sample.Before), "failure", "1 new (1 high)")
}

func giteaHook(t *testing.T, adapter *gitea.Platform, place platforms.HookTarget, address string) platforms.Hook {
	t.Helper()
	hooks, err := adapter.Hooks(t.Context(), place, address)
	if err != nil || len(hooks) != 1 {
		t.Fatalf("webhooks %+v, %v, want one", hooks, err)
	}
	return hooks[0]
}
