package main

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
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
	place := core.HookTarget{Scope: core.ScopeProject, Owner: p.name}
	if err := adapter.AddHook(t.Context(), core.HookTarget{Scope: core.ScopeProject, Owner: p.name}, p.hookURL()); err != nil {
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

func giteaHook(t *testing.T, adapter *gitea.Platform, place core.HookTarget, address string) platforms.Hook {
	t.Helper()
	hooks, err := adapter.Hooks(t.Context(), place, address)
	if err != nil || len(hooks) != 1 {
		t.Fatalf("webhooks %+v, %v, want one", hooks, err)
	}
	return hooks[0]
}

// What the README asks of a token is enough, and less is noticed before a commit waits.
func testGiteaCredential(t *testing.T, w *giteaSandbox) {
	for name, test := range map[string]struct {
		token string
		code  int // of the refusal; 0: there is none
	}{
		"right":      {w.addToken(t, giteaOwner, "write:repository"), 0},
		"too narrow": {w.addToken(t, giteaOwner, "write:user"), 403},
		"wrong":      {"0123456789012345678901234567890123456789", 401},
	} {
		adapter, err := gitea.New(platforms.Config{Name: "gitea", URL: w.base, Token: test.token})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = adapter.CheckCredential(t.Context()); platforms.CodeOf(err) != test.code || (err == nil) != (test.code == 0) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// hookOf is a webhook as Gitea's API tells it.
type hookOf struct {
	ID            int64
	Active        bool
	Config        map[string]string
	Events        []string
	BranchFilter  string `json:"branch_filter"`
	Authorization string `json:"authorization_header"`
}

func (p *giteaProject) hooks(t *testing.T) (hooks []hookOf) {
	t.Helper()
	p.call(t, http.MethodGet, "/repos/"+p.name+"/hooks", nil, &hooks)
	return hooks
}

// onlyHook fails where there is not one webhook.
func (p *giteaProject) onlyHook(t *testing.T) hookOf {
	t.Helper()
	hooks := p.hooks(t)
	if len(hooks) != 1 {
		t.Fatalf("webhooks of %s: %+v, want one", p.name, hooks)
	}
	return hooks[0]
}

// sync runs scanhook hooks sync, which must end with the code.
func (p *giteaProject) sync(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	p.runs(t, append([]string{"hooks", "sync", "gitea/" + p.name}, args...)...).expect(t, code, want)
}

func (p *giteaProject) check(t *testing.T, code int, want string) {
	t.Helper()
	p.runs(t, "check").expect(t, code, want)
}

// arrives makes a commit whose push must be announced with a valid signature and get its status.
func (p *giteaProject) arrives(t *testing.T, file string) {
	t.Helper()
	sha := p.commit(t, file, "A change.\n")
	p.push(t, "main")
	wantOutcome(t, p.pushed(t, "refs/heads/main", sha), "accepted")
	p.final(t, sha)
}

// Gitea's API for webhooks looks like GitHub's and is another one.
func testGiteaHooksSync(t *testing.T, w *giteaSandbox) {
	w = w.scanhook(t, giteaOptions{token: w.secrets["TOKEN"], match: giteaOwner + "/synced", likeHub: true})
	w.start(t, true)
	p := w.newProject(t, "synced")
	p.sync(t, 1, "give the token the scope write:repository, of an administrator of the project")
	p.check(t, 0, "warn  webhook gitea/acme/synced: cannot be looked at")
	p.permit(t, "admin")
	p.check(t, 1, "fail  webhook gitea/acme/synced: there is none that calls "+p.hookURL())
	p.sync(t, 0, "would add gitea/acme/synced", "--dry-run")
	p.sync(t, 0, "added     gitea/acme/synced")
	added := p.onlyHook(t)
	p.sync(t, 0, "ok        gitea/acme/synced: the webhook of project acme/synced is right; the platform does not show")
	if again := p.onlyHook(t); again.ID != added.ID {
		t.Errorf("the second run put %+v in the place of %+v", again, added)
	}
	p.check(t, 0, "ok    webhook gitea/acme/synced: that of project acme/synced")
	p.arrives(t, "first.txt")
}

// Whatever is broken, the push after the mend arrives.
func testGiteaHookMends(t *testing.T, w *giteaSandbox) {
	w = w.scanhook(t, giteaOptions{token: w.secrets["TOKEN"], match: giteaOwner + "/mends"})
	w.start(t, true)
	p := w.newProject(t, "mends")
	p.permit(t, "admin")
	for _, broken := range []struct {
		change map[string]any
		fault  string
	}{
		{map[string]any{"active": false}, "it is switched off"},
		{map[string]any{"config": map[string]string{"content_type": "form"}}, `its content type is "form"`},
		{map[string]any{"events": []string{"issues"}}, "it does not send push"},
		{map[string]any{"config": map[string]string{"url": p.hookURL() + "/"}}, "it calls " + p.hookURL() + "/"},
	} {
		p.sync(t, 0, "gitea/acme/mends")
		kept := map[string]any{"events": []string{"push"}, "branch_filter": "{main,release/*}", "authorization_header": "Bearer proxy"}
		for key, value := range broken.change {
			kept[key] = value
		}
		p.call(t, http.MethodPatch, fmt.Sprintf("/repos/%s/hooks/%d", p.name, p.onlyHook(t).ID), kept, nil)
		p.runs(t, "check").expect(t, exitFor(broken.fault), "webhook gitea/acme/mends", broken.fault)
		p.sync(t, 0, "repaired  gitea/acme/mends: the webhook of project acme/mends: "+broken.fault)
		p.sync(t, 0, "ok        gitea/acme/mends")
		if hook := p.onlyHook(t); hook.BranchFilter != kept["branch_filter"] || hook.Authorization != kept["authorization_header"] {
			t.Errorf("the mend lost what was added to the webhook: %+v", hook)
		}
		p.arrives(t, "after "+broken.fault[:8])
	}
	p.secretIsMended(t)
	if len(p.noted()) == 0 || p.noted()[0].status != http.StatusAccepted {
		t.Errorf("calls: %+v", p.noted())
	}
}

// exitFor is how scanhook check ends: what breaks nothing is a warning.
func exitFor(fault string) int {
	if fault[:8] == "it calls" {
		return 0
	}
	return exitFailed
}

// secretIsMended changes the configured secret, which Gitea's API neither shows nor changes.
func (p *giteaProject) secretIsMended(t *testing.T) {
	t.Helper()
	p.call(t, http.MethodDelete, fmt.Sprintf("/repos/%s/hooks/%d", p.name, p.onlyHook(t).ID), nil, nil)
	p.addHook(t, "json", "an old secret")
	sha := p.commit(t, "refused.txt", "Nobody hears of it.\n")
	p.push(t, "main")
	if call := p.pushed(t, "refs/heads/main", sha); call.status != http.StatusUnauthorized {
		t.Errorf("a call with another secret was answered %d", call.status)
	}
	p.sync(t, 0, "whether its secret is the configured one: --rewrite makes sure")
	p.sync(t, 0, "repaired  gitea/acme/mends: the webhook of project acme/mends: written again", "--rewrite")
	p.arrives(t, "with the right secret")
}
