package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// syncs runs scanhook hooks sync and makes sure that it keeps the secrets to itself.
func syncs(t *testing.T, w *sandbox, args ...string) outcome {
	t.Helper()
	got := command(t, append([]string{"hooks", "sync", "--config", w.file(t)}, args...)...)
	for _, secret := range w.secrets {
		got.hides(t, secret)
	}
	return got
}

// changes counts the API calls that are not questions.
func changes(w *sandbox) int {
	n := 0
	for _, call := range w.platform.Calls() {
		if call.Method != http.MethodGet && !strings.Contains(call.Path, "/statuses/") {
			n++
		}
	}
	return n
}

func TestHooksSync(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, sample := setup(t, sandboxConfig{kind: kind, extra: "repositories: [{match: " + kind + "/acme/shop}]"})
			startSandbox(t, w)
			name := kind + "/acme/shop: "
			syncs(t, w, "--dry-run").expect(t, 0, "would add "+name+"a webhook that calls "+w.hookURL())
			check := command(t, "check", "--config", w.file(t))
			check.expect(t, exitFailed, "fail  webhook "+name+"there is none that calls", "run scanhook hooks sync")
			if hooks := w.platform.Hooks(); len(hooks) != 0 || changes(w) != 0 {
				t.Fatalf("a dry run added %+v", hooks)
			}
			syncs(t, w).expect(t, 0, "added     "+name)
			before := changes(w)
			syncs(t, w).expect(t, 0, "ok        "+name)
			if changes(w) != before {
				t.Errorf("the second run changed something: %+v", w.platform.Calls())
			}
			command(t, "check", "--config", w.file(t)).expect(t, 0, "ok    webhook "+name)
			announce(t, w, fakeforge.PushSpec{Project: "acme/shop", Ref: "refs/heads/main", After: sample.Head})
			finalOf(t, w, sample.Head)
			if refused := w.platform.Refused(); len(refused) > 0 {
				t.Errorf("the platform refused %+v", refused)
			}
		})
	}
}

func TestHooksSyncMends(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		kind  string
		hook  fakeforge.Hook
		check string // verdict of scanhook check before
		fault string
	}{
		"github/off":      {"github", fakeforge.Hook{Off: true}, "fail", "it is switched off"},
		"github/secret":   {"github", fakeforge.Hook{Secret: "another"}, "fail", "answered 401"},
		"github/events":   {"github", fakeforge.Hook{Events: []string{"push"}}, "warn", "does not send workflow_run"},
		"gitlab/disabled": {"gitlab", fakeforge.Hook{Failures: 40}, "fail", "GitLab has disabled it"},
		"gitlab/secret":   {"gitlab", fakeforge.Hook{Secret: "another"}, "fail", "answered 401"},
		"gitlab/group": {
			"gitlab", fakeforge.Hook{Group: "acme", Events: []string{"push_events"}}, "warn", "pipeline events",
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			project := test.kind + "/acme/shop"
			w, sample := setup(t, sandboxConfig{kind: test.kind, extra: "repositories: [{match: " + project + "}]"})
			startSandbox(t, w)
			addHook(w, test.hook)
			announce(t, w, fakeforge.PushSpec{Project: "acme/shop", Ref: "refs/heads/main", After: sample.Before})
			command(t, "check", "--config", w.file(t)).expect(t, map[string]int{"fail": 1}[test.check],
				test.check+"  webhook "+project, test.fault, "run scanhook hooks sync")
			syncs(t, w, "--dry-run").expect(t, 0, "would repair "+project, test.fault)
			syncs(t, w).expect(t, 0, "repaired  "+project, test.fault)
			syncs(t, w).expect(t, 0, "ok        "+project)
			command(t, "check", "--config", w.file(t)).expect(t, 0, "ok    webhook "+project)
			got := announce(t, w, fakeforge.PushSpec{Project: "acme/shop", Ref: "refs/heads/main", After: sample.Head})
			if len(got) != 1 || got[0]/100 != 2 {
				t.Errorf("pushes through the mended hook: %v", got)
			}
		})
	}
}

// Platforms answer alike whether there is no project or the token may not see it.
func TestHooksSyncDoubtsThePath(t *testing.T) {
	t.Parallel()
	said := map[string]string{"github": `"Not Found"`, "gitlab": `"404 Not Found"`}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, _ := setup(t, sandboxConfig{kind: kind})
			syncs(t, w, "nope/nope").expect(t, exitFailed, "failed    "+kind+"/nope/nope: ",
				"answered 404, "+said[kind]+": the path may be misspelt or be no project's, else give the token")
		})
	}
}
