package platforms

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
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
	Faults []string // what is not as Scanhook wants it, and PutHook mends
	Hidden string   // what the platform does not show of it, or nothing
	// Trouble is what only a person can mend, or nothing: the address is not reached, an App lacks an event.
	Trouble string
}

// Attempt is one try of a platform to deliver an event that Scanhook uses.
type Attempt struct {
	ID        int64
	Key       string    // the delivery key that Parse gives to the call
	At        time.Time // zero where the platform does not tell
	Delivered bool      // it was answered as a success
}

// HookKeeper is a Platform whose webhooks can be looked at and put right. Errors are those of this package; anything
// else is worth another try.
type HookKeeper interface {
	// HookPlaces is where webhooks for a project's events can be, the widest last.
	HookPlaces(project string) []HookPlace
	// Hooks finds the webhooks of a place that call address.
	Hooks(ctx context.Context, place HookPlace, address string) ([]Hook, error)
	// AddHook creates a webhook of a project for address, with the first configured secret.
	AddHook(ctx context.Context, project, address string) error
	// MendHook gives a webhook everything that Scanhook wants of it, the secret included.
	MendHook(ctx context.Context, hook Hook, address string) error
}

// Redeliverer is a Platform that remembers what it has delivered. Errors are those of this package; anything else is
// worth another try.
type Redeliverer interface {
	// Attempts lists what the platform tried to deliver since then, the newest first. Platforms that tell no times list
	// all that failed and that they remember.
	Attempts(ctx context.Context, hook Hook, since time.Time) ([]Attempt, error)
	// Redeliver has the platform try again, under the same key. It returns before the call has come where the platform
	// works that way.
	Redeliver(ctx context.Context, hook Hook, attempt Attempt) error
	// TestHook has the platform call the webhook, which makes it forgive one that it has paused or disabled.
	TestHook(ctx context.Context, hook Hook) error
}

// What an adapter says of webhooks.
var (
	// ErrNoHookAccess: the token may not look after these webhooks, or the platform does not offer it.
	ErrNoHookAccess = errors.New("no access to the webhooks")
	// ErrUndelivered: the platform tried at once, and the call did not succeed.
	ErrUndelivered = errors.New("the platform's call did not succeed")
)

// SameAddress tells whether a webhook that calls found is meant for wanted: the scheme and a final slash may differ.
func SameAddress(found, wanted string) bool {
	a, errA := url.Parse(found)
	b, errB := url.Parse(wanted)
	return errA == nil && errB == nil && a.RawQuery == "" && bareHost(a) == bareHost(b) &&
		strings.TrimRight(a.Path, "/") == strings.TrimRight(b.Path, "/")
}

// OwnAddress is wanted with the user and password that the webhook has in its address, for a proxy before us.
func OwnAddress(found, wanted string) string {
	a, errA := url.Parse(found)
	b, errB := url.Parse(wanted)
	if errA != nil || errB != nil || a.User == nil {
		return wanted
	}
	b.User = a.User
	return b.String()
}

// ShownAddress is an address for people: short, and without a password.
func ShownAddress(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be read"
	}
	return Excerpt(parsed.Redacted(), "")
}

// bareHost leaves out the port that a scheme has anyway.
func bareHost(address *url.URL) string {
	host := strings.ToLower(address.Host)
	if port := address.Port(); address.Scheme == "https" && port == "443" || address.Scheme == "http" && port == "80" {
		return strings.TrimSuffix(host, ":"+port)
	}
	return host
}

// Lacking names what of wanted is not among found.
func Lacking(found []string, wanted ...string) []string {
	return slices.DeleteFunc(wanted, func(name string) bool { return slices.Contains(found, name) })
}
