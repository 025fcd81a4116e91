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
		diff  []string
	}{
		"github/off":      {"github", fakeforge.Hook{Off: true}, "fail", "it is switched off", []string{"  - active: false\n  + active: true\n"}},
		"github/secret":   {"github", fakeforge.Hook{Secret: "another"}, "fail", "answered 401", nil},
		"github/events":   {"github", fakeforge.Hook{Events: []string{"push"}}, "warn", "does not send workflow_run", []string{"  - events: push\n  + events: push, workflow_run, "}},
		"gitlab/disabled": {"gitlab", fakeforge.Hook{Failures: 40}, "fail", "GitLab has disabled it", nil},
		"gitlab/secret":   {"gitlab", fakeforge.Hook{Secret: "another"}, "fail", "answered 401", nil},
		"gitlab/group": {
			"gitlab", fakeforge.Hook{Group: "acme", Events: []string{"push_events"}}, "warn", "pipeline events",
			[]string{"  - pipeline_events: false\n  + pipeline_events: true\n"},
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
			syncs(t, w, "--dry-run").expect(t, 0, append(test.diff, "would repair "+project, test.fault, "  + secret: the first of the configuration")...)
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

// Globs are filled in with what the token sees; a group has one webhook for all. A dry run shows both as a diff.
func TestHooksSyncOfGlobsAndGroups(t *testing.T) {
	t.Parallel()
	for kind, events := range map[string]string{
		"github": "events: push, workflow_run, status, repository, pull_request", "gitlab": "merge_requests_events: true",
		"gitea": "events: push, workflow_run, status, repository, pull_request, create, delete, pull_request_sync",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w, sample := setup(t, sandboxConfig{kind: kind, extra: "repositories: [{match: " + kind + "/acme/s*}, {match: '" + kind + "/team/**'}]"})
			startSandbox(t, w)
			for _, project := range []string{"acme/site", "acme/other", "team/api", "team/web"} {
				w.platform.AddRepository(fakeforge.Repository{Project: project, Dir: sample.Dir})
			}
			syncs(t, w).expect(t, exitUsage, "or --all for those that the globs match, or --groups")
			syncs(t, w, "--all", "--groups").expect(t, exitUsage, "leave out the arguments and --groups")
			syncs(t, w, "--groups", "no/team").expect(t, exitUsage, `"no/team" does not start with a platform (`+kind+")")
			syncs(t, w, "--groups", "--dry-run").expect(t, 0, "would add "+kind+"/team: a webhook that calls "+w.hookURL(), "  + "+events+"\n",
				"  + url: "+w.hookURL()+"\n", ": the first of the configuration\n")
			if changes(w) != 0 {
				t.Fatalf("a dry run changed something: %+v", w.platform.Calls())
			}
			syncs(t, w, "--groups").expect(t, 0, "added     "+kind+"/team: ")
			all := syncs(t, w, "--all")
			all.expect(t, 0, "added     "+kind+"/acme/shop: ", "added     "+kind+"/acme/site: ", "ok        "+kind+"/team/api: the webhook of group team is right")
			if strings.Contains(all.out, "acme/other") {
				t.Errorf("a project that nothing matches:\n%s", all.out)
			}
			syncs(t, w, "--groups").expect(t, 0, "ok        "+kind+"/team: ")
			if hooks := w.platform.Hooks(); len(hooks) != 3 || hooks[0].Group != "team" || hooks[0].Secret != w.secrets["SECRET"] {
				t.Errorf("the webhooks are %+v", hooks)
			}
		})
	}
}
