package platforms

import (
	"fmt"
	"slices"

	"github.com/scanhook/scanhook/core"
)

// Proof is how a call proved that it is authentic, and for which projects that counts.
type Proof struct {
	core.Proof
	ring   *Keyring
	scopes []int // those that the secret stands in
}

// Vouch lets the proof stand for the delivery that was read from the call. Each project that the delivery names must
// be one that the secret may speak for, else the error wraps core.ErrDenied: what a project's maintainers can sign,
// they can sign in another one's name.
func (p Proof) Vouch(delivery core.Delivery) (core.Delivery, error) {
	_, idle := delivery.Event.(core.Ignored)
	for _, project := range []string{delivery.Project, delivery.Subject().Name} {
		if aboutNone := idle && project == ""; !aboutNone && !p.speaksFor(project) {
			return core.Delivery{}, fmt.Errorf("%w: the secret %s is not one of %s: enter the secret of the first entry of"+
				" repositories that matches the project and has secrets, or one of the platform, in the webhook",
				core.ErrDenied, p.Secret(), project)
		}
	}
	p.MaySign = p.ring.MaySign(delivery.Project)
	delivery.Proof = p.Proof
	if p.Scope != "" || !p.Signed && p.ring.signsByScope() {
		// A number addresses a project as well as its path does, and could be another project's: of one that must be signed
		// for, too, whose own calls are not believed when they tell the number.
		delivery.Event = delivery.Event.WithoutRef()
	}
	return delivery, nil
}

func (p Proof) speaksFor(project string) bool {
	return p.Scope == "" || slices.Contains(p.scopes, p.ring.scopes.Of(p.ring.platform, project))
}
