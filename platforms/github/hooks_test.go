package github_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/fakeforge"
	fakegithub "github.com/scanhook/scanhook/internal/fakeforge/github"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/github"
)

const (
	hookAddress = "https://scan.example.com/webhooks/github"
	theToken    = "the-token"
)

var ofWidgets = platforms.HookTarget{Scope: platforms.ScopeProject, Owner: "acme/widgets"}

// forge is a GitHub with the project acme/widgets, whose every call the official description judges where it knows it.
func forge(t *testing.T, judged bool) (*fakeforge.Server, *github.Platform) {
	t.Helper()
	server := fakegithub.New(fakeforge.Config{Token: theToken, Now: func() time.Time { return noon }})
	var url string
	if judged {
		url = describe(t).Serve(t, server.ServeHTTP).URL
	} else {
		web := httptest.NewServer(server)
		t.Cleanup(web.Close)
		url = web.URL
	}
	if err := server.SetBase(url + "/sub"); err != nil {
		t.Fatal(err)
	}
	server.AddRepository(fakeforge.Repository{Project: "acme/widgets", ID: 7, Dir: t.TempDir()})
	return server, newPlatform(t, github.Config{
		URL: url + "/sub", Token: theToken, WebhookSecrets: []string{"the secret", "an older one"},
	})
}

func hooksOf(t *testing.T, platform *github.Platform, place platforms.HookTarget) []platforms.Hook {
	t.Helper()
	hooks, err := platform.Hooks(t.Context(), place, hookAddress)
	if err != nil {
		t.Fatal(err)
	}
	return hooks
}

func TestAddHook(t *testing.T) {
	t.Parallel()
	server, platform := forge(t, true)
	if hooks := hooksOf(t, platform, ofWidgets); len(hooks) != 0 {
		t.Fatalf("hooks of a fresh project: %+v", hooks)
	}
	if err := platform.AddHook(t.Context(), "acme/widgets", hookAddress); err != nil {
		t.Fatal(err)
	}
	kept := server.Hooks()
	want := fakeforge.Hook{
		ID: kept[0].ID, Project: "acme/widgets", URL: hookAddress, Secret: "the secret",
		Events: []string{"push", "workflow_run", "status"},
	}
	if diff := cmp.Diff([]fakeforge.Hook{want}, kept); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHooksAreJudgedAndMended(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		hook   fakeforge.Hook
		broken bool
		fault  string // one of the faults; empty: none
	}{
		"as wanted":      {hook: fakeforge.Hook{}},
		"everything":     {hook: fakeforge.Hook{Events: []string{"*"}}},
		"more events":    {hook: fakeforge.Hook{Events: []string{"issues", "workflow_run", "status", "push"}}},
		"off":            {fakeforge.Hook{Off: true}, true, "switched off"},
		"no secret":      {fakeforge.Hook{Secret: "-"}, true, "no secret"},
		"form":           {fakeforge.Hook{Form: true}, false, `content type is "form"`},
		"no TLS":         {fakeforge.Hook{Insecure: true}, false, "certificate"},
		"plain http":     {fakeforge.Hook{URL: "http://scan.example.com/webhooks/github/"}, false, "it calls http://"},
		"no runs":        {fakeforge.Hook{Events: []string{"push"}}, false, "send workflow_run and status"},
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
			if mended := hooksOf(t, platform, ofWidgets)[0]; len(mended.Faults) != 0 || mended.Broken {
				t.Errorf("mended: %+v", mended)
			}
			mended := server.Hooks()[0]
			lost := platforms.Lacking(mended.Events, test.hook.Events...)
			if len(lost) != 0 || mended.Secret != "the secret" || mended.URL != hookAddress {
				t.Errorf("mended: %+v, lost %q", mended, lost)
			}
		})
	}
}

// complete fills in what a hook of a test leaves open; the secret - is none.
func complete(hook fakeforge.Hook) fakeforge.Hook {
	hook.Project = "acme/widgets"
	if hook.URL == "" {
		hook.URL = hookAddress
	}
	if hook.Secret == "" {
		hook.Secret = "another secret"
	}
	hook.Secret = strings.TrimPrefix(hook.Secret, "-")
	if hook.Events == nil {
		hook.Events = []string{"push", "workflow_run", "status"}
	}
	return hook
}

func TestHookTargets(t *testing.T) {
	t.Parallel()
	got := newPlatform(t, github.Config{Token: theToken}).HookTargets("acme/widgets")
	if want := []platforms.HookTarget{ofWidgets, {Scope: platforms.ScopeGroup, Owner: "acme"}}; !slices.Equal(got, want) {
		t.Errorf("with a token: %v", got)
	}
	app := newPlatform(t, github.Config{App: &github.AppConfig{ID: 4, PrivateKey: privateKey(t)}})
	got = app.HookTargets("acme/widgets")
	if want := []platforms.HookTarget{ofWidgets, {Scope: platforms.ScopeApp}}; !slices.Equal(got, want) {
		t.Errorf("as an App: %v", got)
	}
}

// A hook whose last call was refused or lost says so; only the former is mended by writing the secret again.
func TestHooksTellOfTheLastCall(t *testing.T) {
	t.Parallel()
	for code, test := range map[int]struct {
		fault, trouble string
	}{401: {fault: "answered 401"}, 502: {trouble: "answered 502"}, 202: {}} {
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
		if !strings.Contains(faults, test.fault) || !strings.Contains(hooks[0].Problem, test.trouble) ||
			(faults == "") != (test.fault == "") || (hooks[0].Problem == "") != (test.trouble == "") {
			t.Errorf("%d: faults %q, trouble %q", code, faults, hooks[0].Problem)
		}
	}
}
