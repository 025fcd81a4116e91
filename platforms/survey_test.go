package platforms_test

import (
	"errors"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

func TestSurvey(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	k := &hookManager{
		hooks: map[string][]platforms.Hook{"acme": {{ID: 1}}, "acme/broken": {{ID: 2, Broken: true}}},
		errs:  map[string]error{"acme/hidden": platforms.ErrNoHookAccess, "acme/down": down},
	}
	surveyor := platforms.NewHookSurveyor(k, "https://us")
	for project, want := range map[string]int{"acme/hidden": 1, "acme/broken": 2, "acme/new": 1} {
		survey, err := surveyor.Survey(t.Context(), project)
		hidden := project == "acme/hidden"
		if err != nil || len(survey.Hooks) != want || (survey.Hidden != nil) != hidden {
			t.Errorf("%s: %+v, %v", project, survey, err)
		}
	}
	if _, err := surveyor.Survey(t.Context(), "acme/down"); !errors.Is(err, down) {
		t.Errorf("%v, want the error of the platform", err)
	}
	if k.asked != 5 {
		t.Errorf("%d questions, want one for each place", k.asked)
	}
	k.hooks["acme"][0].Broken = true
	k.errs["acme"] = platforms.ErrNoHookAccess
	surveyor.Forget(core.HookTarget{Scope: core.ScopeGroup, Owner: "acme"})
	k.hooks["acme"] = nil
	if survey, err := surveyor.Survey(t.Context(), "acme/broken"); err != nil || len(survey.Hooks) != 1 || !survey.Hooks[0].Broken {
		t.Errorf("with a hidden group: %+v, %v", survey, err)
	}
}
