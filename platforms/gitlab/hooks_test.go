package gitlab_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/platforms"
)

const (
	theToken = "the-token"
	signing  = "whsec_c2Nhbmhvb2stc2lnbmluZy1rZXktMzItYnl0ZXMh"
)

var (
	ofWidgets = platforms.HookTarget{Scope: platforms.ScopeProject, Owner: "acme/shop/widgets"}
	ofAcme    = platforms.HookTarget{Scope: platforms.ScopeGroup, Owner: "acme"}
	sha       = strings.Repeat("ab", 20)
)

func TestAddHook(t *testing.T) {
	t.Parallel()
	f := newForge(t, true)
	if err := f.platform.AddHook(t.Context(), ofWidgets.Owner, f.address); err != nil {
		t.Fatal(err)
	}
	kept := f.Hooks()[0]
	slices.Sort(kept.Events)
	want := fakeforge.Hook{
		ID: kept.ID, Project: ofWidgets.Owner, URL: f.address, Secret: "the secret", SigningToken: signing,
		Events: []string{"pipeline_events", "push_events", "tag_push_events"},
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if hook := f.hook(t, ofWidgets); len(hook.Faults) > 0 || hook.Broken || hook.Ref != "7" {
		t.Errorf("added hook: %+v", hook)
	}
}

func TestHooksAreJudgedAndMended(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		hook   fakeforge.Hook
		broken bool
		fault  string // one of the faults; empty: none
	}{
		"as wanted":    {hook: fakeforge.Hook{}},
		"of the group": {hook: fakeforge.Hook{Group: "acme"}},
		"more events": {hook: fakeforge.Hook{
			Events: []string{"merge_requests_events", "push_events", "tag_push_events", "pipeline_events"},
		}},
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
			mended, kept := f.hook(t, place), f.Hooks()[0]
			if len(mended.Faults) != 0 || mended.Broken || kept.Secret != "the secret" || kept.SigningToken != signing {
				t.Errorf("mended: %+v, %+v", mended, kept)
			}
			if lost := platforms.Lacking(kept.Events, test.hook.Events...); len(lost) > 0 || kept.Insecure {
				t.Errorf("mended: %+v, lost %q", kept, lost)
			}
		})
	}
}

func TestHookTargets(t *testing.T) {
	t.Parallel()
	got := newPlatform(t, platforms.Config{}).HookTargets(ofWidgets.Owner)
	want := []platforms.HookTarget{ofWidgets, {Scope: platforms.ScopeGroup, Owner: "acme/shop"}, ofAcme}
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
