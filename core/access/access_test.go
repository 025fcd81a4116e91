package access_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
)

func grants(list ...access.Grant) access.Actor { return access.Actor{Name: "ada", Grants: list} }

var shop = access.Project{Platform: "github", Name: "acme/shop"}

func TestRolesMayWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	for role, want := range map[access.Role]string{
		access.Reader:   "read scans, read",
		access.Triager:  "read scans, read, rescan, judge",
		access.Uploader: "read scans, rescan, bring",
		access.Admin:    "read scans, read, rescan, judge, bring, administer, manage people",
		"owner":         "",
	} {
		var may []string
		for _, act := range []access.Act{
			access.ReadScans, access.Read, access.Rescan, access.Judge, access.Bring, access.Administer, access.ManagePeople,
		} {
			if grants(access.Grant{Role: role}).MayIn(act, shop) {
				may = append(may, string(act))
			}
		}
		if got := strings.Join(may, ", "); got != want {
			t.Errorf("%s may %s, want %s", role, got, want)
		}
	}
}

func TestGrantsHoldForTheirProjects(t *testing.T) {
	t.Parallel()
	for glob, want := range map[string]bool{
		"github/acme/shop": true, "GitHub/Acme/*": true, "github/**": true, "**": true, "*/*": false, "github/acme": false,
		"gitlab/acme/shop": false, "github/acme/sho": false, "acme/shop": false, "": false,
	} {
		actor := grants(access.Grant{Role: access.Reader, Projects: []string{"gitlab/none", glob}})
		if got := actor.MayIn(access.Read, shop); got != want {
			t.Errorf("%q: %t, want %t", glob, got, want)
		}
		if got := actor.Everywhere(access.Read); got != (glob == "**") {
			t.Errorf("%q is everywhere: %t", glob, got)
		}
	}
	if !grants(access.Grant{Role: access.Reader}).Everywhere(access.Read) || grants(access.Grant{Role: access.Reader}).Everywhere(access.Judge) {
		t.Error("a role without projects is not for all of them, or for more than the role")
	}
}

// Each grant counts for itself: the role of one does not hold in the projects of another.
func TestGrantsAreNotMixed(t *testing.T) {
	t.Parallel()
	actor := grants(
		access.Grant{Role: access.Reader},
		access.Grant{Role: access.Triager, Projects: []string{"github/acme/shop"}},
		access.Grant{Role: access.Uploader, Projects: []string{"github/acme/site"}, Scanners: []string{"semgrep", "trivy-*"}},
	)
	site := access.Project{Platform: "github", Name: "acme/site"}
	if !actor.MayIn(access.Judge, shop) || actor.MayIn(access.Judge, site) || actor.Everywhere(access.Judge) {
		t.Error("judging holds elsewhere than in acme/shop")
	}
	if got := actor.Roles(); got != "reader, triager, uploader" {
		t.Errorf("roles: %s", got)
	}
	for _, c := range []struct {
		in      access.Project
		scanner string
		want    error
	}{
		{site, "semgrep", nil}, {site, "trivy-fs", nil}, {site, "trivy", core.ErrForbidden}, {site, "", nil},
		{shop, "semgrep", core.ErrForbidden},
	} {
		err := actor.Admit(access.Wish{Act: access.Bring, Scanner: c.scanner}, func() (access.Project, error) { return c.in, nil })
		if !errors.Is(err, c.want) {
			t.Errorf("%s of %q: %v, want %v", c.in, c.scanner, err, c.want)
		}
	}
}

// What is not there and what one must not know of are told in the same words; what one may see, but not change, is forbidden.
func TestAdmitTellsNothingOfOtherProjects(t *testing.T) {
	t.Parallel()
	ask := func(actor access.Actor, act access.Act, p access.Project, err error) error {
		return actor.Admit(access.Wish{Act: act}, func() (access.Project, error) { return p, err })
	}
	actor := grants(access.Grant{Role: access.Triager, Projects: []string{"github/acme/shop"}})
	foreign := ask(actor, access.Judge, access.Project{Platform: "github", Name: "acme/other"}, nil)
	missing := ask(actor, access.Judge, access.Project{}, core.ErrNotFound)
	if !errors.Is(foreign, core.ErrNotFound) || foreign.Error() != missing.Error() {
		t.Errorf("foreign: %v, missing: %v", foreign, missing)
	}
	if err := ask(actor, access.Judge, shop, nil); err != nil {
		t.Error(err)
	}
	if err := ask(actor, access.Judge, shop, core.ErrUnavailable); !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("database down: %v", err)
	}
	refused := ask(grants(access.Grant{Role: access.Reader}), access.Judge, shop, nil)
	if want := "forbidden: this needs the role triager or admin; you have: reader"; refused == nil || refused.Error() != want {
		t.Errorf("a reader judges: %v, want %s", refused, want)
	}
	if err := ask(access.Actor{}, access.ReadScans, shop, nil); !errors.Is(err, core.ErrForbidden) {
		t.Errorf("nobody: %v", err)
	}
}
