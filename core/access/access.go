// Package access is the rule of who may do what: roles, the projects and scanners that they hold for, and what follows from them.
// It is asked at one place for each kind of question: package auth asks for every route, and package store for what lists show.
package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// Act is what somebody wants to do.
type Act string

// The acts.
const (
	ReadScans  Act = "read scans" // scans with their findings
	Read       Act = "read"       // everything else of a project: alerts, webhook calls, pipelines, what happened to a commit
	Rescan     Act = "rescan"     // have a commit scanned again
	Judge      Act = "judge"      // say which findings and pipeline runs are a problem
	Bring      Act = "bring"      // reports of scanners, and commits to scan
	Administer Act = "administer" // delete scans, derive calls again, read the audit log

	ManagePeople Act = "manage people" // see who has logged in, and log them out; never in some projects only
)

// Role is a set of acts.
type Role string

// The roles, in the order in which people read of them.
const (
	Reader   Role = "reader"
	Triager  Role = "triager"
	Uploader Role = "uploader"
	Admin    Role = "admin"
)

// Roles are all roles.
var Roles = []Role{Reader, Triager, Uploader, Admin}

var acts = map[Role][]Act{
	CIJob:    {ReadScans, Bring},
	Reader:   {ReadScans, Read},
	Triager:  {ReadScans, Read, Rescan, Judge},
	Uploader: {ReadScans, Rescan, Bring},
	Admin:    {ReadScans, Read, Rescan, Judge, Bring, Administer, ManagePeople},
}

// RolesFor are the roles that may do an act.
func RolesFor(act Act) (roles []Role) {
	for _, role := range Roles {
		if slices.Contains(acts[role], act) {
			roles = append(roles, role)
		}
	}
	return roles
}

// Grant gives a role.
type Grant struct {
	Role     Role
	Projects []string // globs over platform/project; none: all of them
	Scanners []string // globs of the scanners whose reports may be brought; none: all of them
	Job      *Job     // the CI job whose commit it is for, and nothing else; nil for tokens and people
}

// allows tells whether the grant is for what is wished, in some project.
func (g Grant) allows(w Wish) bool {
	brings := w.Scanner == "" || len(g.Scanners) == 0 ||
		slices.ContainsFunc(g.Scanners, func(glob string) bool { return core.Matches(glob, w.Scanner) })
	return brings && slices.Contains(acts[g.Role], w.Act) && (w.Act != ManagePeople || g.unbounded())
}

// unbounded tells whether the grant is for all projects, whatever their names will be.
func (g Grant) unbounded() bool {
	return g.Job == nil && (len(g.Projects) == 0 || slices.Contains(g.Projects, "**"))
}

// covers tells whether the grant is for a project.
func (g Grant) covers(p Project) bool {
	if g.Job != nil {
		return g.Job.covers(p)
	}
	return g.unbounded() || slices.ContainsFunc(g.Projects, func(glob string) bool {
		return core.MatchesProject(glob, p.Platform, p.Name)
	})
}

// Wish is what somebody wants to do.
type Wish struct {
	Act     Act
	Scanner string // whose report it is about; empty for none
}

// Project is a project by its present name. What is asked about there may be of one commit.
type Project struct {
	Platform, Name string
	Ref            string // the platform's numeric id of the project; empty where that does not matter
	Commit         string // full id; empty where it is of none
}

// String is how globs and people write it.
func (p Project) String() string { return p.Platform + "/" + p.Name }

// Actor is who asks: a token or a person, with what they were granted. The zero Actor may do nothing.
type Actor struct {
	Name   string // stands in the log and in the audit; empty for a visitor who has not logged in
	Grants []Grant
}

// May tells whether there can be projects in which the actor may do the act.
func (a Actor) May(act Act) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.allows(Wish{Act: act}) })
}

// Everywhere tells whether the actor may do the act in all projects, whatever their names will be.
func (a Actor) Everywhere(act Act) bool { return a.everywhere(Wish{Act: act}) }

func (a Actor) everywhere(w Wish) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.unbounded() && g.allows(w) })
}

// MayIn tells whether the actor may do the act in a project.
func (a Actor) MayIn(act Act, p Project) bool { return a.mayIn(Wish{Act: act}, p) }

func (a Actor) mayIn(w Wish, p Project) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.allows(w) && g.covers(p) })
}

// MayRescan tells whether the actor may have a commit of a project scanned again. Where the first report counts, who brings reports could
// begin anew by that: it is for those who may judge.
func (a Actor) MayRescan(p Project, replace core.ReplaceMode) bool {
	return a.MayIn(Rescan, p) && (replace != core.ReplaceNever || a.MayIn(Judge, p))
}

// Sees tells whether the actor may know of a project at all.
func (a Actor) Sees(p Project) bool { return a.MayIn(ReadScans, p) }

// Roles are those that the actor has somewhere, for people to read.
func (a Actor) Roles() string {
	var names []string
	for _, role := range Roles {
		if slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.Role == role }) {
			names = append(names, string(role))
		}
	}
	return strings.Join(names, ", ")
}

// Admit is nil where the actor may do what is wished in the project that find finds, which is not asked where the project does not
// matter. core.ErrForbidden where the role is not enough. core.ErrNotFound for a project that the actor must not know of, in the same
// words whether or not it exists.
func (a Actor) Admit(w Wish, find func() (Project, error)) error {
	if err := a.AdmitSomewhere(w); err != nil || a.everywhere(w) {
		return err
	}
	p, err := find()
	switch {
	case errors.Is(err, core.ErrNotFound):
		return ErrUnseen
	case err != nil:
		return err
	case a.mayIn(w, p):
		return nil
	case !a.Sees(p):
		return ErrUnseen
	}
	return a.refuse(w, " for "+p.String())
}

// AdmitSomewhere is nil where there can be projects in which the actor may do what is wished.
func (a Actor) AdmitSomewhere(w Wish) error {
	if slices.ContainsFunc(a.Grants, func(g Grant) bool { return g.allows(w) }) {
		return nil
	}
	return a.refuse(w, "")
}

// refuse says what would be needed for a wish.
func (a Actor) refuse(w Wish, where string) error {
	switch job := a.Job(); {
	case job != nil && w.Act == Bring:
		return fmt.Errorf("%w: CI jobs of %s do not bring reports of %.64q with their own token: add it to platforms.%s.ci.scanners, or send a "+
			"token from api.tokens", core.ErrForbidden, job.Platform, w.Scanner, job.Platform)
	case job != nil:
		return errOwnCommit
	}
	scanner := ""
	if w.Act == ManagePeople {
		where = " for all projects"
	}
	if w.Scanner != "" {
		scanner = fmt.Sprintf(", for the scanner %.64q", w.Scanner)
	}
	return fmt.Errorf("%w: this needs the role %s%s%s; you have: %s", core.ErrForbidden, list(RolesFor(w.Act)), where, scanner,
		cmp.Or(a.Roles(), "none"))
}

// ErrUnseen is the answer for what does not exist, and for what one must not know of.
var ErrUnseen = fmt.Errorf("%w: there is nothing of this name here that you may see", core.ErrNotFound)

// list is roles as a sentence has them.
func list(roles []Role) string {
	names := make([]string, len(roles))
	for i, role := range roles {
		names[i] = string(role)
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " or " + names[last]
	}
	return strings.Join(names, "")
}

type actorKey struct{}

// With is a context for what an actor asks for.
func With(ctx context.Context, actor Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Of is who asks. asked is false where nobody does, but Scanhook works by itself.
func Of(ctx context.Context) (actor Actor, asked bool) {
	actor, asked = ctx.Value(actorKey{}).(Actor)
	return actor, asked
}
