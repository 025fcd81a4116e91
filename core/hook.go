package core

import "strings"

// HookScope says what a webhook belongs to.
type HookScope string

// The scopes of webhooks. The events of a project come through those of its own, of all that it belongs to, and of an App
// that is installed on it.
const (
	ScopeProject HookScope = "project"
	ScopeGroup   HookScope = "group" // a GitLab group or a GitHub organisation
	ScopeApp     HookScope = "app"   // a GitHub App
)

// HookTarget is what webhooks are attached to. Owner is the full path of the project or group, empty for an App.
type HookTarget struct {
	Scope HookScope `db:"scope"`
	Owner string    `db:"owner"`
}

func (t HookTarget) String() string {
	if t.Owner == "" {
		return "the GitHub App"
	}
	return string(t.Scope) + " " + t.Owner
}

// Covers tells whether a project's calls can come through the target.
func (t HookTarget) Covers(project string) bool {
	owner, name := strings.ToLower(t.Owner), strings.ToLower(project)
	return owner == "" || owner == name || t.Scope == ScopeGroup && strings.HasPrefix(name, owner+"/")
}
