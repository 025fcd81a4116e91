package platforms

import (
	"context"
	"errors"
	"slices"
)

// HookSurveyor finds the webhooks through which the events of projects come to an address. It asks for each place once,
// and is not safe for concurrent use.
type HookSurveyor struct {
	manager HookManager
	address string
	seen    map[HookPlace]sight
}

type sight struct {
	hooks []Hook
	err   error
}

// NewHookSurveyor asks nobody yet.
func NewHookSurveyor(manager HookManager, address string) *HookSurveyor {
	return &HookSurveyor{manager: manager, address: address, seen: map[HookPlace]sight{}}
}

// HookSurvey is what a surveyor has found for a project.
type HookSurvey struct {
	Hooks  []Hook // the project's own first
	Hidden error  // why its own cannot be seen, wraps ErrNoHookAccess; nil where they can
}

// Works tells whether pushes come through at least one webhook.
func (s HookSurvey) Works() bool {
	return slices.ContainsFunc(s.Hooks, func(h Hook) bool { return !h.Broken })
}

// Survey looks at all places of a project. That an organisation or a group lets nobody look is no error: many are
// persons.
func (s *HookSurveyor) Survey(ctx context.Context, project string) (survey HookSurvey, err error) {
	for _, place := range s.manager.HookPlaces(project) {
		hooks, err := s.look(ctx, place)
		switch {
		case errors.Is(err, ErrNoHookAccess) && place.Scope == ScopeProject:
			survey.Hidden = err
		case err != nil && !errors.Is(err, ErrNoHookAccess):
			return HookSurvey{}, err
		}
		survey.Hooks = append(survey.Hooks, hooks...)
	}
	return survey, nil
}

func (s *HookSurveyor) look(ctx context.Context, place HookPlace) ([]Hook, error) {
	if known, ok := s.seen[place]; ok {
		return known.hooks, known.err
	}
	hooks, err := s.manager.Hooks(ctx, place, s.address)
	s.seen[place] = sight{hooks, err}
	return hooks, err
}

// AllRight tells that the place was looked at, and that nothing is wrong with its webhooks.
func (s *HookSurveyor) AllRight(place HookPlace) bool {
	known, looked := s.seen[place]
	return looked && known.err == nil && !slices.ContainsFunc(known.hooks, func(h Hook) bool {
		return h.Broken || len(h.Faults) > 0 || h.Trouble != ""
	})
}

// Forget makes the next survey look at the place again.
func (s *HookSurveyor) Forget(place HookPlace) { delete(s.seen, place) }
