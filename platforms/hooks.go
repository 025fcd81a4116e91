package platforms

import (
	"context"
	"errors"
	"slices"
	"time"
)

// HookScope says what a webhook belongs to.
type HookScope string

// The scopes of webhooks. The events of a project come through those of its own, of all that it belongs to, and of a
// GitHub App that is installed on it.
const (
	ScopeProject HookScope = "project"
	ScopeGroup   HookScope = "group" // a GitLab group or a GitHub organisation
	ScopeApp     HookScope = "app"   // a GitHub App
)

// HookTarget is what webhooks are attached to. Owner is the full path of the project or group, empty for an App.
type HookTarget struct {
	Scope HookScope
	Owner string
}

func (t HookTarget) String() string {
	if t.Owner == "" {
		return "the GitHub App"
	}
	return string(t.Scope) + " " + t.Owner
}

// HookState tells whether a platform calls a webhook.
type HookState string

// The states of a webhook.
const (
	HookActive   HookState = "active"
	HookOff      HookState = "off"      // switched off by a person
	HookPaused   HookState = "paused"   // by the platform, after failures, for some time
	HookDisabled HookState = "disabled" // by the platform, after many failures, until a test succeeds
)

// Hook is a webhook that calls Scanhook, as the platform describes it.
type Hook struct {
	HookTarget
	ID     int64  // 0 for the only one of an App
	Ref    string // GitLab: the numeric id of the owner
	URL    string // that it calls
	State  HookState
	Events []string // GitHub: what it announces
	// Broken is set where pushes do not arrive because of Faults or State.
	Broken  bool
	Faults  []string // what is wrong with it and RepairHook repairs
	Hidden  string   // what the platform does not show of it, or empty
	Problem string   // what only a person can repair, or empty: the address is not reached, an App lacks an event
}

// Lacking lists what of wanted is not in found.
func Lacking(found []string, wanted ...string) []string {
	return slices.DeleteFunc(wanted, func(name string) bool { return slices.Contains(found, name) })
}

// Attempt is one attempt of a platform to deliver an event that Scanhook uses.
type Attempt struct {
	ID        int64
	Key       string    // the delivery key that Parse gives to the call
	At        time.Time // zero where the platform does not tell
	Delivered bool      // it was answered as a success
}

// HookSurveyor finds the webhooks through which the events of projects come to an address. It lists each target once, and
// is not safe for concurrent use.
type HookSurveyor struct {
	manager HookManager
	address string
	seen    map[HookTarget]hookList
}

type hookList struct {
	hooks []Hook
	err   error
}

// NewHookSurveyor makes no call yet.
func NewHookSurveyor(manager HookManager, address string) *HookSurveyor {
	return &HookSurveyor{manager: manager, address: address, seen: map[HookTarget]hookList{}}
}

// HookSurvey is what a surveyor has found for a project.
type HookSurvey struct {
	Hooks  []Hook // the project's own first
	Hidden error  // why its own cannot be listed, wraps ErrNoHookAccess; nil where they can
}

// Works tells whether pushes come through at least one webhook.
func (s HookSurvey) Works() bool {
	return slices.ContainsFunc(s.Hooks, func(h Hook) bool { return !h.Broken })
}

// Survey lists the webhooks of all targets of a project. An organisation or group without access is no error: many are
// persons.
func (s *HookSurveyor) Survey(ctx context.Context, project string) (survey HookSurvey, err error) {
	for _, target := range s.manager.HookTargets(project) {
		hooks, err := s.list(ctx, target)
		switch {
		case errors.Is(err, ErrNoHookAccess) && target.Scope == ScopeProject:
			survey.Hidden = err
		case err != nil && !errors.Is(err, ErrNoHookAccess):
			return HookSurvey{}, err
		}
		survey.Hooks = append(survey.Hooks, hooks...)
	}
	return survey, nil
}

func (s *HookSurveyor) list(ctx context.Context, target HookTarget) ([]Hook, error) {
	if known, ok := s.seen[target]; ok {
		return known.hooks, known.err
	}
	hooks, err := s.manager.Hooks(ctx, target, s.address)
	s.seen[target] = hookList{hooks, err}
	return hooks, err
}

// AllRight tells that the target was listed, and that nothing is wrong with its webhooks.
func (s *HookSurveyor) AllRight(target HookTarget) bool {
	known, listed := s.seen[target]
	return listed && known.err == nil && !slices.ContainsFunc(known.hooks, func(h Hook) bool {
		return h.Broken || len(h.Faults) > 0 || h.Problem != ""
	})
}

// Forget makes the next survey list the target again.
func (s *HookSurveyor) Forget(target HookTarget) { delete(s.seen, target) }
