package core

import (
	"strings"
	"time"
)

// Proof is how a webhook call proved that it is authentic. It names the secret and holds none of it.
type Proof struct {
	SecretID string // tells secrets apart wherever they stand, 8 hexadecimal digits; empty where no secret was needed
	Place    string // where the secret stands: webhook_secrets[0], repositories[2].signing_tokens[1]
	Scope    string // glob over platform/project of the projects that it may speak for; empty is the whole platform
	Signed   bool   // the body is signed; otherwise the call only bore the secret, as a plain token
	MaySign  bool   // calls for the project can be signed: once one was, a plain token proves nothing any more
}

// Secret is the public name of the secret, or empty.
func (p Proof) Secret() string { return SecretName(p.Place, p.SecretID) }

// SecretName names a secret by its place, which people know, and its id, which stays true when places change.
func SecretName(place, id string) string {
	if id == "" {
		return place
	}
	return place + " (" + id + ")"
}

// SecretPlace is a secret's name without its id.
func SecretPlace(name string) string {
	place, _, _ := strings.Cut(name, " (")
	return place
}

// SecretUse says when a webhook secret verified calls. Its db tags are the columns of the table secret_uses.
type SecretUse struct {
	Platform    string    `db:"platform"`
	SecretID    string    `db:"secret_id"`
	Place       string    `db:"place"` // where it stood in the configuration when it was used last
	FirstUsedAt time.Time `db:"first_used_at"`
	LastUsedAt  time.Time `db:"last_used_at"` // about a minute may be missing
}

// RefusedProject is one whose calls are signed, and for which calls were refused that were not.
type RefusedProject struct {
	Platform      string    `db:"platform"`
	ProjectName   string    `db:"project_name"`
	FirstSignedAt time.Time `db:"first_signed_at"`
	LastSignedAt  time.Time `db:"last_signed_at"` // about a minute may be missing
	NumRefused    int       `db:"num_refused"`
	LastRefusedAt time.Time `db:"last_refused_at"`
}

// LooseProject is what all addresses of a project have in common: platforms take acme/Shop.git for acme/shop.
func LooseProject(path string) string { return strings.TrimSuffix(ProjectKey(path), ".git") }

// Scopes are the globs over platform/project of those repositories in the configuration that have webhook secrets of
// their own, in its order.
type Scopes []string

// Of returns which scope speaks for a project: the first that matches. It is -1 where none does, and where the name is
// only another address of one in the scope: whoever may speak for the rest of acme would reach acme/shop as
// acme/shop.git.
func (s Scopes) Of(platform, project string) int {
	for i, glob := range s {
		if MatchesProject(glob, platform, project) {
			return i
		}
		if MatchesProject(glob, platform, LooseProject(project)) {
			return -1
		}
	}
	return -1
}
