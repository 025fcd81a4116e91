package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/reconcile"
	"github.com/scanhook/scanhook/store"
)

// looksAfter lets the server's checks over webhooks have its turn at those of the projects.
func looksAfter(t *testing.T, w *sandbox, projects ...string) {
	t.Helper()
	set, err := platformsOf(w.config)
	if err != nil {
		t.Fatal(err)
	}
	order := reconcile.CheckOrder{Report: func(reconcile.HookResult) {}}
	for _, project := range projects {
		order.Projects = append(order.Projects, store.KnownProject{SourcePlatform: w.kind, ProjectName: project})
	}
	checks := reconcile.NewHooks(reconcile.Config{
		Store: w.look(t), Platforms: set, Address: hookAddresses(w.config), Log: slog.New(slog.DiscardHandler),
	})
	if err := checks.CheckNow(t.Context(), order); err != nil {
		t.Fatal(err)
	}
}

// What the server has found wrong with webhooks, check tells also of projects that no entry names in full, without
// asking the platform again.
func TestCheckNamesWebhooksToMend(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "gitlab"})
	hooks := map[string]fakeforge.Hook{
		"acme/off":  {Failures: 40},
		"acme/mute": {Events: []string{"tag_push_events", "pipeline_events"}},
		"acme/lax":  {Events: []string{"push_events", "tag_push_events"}},
		"acme/fine": {},
	}
	var projects []string
	for project, hook := range hooks {
		w.platform.AddRepository(fakeforge.Repository{Project: project, Dir: sample.Dir, DefaultBranch: "main"})
		added := addHook(w, hook)
		if err := w.platform.ChangeHook(added.ID, func(h *fakeforge.Hook) { h.Project = project }); err != nil {
			t.Fatal(err)
		}
		projects = append(projects, project)
	}
	command(t, "migrate", "--config", w.file(t)).expect(t, 0)
	_ = w.listeners[len(w.listeners)-1].Close() // Scanhook is down: nothing can be revived
	looksAfter(t, w, projects...)
	asked := len(w.platform.Calls())
	check := command(t, "check", "--config", w.file(t))
	check.expect(t, exitFailed,
		"fail  webhook of project acme/off on gitlab: GitLab has disabled it after many failures",
		"run scanhook hooks sync gitlab/acme/off",
		"fail  webhook of project acme/mute on gitlab: it does not send push events; run scanhook hooks sync gitlab/acme/mute",
		"warn  webhook of project acme/lax on gitlab: it does not send pipeline events; run scanhook hooks sync gitlab/acme/lax",
		"scanhook recover gitlab/acme/lax looks again")
	if strings.Contains(check.out, "acme/fine") {
		t.Errorf("it names a webhook that is right:\n%s", check.out)
	}
	for _, call := range w.platform.Calls()[asked:] {
		if strings.Contains(call.Path, "/hooks") {
			t.Errorf("it asked the platform: %s %s", call.Method, call.Path)
		}
	}
	w.yaml = strings.Replace(w.yaml, "match: '**'", "match: gitlab/acme/other", 1)
	command(t, "check", "--config", w.file(t)).hides(t, "acme/off", "acme/mute")
}

// A webhook that is looked at now is told as it is now, once.
func TestCheckTellsOfAWebhookOnce(t *testing.T) {
	t.Parallel()
	for name, mended := range map[string]bool{"broken still": false, "mended since": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := setup(t, sandboxConfig{kind: "gitlab", extra: "repositories: [{match: gitlab/acme/shop}]"})
			command(t, "migrate", "--config", w.file(t)).expect(t, 0)
			var hooks []fakeforge.Hook
			for _, group := range []string{"acme", ""} {
				hooks = append(hooks, addHook(w, fakeforge.Hook{Group: group, Events: []string{"tag_push_events"}}))
			}
			looksAfter(t, w, "acme/shop")
			for _, hook := range hooks {
				if err := w.platform.ChangeHook(hook.ID, func(h *fakeforge.Hook) {
					if mended {
						h.Events = []string{"push_events", "tag_push_events", "pipeline_events"}
					}
				}); err != nil {
					t.Fatal(err)
				}
			}
			check := command(t, "check", "--config", w.file(t))
			if told := strings.Count(check.out, "  webhook "); told != 1 && mended || told != 2 && !mended {
				t.Errorf("told %d times:\n%s", told, check.out)
			}
		})
	}
}
