package gitlab_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/platforms"
)

const (
	theToken = "the-token"
	signing  = "whsec_c2Nhbmhvb2stc2lnbmluZy1rZXktMzItYnl0ZXMh"
)

var (
	ofWidgets = core.HookTarget{Scope: core.ScopeProject, Owner: "acme/shop/widgets"}
	ofAcme    = core.HookTarget{Scope: core.ScopeGroup, Owner: "acme"}
	sha       = strings.Repeat("ab", 20)
)

func TestAddHook(t *testing.T) {
	t.Parallel()
	f := newForge(t, true)
	if err := f.platform.AddHook(t.Context(), ofWidgets, f.address); err != nil {
		t.Fatal(err)
	}
	kept := f.Hooks()[0]
	slices.Sort(kept.Events)
	want := fakeforge.Hook{
		ID: kept.ID, Project: ofWidgets.Owner, URL: f.address, Secret: "the secret", SigningToken: signing,
		Events: []string{"merge_requests_events", "pipeline_events", "push_events", "tag_push_events"},
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if hook := f.hook(t, ofWidgets); len(hook.Faults) > 0 || hook.Broken || hook.Ref != "7" {
		t.Errorf("added hook: %+v", hook)
	}
}

func TestHooksAreJudgedAndRepaired(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		hook   fakeforge.Hook
		broken bool
		fault  string // one of the faults; empty: none
	}{
		"as wanted":    {hook: fakeforge.Hook{}},
		"of the group": {hook: fakeforge.Hook{Group: "acme"}},
		"more events": {hook: fakeforge.Hook{
			Events: []string{"merge_requests_events", "push_events", "tag_push_events", "pipeline_events", "issues_events"},
		}},
		"no requests":       {fakeforge.Hook{Events: []string{"push_events", "tag_push_events", "pipeline_events"}}, false, "merge request events"},
		"no secrets":        {fakeforge.Hook{Secret: "-"}, true, "no secret token"},
		"no signing token":  {fakeforge.Hook{Secret: "x"}, false, "no signing token"},
		"final slash":       {fakeforge.Hook{URL: "/"}, false, "it calls http://"},
		"no pipelines":      {fakeforge.Hook{Events: []string{"push_events", "tag_push_events"}}, false, "pipeline events"},
		"no tags":           {fakeforge.Hook{Events: []string{"push_events", "pipeline_events"}}, false, "tag push events"},
		"no pushes":         {fakeforge.Hook{Events: []string{"tag_push_events", "pipeline_events"}}, true, "send push events"},
		"custom template":   {fakeforge.Hook{Template: "{}"}, true, "custom template"},
		"verifies no cert.": {hook: fakeforge.Hook{Insecure: true}}, // the address is plain http
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, test.hook.Group == "")
			if test.hook.URL != "" {
				test.hook.URL = f.address + test.hook.URL
			}
			f.AddHook(f.complete(test.hook))
			place := ofWidgets
			if test.hook.Group != "" {
				place = ofAcme
			}
			hook := f.hook(t, place)
			faults := strings.Join(hook.Faults, "; ")
			if hook.Broken != test.broken || (test.fault == "") != (faults == "") || !strings.Contains(faults, test.fault) {
				t.Fatalf("judged as %+v, want %q", hook, test.fault)
			}
			if err := f.platform.RepairHook(t.Context(), hook, f.address); err != nil {
				t.Fatal(err)
			}
			repaired, kept := f.hook(t, place), f.Hooks()[0]
			if len(repaired.Faults) != 0 || repaired.Broken || kept.Secret != "the secret" || kept.SigningToken != signing {
				t.Errorf("repaired: %+v, %+v", repaired, kept)
			}
			if lost := platforms.Lacking(kept.Events, test.hook.Events...); len(lost) > 0 || kept.Insecure {
				t.Errorf("repaired: %+v, lost %q", kept, lost)
			}
		})
	}
}

func TestHookTargets(t *testing.T) {
	t.Parallel()
	got := newPlatform(t, platforms.Config{}).HookTargets(ofWidgets.Owner)
	want := []core.HookTarget{ofWidgets, {Scope: core.ScopeGroup, Owner: "acme/shop"}, ofAcme}
	if !slices.Equal(got, want) {
		t.Errorf("places %v, want %v", got, want)
	}
}

func TestHookRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		want   error
	}{
		"hidden": {404, platforms.ErrNoHookAccess}, "forbidden": {403, platforms.ErrNoHookAccess},
		"limited": {429, new(platforms.RateLimited)}, "refused": {422, platforms.ErrRefused},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			platform, _ := serveJSON(t, test.status, `{"message":"no `+theToken+`"}`)
			_, err := platform.Hooks(t.Context(), ofWidgets, "https://scan.example.com/webhooks/gitlab")
			limited := new(platforms.RateLimited)
			if !errors.Is(err, test.want) && (!errors.As(test.want, &limited) || !errors.As(err, &limited)) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
	silent := newPlatform(t, platforms.Config{})
	if _, err := silent.Hooks(t.Context(), ofWidgets, "https://x"); !errors.Is(err, platforms.ErrNoToken) {
		t.Errorf("without a token: %v", err)
	}
}

func TestRedelivery(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		hook  fakeforge.Hook
		place core.HookTarget
	}{
		"project": {fakeforge.Hook{}, ofWidgets},
		"group":   {fakeforge.Hook{Group: "acme"}, ofAcme},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, test.hook.Group == "")
			kept := f.AddHook(f.complete(test.hook))
			f.announce(t)
			f.code.Store(http.StatusServiceUnavailable)
			f.announce(t)
			hook := f.hook(t, test.place)
			missed := f.attempts(t, hook)
			lost := f.Attempts(kept.ID)[1]
			parsed, err := f.platform.Parse(lost.Header, lost.Body)
			if err != nil {
				t.Fatal(err)
			}
			want := platforms.Attempt{ID: lost.ID, Key: parsed.Key}
			if len(missed) != 1 || missed[0] != want || !strings.Contains(hook.Problem, "503") {
				t.Fatalf("missed %+v of %+v, want %+v", missed, hook, want)
			}
			if err := f.platform.Redeliver(t.Context(), hook, missed[0]); !errors.Is(err, platforms.ErrUndelivered) {
				t.Errorf("while the receiver is down: %v", err)
			}
			f.code.Store(http.StatusAccepted)
			if err := f.platform.Redeliver(t.Context(), hook, missed[0]); err != nil {
				t.Error(err)
			}
			made := f.Attempts(kept.ID)
			if last := made[len(made)-1]; last.Key != lost.Key || last.Status != http.StatusAccepted {
				t.Errorf("sent again: %+v", last)
			}
		})
	}
}

func TestAttemptsArePaged(t *testing.T) {
	t.Parallel()
	f := newForge(t, true)
	f.AddHook(f.complete(fakeforge.Hook{}))
	f.code.Store(http.StatusUnauthorized)
	for range 45 {
		for f.announce(t) == 0 {
			f.turn(24 * time.Hour) // the hook is paused
			if f.Hooks()[0].Failures >= 40 {
				break
			}
		}
	}
	hook := f.hook(t, ofWidgets)
	if attempts := f.attempts(t, hook); len(attempts) != 40 {
		t.Errorf("%d attempts, want the 40 after which GitLab gives up", len(attempts))
	}
	faults := strings.Join(hook.Faults, "; ")
	told := strings.Contains(faults, "many failures") && strings.Contains(faults, "401")
	if hook.State != platforms.HookDisabled || !told {
		t.Errorf("hook: %+v", hook)
	}
}

// GitLab lets five events a minute be sent again; a sixth call would silence the whole platform for a minute.
func TestRedeliveryKeepsToGitLabsPace(t *testing.T) {
	t.Parallel()
	f := newForge(t, true)
	f.AddHook(f.complete(fakeforge.Hook{}))
	f.code.Store(http.StatusServiceUnavailable)
	for range 3 {
		f.announce(t)
	}
	f.code.Store(http.StatusAccepted)
	hook := f.hook(t, ofWidgets)
	missed := f.attempts(t, hook)
	for range 5 {
		if err := f.platform.Redeliver(t.Context(), hook, missed[0]); err != nil {
			t.Fatal(err)
		}
	}
	f.turn(20 * time.Second)
	limited := new(platforms.RateLimited)
	err := f.platform.Redeliver(t.Context(), hook, missed[1])
	if !errors.As(err, &limited) || limited.After != 40*time.Second {
		t.Errorf("sixth: %v, want a pause of 40 s", err)
	}
	f.turn(limited.After)
	if err := f.platform.Redeliver(t.Context(), hook, missed[1]); err != nil {
		t.Errorf("after the pause: %v", err)
	}
	if refused := f.Refused(); len(refused) > 0 {
		t.Errorf("GitLab refused %+v", refused)
	}
}

// A disabled hook is not called; a test that succeeds revives it, one that fails does not.
func TestTestHookEnables(t *testing.T) {
	t.Parallel()
	f := newForge(t, true)
	kept := f.AddHook(f.complete(fakeforge.Hook{}))
	if err := f.ChangeHook(kept.ID, func(h *fakeforge.Hook) { h.Failures = 40 }); err != nil {
		t.Fatal(err)
	}
	if code := f.announce(t); code != 0 {
		t.Errorf("a disabled hook was called: %d", code)
	}
	hook := f.hook(t, ofWidgets)
	if hook.State != platforms.HookDisabled || !hook.Broken {
		t.Fatalf("hook: %+v", hook)
	}
	f.AddRepository(sampleOf(t))
	f.code.Store(http.StatusServiceUnavailable)
	if err := f.platform.TestHook(t.Context(), hook); !errors.Is(err, platforms.ErrUndelivered) {
		t.Errorf("test while the receiver is down: %v", err)
	}
	f.code.Store(http.StatusAccepted)
	if err := f.platform.TestHook(t.Context(), hook); err != nil {
		t.Error(err)
	}
	if revived := f.hook(t, ofWidgets); revived.State != platforms.HookActive || revived.Broken || f.announce(t) != 202 {
		t.Errorf("revived: %+v", revived)
	}
}
