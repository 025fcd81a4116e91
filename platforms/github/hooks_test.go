package github_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/platforms"
)

const (
	hookAddress = "https://scan.example.com/webhooks/github"
	theToken    = "the-token"
)

var ofWidgets = core.HookTarget{Scope: core.ScopeProject, Owner: "acme/widgets"}

func TestAddHook(t *testing.T) {
	t.Parallel()
	server, platform := forge(t, true)
	if hooks := hooksOf(t, platform, ofWidgets); len(hooks) != 0 {
		t.Fatalf("hooks of a fresh project: %+v", hooks)
	}
	if err := platform.AddHook(t.Context(), core.HookTarget{Scope: core.ScopeProject, Owner: "acme/widgets"}, hookAddress); err != nil {
		t.Fatal(err)
	}
	kept := server.Hooks()
	want := fakeforge.Hook{
		ID: kept[0].ID, Project: "acme/widgets", URL: hookAddress, Secret: "the secret",
		Events: []string{"push", "workflow_run", "status", "repository", "pull_request"},
	}
	if diff := cmp.Diff([]fakeforge.Hook{want}, kept); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHooksAreJudgedAndRepaired(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		hook   fakeforge.Hook
		broken bool
		fault  string // one of the faults; empty: none
	}{
		"as wanted":   {hook: fakeforge.Hook{}},
		"everything":  {hook: fakeforge.Hook{Events: []string{"*"}}},
		"more events": {hook: fakeforge.Hook{Events: []string{"issues", "workflow_run", "status", "repository", "push", "pull_request"}}},
		"off":         {fakeforge.Hook{Off: true}, true, "switched off"},
		"no secret":   {fakeforge.Hook{Secret: "-"}, true, "no secret"},
		"form":        {fakeforge.Hook{Form: true}, false, `content type is "form"`},
		"no TLS":      {fakeforge.Hook{Insecure: true}, false, "certificate"},
		"plain http":  {fakeforge.Hook{URL: "http://scan.example.com/webhooks/github/"}, false, "it calls http://"},
		"no runs":     {fakeforge.Hook{Events: []string{"push"}}, false, "send workflow_run and status"},
		"no requests": {
			fakeforge.Hook{Events: []string{"push", "workflow_run", "status", "repository"}}, false, "send pull_request",
		},
		"no pushes":      {fakeforge.Hook{Events: []string{"workflow_run"}}, true, "send push and status"},
		"another place":  {hook: fakeforge.Hook{URL: "https://elsewhere.example.com/webhooks/github"}},
		"another system": {hook: fakeforge.Hook{URL: "https://scan.example.com/webhooks/ghes"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, platform := forge(t, true)
			kept := server.AddHook(complete(test.hook))
			hooks := hooksOf(t, platform, ofWidgets)
			if strings.HasPrefix(name, "another") {
				if len(hooks) != 0 {
					t.Errorf("%s is taken for ours", kept.URL)
				}
				return
			}
			hook := hooks[0]
			faults := strings.Join(hook.Faults, "; ")
			if hook.ID != kept.ID || hook.Broken != test.broken || (test.fault == "") != (faults == "") ||
				!strings.Contains(faults, test.fault) {
				t.Fatalf("judged as %+v, want %q", hook, test.fault)
			}
			if err := platform.RepairHook(t.Context(), hook, hookAddress); err != nil {
				t.Fatal(err)
			}
			if repaired := hooksOf(t, platform, ofWidgets)[0]; len(repaired.Faults) != 0 || repaired.Broken {
				t.Errorf("repaired: %+v", repaired)
			}
			repaired := server.Hooks()[0]
			lost := platforms.Lacking(repaired.Events, test.hook.Events...)
			if len(lost) != 0 || repaired.Secret != "the secret" || repaired.URL != hookAddress {
				t.Errorf("repaired: %+v, lost %q", repaired, lost)
			}
		})
	}
}

func TestHookTargets(t *testing.T) {
	t.Parallel()
	got := newPlatform(t, platforms.Config{Token: theToken}).HookTargets("acme/widgets")
	if want := []core.HookTarget{ofWidgets, {Scope: core.ScopeGroup, Owner: "acme"}}; !slices.Equal(got, want) {
		t.Errorf("with a token: %v", got)
	}
	app := newPlatform(t, platforms.Config{App: &platforms.App{ID: 4, PrivateKey: privateKey(t)}})
	got = app.HookTargets("acme/widgets")
	if want := []core.HookTarget{ofWidgets, {Scope: core.ScopeApp}}; !slices.Equal(got, want) {
		t.Errorf("as an App: %v", got)
	}
}

// A hook whose last call was refused or lost says so; only the former is repaired by writing the secret again.
func TestHooksTellOfTheLastCall(t *testing.T) {
	t.Parallel()
	for code, test := range map[int]struct {
		fault, problem string
	}{401: {fault: "answered 401"}, 502: {problem: "answered 502"}, 202: {}} {
		receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		defer receiver.Close()
		server, platform := forge(t, true)
		address := receiver.URL + "/webhooks/github"
		server.AddHook(complete(fakeforge.Hook{URL: address}))
		hooks, err := platform.Hooks(t.Context(), ofWidgets, address)
		if err != nil {
			t.Fatal(err)
		}
		if err := platform.TestHook(t.Context(), hooks[0]); err != nil {
			t.Fatal(err)
		}
		if hooks, err = platform.Hooks(t.Context(), ofWidgets, address); err != nil {
			t.Fatal(err)
		}
		faults := strings.Join(hooks[0].Faults, "; ")
		if !strings.Contains(faults, test.fault) || !strings.Contains(hooks[0].Problem, test.problem) ||
			(faults == "") != (test.fault == "") || (hooks[0].Problem == "") != (test.problem == "") {
			t.Errorf("%d: faults %q, problem %q", code, faults, hooks[0].Problem)
		}
	}
}

var ofApp = core.HookTarget{Scope: core.ScopeApp}

func TestHookOfAnApp(t *testing.T) {
	t.Parallel()
	server, platform := appForge(t, false)
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
		hooks[0].Problem != "subscribe the App to push and status and repository and pull_request in its settings" {
		t.Errorf("judged as %+v", hooks[0])
	}
	if err := platform.RepairHook(t.Context(), hooks[0], hookAddress); err != nil {
		t.Fatal(err)
	}
	if kept := server.Hooks()[0]; kept.Secret != "the secret" || kept.Form || kept.URL != hookAddress {
		t.Errorf("repaired: %+v", kept)
	}
	if err := platform.TestHook(t.Context(), hooks[0]); !errors.Is(err, platforms.ErrNoHookAccess) {
		t.Errorf("an App is not pinged, got %v", err)
	}
}

func TestRedeliveryOfAnApp(t *testing.T) {
	t.Parallel()
	server, platform := appForge(t, false)
	var code atomic.Int32
	code.Store(503)
	address := receiverOf(t, &code)
	server.AddHook(fakeforge.Hook{URL: address, Secret: "the secret", Events: []string{"push", "workflow_run", "status", "repository"}})
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

func TestHookRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		want   error
	}{
		"hidden": {404, platforms.ErrNoHookAccess}, "forbidden": {403, platforms.ErrNoHookAccess},
		"no such call": {405, platforms.ErrNoHookAccess}, "limited": {429, new(platforms.RateLimited)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := describe(t).Serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(`{"message":"no ` + theToken + `"}`))
			})
			platform := newPlatform(t, platforms.Config{URL: server.URL + "/sub", Token: theToken})
			_, err := platform.Hooks(t.Context(), ofWidgets, hookAddress)
			_, attempts := platform.Attempts(t.Context(), platforms.Hook{HookTarget: ofWidgets, ID: 3}, noon)
			for _, err := range []error{err, attempts} {
				limited := new(platforms.RateLimited)
				matches := errors.Is(err, test.want) || errors.As(test.want, &limited) && errors.As(err, &limited)
				if !matches || strings.Contains(err.Error(), theToken) {
					t.Errorf("%v, want %v", err, test.want)
				}
			}
		})
	}
	silent := newPlatform(t, platforms.Config{})
	if _, err := silent.Hooks(t.Context(), ofWidgets, hookAddress); !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
	mad := core.HookTarget{Scope: core.ScopeGroup, Owner: "../app"}
	_, err := newPlatform(t, platforms.Config{Token: theToken}).Hooks(t.Context(), mad, hookAddress)
	if !errors.Is(err, platforms.ErrRefused) {
		t.Errorf("place that is none: %v", err)
	}
}

func TestRedelivery(t *testing.T) {
	t.Parallel()
	server, platform := forge(t, true)
	var code atomic.Int32
	code.Store(503)
	address := receiverOf(t, &code)
	server.AddHook(complete(fakeforge.Hook{URL: address, Events: []string{"*"}}))
	sha := strings.Repeat("ab", 20)
	if err := server.Declare("acme/widgets", sha); err != nil {
		t.Fatal(err)
	}
	made, err := server.Announce(t.Context(), pushOf(sha))
	if err != nil || len(made) != 1 || made[0].Status != 503 {
		t.Fatalf("announced %+v, %v", made, err)
	}
	hooks, err := platform.Hooks(t.Context(), ofWidgets, address)
	if err != nil {
		t.Fatal(err)
	}
	if err := platform.TestHook(t.Context(), hooks[0]); err != nil { // a ping, which Scanhook does not miss
		t.Fatal(err)
	}
	missed := attemptsOf(t, platform, hooks[0], noon.Add(-time.Hour))
	parsed, err := platform.Parse(made[0].Header, made[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	want := platforms.Attempt{ID: made[0].ID, Key: parsed.Key, At: noon}
	if len(missed) != 1 || missed[0] != want {
		t.Fatalf("missed %+v, want %+v", missed, want)
	}
	code.Store(202)
	if err := platform.Redeliver(t.Context(), hooks[0], missed[0]); err != nil {
		t.Fatal(err)
	}
	after := attemptsOf(t, platform, hooks[0], noon.Add(-time.Hour))
	if len(after) != 2 || after[0].Key != want.Key || !after[0].Delivered || after[0].ID == want.ID {
		t.Errorf("after the redelivery: %+v", after)
	}
	if later := attemptsOf(t, platform, hooks[0], noon.Add(time.Second)); len(later) != 0 {
		t.Errorf("attempts of the future: %+v", later)
	}
}

func TestAttemptsArePaged(t *testing.T) {
	t.Parallel()
	server, platform := forge(t, true)
	var code atomic.Int32
	code.Store(500)
	address := receiverOf(t, &code)
	server.AddHook(complete(fakeforge.Hook{URL: address}))
	sha := strings.Repeat("ab", 20)
	if err := server.Declare("acme/widgets", sha); err != nil {
		t.Fatal(err)
	}
	const pushes = 230
	for range pushes {
		if _, err := server.Announce(t.Context(), pushOf(sha)); err != nil {
			t.Fatal(err)
		}
	}
	hooks, err := platform.Hooks(t.Context(), ofWidgets, address)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, attempt := range attemptsOf(t, platform, hooks[0], noon.Add(-time.Hour)) {
		keys[attempt.Key] = true
	}
	if len(keys) != pushes {
		t.Errorf("%d of %d deliveries were seen", len(keys), pushes)
	}
}

func TestRedeliveryOfOrganisations(t *testing.T) {
	t.Parallel()
	server, platform := forge(t, false)
	var code atomic.Int32
	code.Store(503)
	address := receiverOf(t, &code)
	server.AddHook(fakeforge.Hook{Group: "acme", URL: address, Secret: "x", Events: []string{"push", "workflow_run", "status", "repository"}})
	sha := strings.Repeat("ab", 20)
	if err := server.Declare("acme/widgets", sha); err != nil {
		t.Fatal(err)
	}
	made, err := server.Announce(t.Context(), pushOf(sha))
	if err != nil {
		t.Fatal(err)
	}
	hooks, err := platform.Hooks(t.Context(), core.HookTarget{Scope: core.ScopeGroup, Owner: "acme"}, address)
	if err != nil || len(hooks) != 1 {
		t.Fatal(hooks, err)
	}
	missed := attemptsOf(t, platform, hooks[0], time.Time{})
	parsed, err := platform.Parse(made[0].Header, made[0].Body)
	if err != nil || len(missed) != 1 || missed[0].Key != parsed.Key {
		t.Fatalf("missed %+v, want %s, %v", missed, parsed.Key, err)
	}
	if err := platform.Redeliver(t.Context(), hooks[0], missed[0]); err != nil {
		t.Error(err)
	}
	if err := platform.RepairHook(t.Context(), hooks[0], address); err != nil {
		t.Error(err)
	}
}
