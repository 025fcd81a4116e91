package platforms_test

import (
	"context"
	"errors"
	"testing"

	"github.com/scanhook/scanhook/platforms"
)

func TestAddressesOfWebhooks(t *testing.T) {
	t.Parallel()
	const ours = "https://scan.example.com/sub/webhooks/github"
	tests := map[string]struct {
		same       bool
		own, shown string
	}{
		ours:       {true, ours, ours},
		ours + "/": {true, ours, ours + "/"},
		"http://Scan.Example.com:80/sub/webhooks/github": {true, ours, "http://Scan.Example.com:80/sub/webhooks/github"},
		"https://scan.example.com:443/sub/webhooks/github": {
			true, ours, "https://scan.example.com:443/sub/webhooks/github",
		},
		"https://ci:hunter2@scan.example.com/sub/webhooks/github": {
			true, "https://ci:hunter2@scan.example.com/sub/webhooks/github",
			"https://ci:xxxxx@scan.example.com/sub/webhooks/github",
		},
		"https://scan.example.com/sub/webhooks/ghes":        {own: ours, shown: "https://scan.example.com/sub/webhooks/ghes"},
		"https://scan.example.com/webhooks/github":          {own: ours, shown: "https://scan.example.com/webhooks/github"},
		"https://scan.example.com:8443/sub/webhooks/github": {own: ours, shown: "https://scan.example.com:8443/sub/webhooks/github"},
		"https://scan.example.com/sub/webhooks/github?x=y":  {own: ours, shown: "https://scan.example.com/sub/webhooks/github?x=y"},
		"https://evil.example.com/sub/webhooks/github":      {own: ours, shown: "https://evil.example.com/sub/webhooks/github"},
		"https://scan.example.com.evil/sub/webhooks/github": {own: ours, shown: "https://scan.example.com.evil/sub/webhooks/github"},
		"://": {own: ours, shown: "an address that cannot be read"},
	}
	for found, test := range tests {
		if got := platforms.SameAddress(found, ours); got != test.same {
			t.Errorf("%s: same %v", found, got)
		}
		if got := platforms.OwnAddress(found, ours); got != test.own {
			t.Errorf("%s: own %s", found, got)
		}
		if got := platforms.ShownAddress(found); got != test.shown {
			t.Errorf("%s: shown %s", found, got)
		}
	}
}

// keeper has its webhooks by owner, and counts the questions.
type keeper struct {
	platforms.HookKeeper
	hooks map[string][]platforms.Hook
	errs  map[string]error
	asked int
}

func (k *keeper) HookPlaces(project string) []platforms.HookPlace {
	return []platforms.HookPlace{{Scope: platforms.ScopeProject, Owner: project}, {Scope: platforms.ScopeGroup, Owner: "acme"}}
}

func (k *keeper) Hooks(_ context.Context, place platforms.HookPlace, _ string) ([]platforms.Hook, error) {
	k.asked++
	return k.hooks[place.Owner], k.errs[place.Owner]
}

func TestSurvey(t *testing.T) {
	t.Parallel()
	trouble := errors.New("trouble")
	k := &keeper{
		hooks: map[string][]platforms.Hook{"acme": {{ID: 1}}, "acme/broken": {{ID: 2, Broken: true}}},
		errs:  map[string]error{"acme/hidden": platforms.ErrNoHookAccess, "acme/down": trouble},
	}
	surveyor := platforms.NewHookSurveyor(k, "https://us")
	for project, want := range map[string]int{"acme/hidden": 1, "acme/broken": 2, "acme/new": 1} {
		survey, err := surveyor.Survey(t.Context(), project)
		hidden := project == "acme/hidden"
		if err != nil || len(survey.Hooks) != want || !survey.Works() || (survey.Hidden != nil) != hidden {
			t.Errorf("%s: %+v, %v", project, survey, err)
		}
	}
	if _, err := surveyor.Survey(t.Context(), "acme/down"); !errors.Is(err, trouble) {
		t.Errorf("%v, want the trouble", err)
	}
	if k.asked != 5 {
		t.Errorf("%d questions, want one for each place", k.asked)
	}
	k.hooks["acme"][0].Broken = true
	k.errs["acme"] = platforms.ErrNoHookAccess
	surveyor.Forget(platforms.HookPlace{Scope: platforms.ScopeGroup, Owner: "acme"})
	k.hooks["acme"] = nil
	if survey, err := surveyor.Survey(t.Context(), "acme/broken"); err != nil || survey.Works() || len(survey.Hooks) != 1 {
		t.Errorf("with a hidden group: %+v, %v", survey, err)
	}
}
