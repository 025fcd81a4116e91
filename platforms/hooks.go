package platforms

import (
	"context"
	"errors"
	"slices"
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

// HookPlace is where webhooks are kept. Owner is the full path of the project or group, empty for an App.
type HookPlace struct {
	Scope HookScope
	Owner string
}

func (p HookPlace) String() string {
	if p.Owner == "" {
		return "the GitHub App"
	}
	return string(p.Scope) + " " + p.Owner
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
	HookPlace
	ID     int64  // 0 for the only one of an App
	Ref    string // GitLab: the numeric id of the owner
	URL    string // that it calls
	State  HookState
	Events []string // GitHub: what it announces
	// Broken tells that pushes do not arrive because of Faults or State.
	Broken bool
	Faults []string // what is not as Scanhook wants it, and MendHook puts right
	Hidden string   // what the platform does not show of it, or nothing
	// Trouble is what only a person can mend, or nothing: the address is not reached, an App lacks an event.
	Trouble string
}

// HookManager is a Platform whose webhooks can be looked at and put right. Errors are those of this package; anything
// else is worth another try.
type HookManager interface {
	// HookPlaces is where webhooks for a project's events can be, the widest last.
	HookPlaces(project string) []HookPlace
	// Hooks finds the webhooks of a place that call address.
	Hooks(ctx context.Context, place HookPlace, address string) ([]Hook, error)
	// AddHook creates a webhook of a project for address, with the first configured secret.
	AddHook(ctx context.Context, project, address string) error
	// MendHook gives a webhook everything that Scanhook wants of it, the secret included.
	MendHook(ctx context.Context, hook Hook, address string) error
}

// ErrNoHookAccess is what an adapter says where the token may not look after webhooks, or the platform does not offer
// it.
var ErrNoHookAccess = errors.New("no access to the webhooks")

// Lacking names what of wanted is not among found.
func Lacking(found []string, wanted ...string) []string {
	return slices.DeleteFunc(wanted, func(name string) bool { return slices.Contains(found, name) })
}
