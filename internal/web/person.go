package web

import (
	"encoding/json"
	"fmt"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/scanhook/scanhook/core"
)

// maxGroups bounds what is kept of a person; some providers list hundreds.
const maxGroups = 500

// person is who an identity provider says that somebody is. It is kept with the session, so that a change of the
// configuration takes roles away at once.
type person struct {
	Subject string   `json:"sub"`
	Name    string   `json:"name"`
	Email   string   `json:"email,omitempty"` // only when the provider has verified it
	Groups  []string `json:"groups,omitempty"`
}

// personOf reads a verified identity token. An address that the provider has not verified is anybody's to claim, and is
// left out.
func personOf(identity *oidc.IDToken, groupsClaim string) (person, error) {
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
		Name     string `json:"preferred_username"`
	}
	if err := identity.Claims(&claims); err != nil {
		return person{}, fmt.Errorf("%w: reading the identity token: %w", core.ErrDenied, err)
	}
	who := person{Subject: identity.Subject, Name: claims.Name}
	if claims.Verified {
		who.Email = claims.Email
	}
	switch { // people choose other names than these themselves, and could take those of others in the audit log
	case who.Email != "":
		who.Name = who.Email
	case who.Name != "":
		who.Name = fmt.Sprintf("%s (%s)", cut(who.Name, maxName), who.Subject)
	default:
		who.Name = who.Subject
	}
	var all map[string]json.RawMessage
	if err := identity.Claims(&all); err == nil && groupsClaim != "" {
		_ = json.Unmarshal(all[groupsClaim], &who.Groups) // a claim of another form names no groups
	}
	who.Name = cut(core.Printable(who.Name), maxName)
	who.Groups = who.Groups[:min(len(who.Groups), maxGroups)]
	return who, nil
}

func (w person) json() string {
	text, _ := json.Marshal(w) // strings can always be written
	return string(text)
}

func readPerson(text string) (who person, err error) {
	return who, json.Unmarshal([]byte(text), &who)
}
