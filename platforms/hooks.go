package platforms

import (
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
)

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
	core.HookTarget
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
	Changes []HookChange
}

// HookSetting is one value of a webhook, by the platform's name for it. Secrets are told without their value.
type HookSetting struct{ Name, Value string }

// HookChange is a setting that RepairHook would write, or has to.
type HookChange struct {
	Name, From, To string
}

// ChangesOf compares the settings of a webhook with how it would be written. Both have the same ones in the same order.
func ChangesOf(found, desired []HookSetting) (changes []HookChange) {
	for i, setting := range desired {
		if found[i].Value != setting.Value {
			changes = append(changes, HookChange{setting.Name, found[i].Value, setting.Value})
		}
	}
	return changes
}

// SecretSetting is that of a secret, of which no more is told than whether there is one.
func SecretSetting(name, secret string) HookSetting {
	if secret == "" {
		return HookSetting{name, "none"}
	}
	return HookSetting{name, "the first of the configuration"}
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
