package platforms

import (
	"context"
	"errors"
	"slices"

	"github.com/scanhook/scanhook/core"
)

// HookSurveyor finds the webhooks through which the events of projects come to an address. It lists each target once, and
// is not safe for concurrent use.
type HookSurveyor struct {
	manager HookManager
	address string
	seen    map[core.HookTarget]hookList
}

type hookList struct {
	hooks []Hook
	err   error
}

// NewHookSurveyor makes no call yet.
func NewHookSurveyor(manager HookManager, address string) *HookSurveyor {
	return &HookSurveyor{manager: manager, address: address, seen: map[core.HookTarget]hookList{}}
}

// HookSurvey is what a surveyor has found for a project.
type HookSurvey struct {
	Hooks  []Hook // the project's own first
	Hidden error  // why its own cannot be listed, wraps ErrNoHookAccess; nil where they can
}

// Survey lists the webhooks of all targets of a project. An organisation or group without access is no error: many are
// persons.
func (s *HookSurveyor) Survey(ctx context.Context, project string) (survey HookSurvey, err error) {
	for _, target := range s.manager.HookTargets(project) {
		hooks, err := s.list(ctx, target)
		switch {
		case errors.Is(err, ErrNoHookAccess) && target.Scope == core.ScopeProject:
			survey.Hidden = err
		case err != nil && !errors.Is(err, ErrNoHookAccess):
			return HookSurvey{}, err
		}
		survey.Hooks = append(survey.Hooks, hooks...)
	}
	return survey, nil
}

func (s *HookSurveyor) list(ctx context.Context, target core.HookTarget) ([]Hook, error) {
	if known, ok := s.seen[target]; ok {
		return known.hooks, known.err
	}
	hooks, err := s.manager.Hooks(ctx, target, s.address)
	s.seen[target] = hookList{hooks, err}
	return hooks, err
}

// AllRight tells that the target was listed, and that nothing is wrong with its webhooks.
func (s *HookSurveyor) AllRight(target core.HookTarget) bool {
	known, listed := s.seen[target]
	return listed && known.err == nil && !slices.ContainsFunc(known.hooks, func(h Hook) bool {
		return h.Broken || len(h.Faults) > 0 || h.Problem != ""
	})
}

// Forget makes the next survey list the target again.
func (s *HookSurveyor) Forget(target core.HookTarget) { delete(s.seen, target) }
