// Package naming decides which project has which name on a platform. A project is known by the platform's numeric id; its name
// can change hands, and platforms tell of that late, out of order, or not at all.
package naming

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
)

// Sighting says which project bears a name at a time.
type Sighting struct {
	core.Project
	Platform string
	ID       int64     // of the kept project that the platform says is meant; 0 where it does not
	At       time.Time // as of when it is true: platforms announce late, too
	Undated  bool      // the platform does not say when: At is the time of the call
	Deleted  bool      // the project was deleted then
}

// Settle decides which project a sighting means, and what it changes; known are the project that the sighting's id means,
// and all that have or had its name or the sighting's.
// A known id under a new name is a rename. A new id under a known name is a new project, unless only the name was known, and
// the one before is gone. The order in which sightings come does not matter, except for those without an id: what was true
// later counts, and a name belongs to the project that was seen last under it.
//
// changed are the projects to save, in this order; only meant can be new, without an ID.
func (s Sighting) Settle(known []core.KeptProject, now time.Time) (meant core.KeptProject, changed []core.KeptProject) {
	after := slices.Clone(known)
	at := s.Find(after)
	if at < 0 {
		after = append(after, core.KeptProject{Platform: s.Platform, Ref: s.Ref})
		at = len(after) - 1
	}
	s.describe(&after[at])
	settleName(after, core.ProjectKey(s.Name), at, now)
	settleName(after, after[at].NameKey, at, now)
	if at < len(known) { // the name that it may have left
		settleName(after, known[at].NameKey, at, now)
	}
	return after[at], changedProjects(known, after, at)
}

// changedProjects are those to save. The one that is meant comes after those that it takes a name from, and before those that
// get one that it leaves.
func changedProjects(before, after []core.KeptProject, meant int) (changed []core.KeptProject) {
	var live []core.KeptProject
	for n, project := range after {
		switch {
		case n < len(before) && !differs(project, before[n]):
		case project.GoneAt != nil:
			changed = append(changed, project)
		case n == meant:
			live = slices.Insert(live, 0, project)
		default:
			live = append(live, project)
		}
	}
	return append(changed, live...)
}

// Find returns the index of the project that is meant, or -1: the one with the id, else the live one with the name, if an id
// does not say that it is another.
func (s Sighting) Find(known []core.KeptProject) int {
	if s.Ref != "" || s.ID != 0 {
		own := func(p core.KeptProject) bool { return p.Ref == s.Ref && s.Ref != "" || p.ID == s.ID && s.ID != 0 }
		if n := slices.IndexFunc(known, own); n >= 0 {
			return n
		}
	}
	return slices.IndexFunc(known, func(p core.KeptProject) bool {
		return p.GoneAt == nil && p.NameKey == core.ProjectKey(s.Name) && (s.Ref == "" || p.Ref == "")
	})
}

// Admit finds the project that a job or a person may name, which is no proof of who has the name: one that is known, or with -1 one
// that becomes known by its id. Its errors wrap core.ErrConflict and core.ErrNotFound.
func (s Sighting) Admit(known []core.KeptProject) (at int, err error) {
	at = s.Find(known)
	holder := slices.IndexFunc(known, func(p core.KeptProject) bool { return p.GoneAt == nil && p.NameKey == core.ProjectKey(s.Name) })
	switch {
	case at >= 0 && s.Ref == "" && OnlyConfigured(known[at]): // which says no more than the name alone
	case at >= 0 && core.SameProject(known[at].Name, s.Name):
		return at, nil
	case at >= 0:
		return at, fmt.Errorf("%w: the project with the id %s is %s here; the next webhook call will tell that it is %s now",
			core.ErrConflict, s.Ref, known[at].Name, s.Name)
	case holder >= 0:
		return at, fmt.Errorf("%w: %s is the project with the id %s here, not %s; the next webhook call will tell that it is another one",
			core.ErrConflict, s.Name, known[holder].Ref, s.Ref)
	case s.Ref != "":
		return at, nil
	}
	return at, fmt.Errorf("%w: no webhook of this project came yet, and %s alone does not tell which it is: push to it once its webhook"+
		" is there, or send the platform's numeric id of it as project_id (scanhook upload finds it in CI jobs)", core.ErrNotFound, s.Name)
}

// OnlyConfigured tells whether neither a call nor a job has named the project yet.
func OnlyConfigured(p core.KeptProject) bool { return p.Ref == "" && p.SeenAt.IsZero() }

// describe takes over what the sighting says, unless something later is known. One without an id does not tell which project
// has the name, and people and jobs spell names as they like.
func (s Sighting) describe(p *core.KeptProject) {
	if s.Deleted && (p.DeletedAt == nil || p.DeletedAt.Before(s.At)) {
		p.DeletedAt = &s.At
	}
	switch fresh := p.Name == ""; {
	case !fresh && s.Ref != "" && p.Ref != "" && (s.At.Before(p.SeenAt) || s.isLate(*p)):
		p.DefaultBranch, p.RepoURL = cmp.Or(p.DefaultBranch, s.DefaultBranch), cmp.Or(p.RepoURL, s.URL)
	case !fresh && s.Ref == "" && s.ID == 0:
		p.DefaultBranch, p.RepoURL = cmp.Or(s.DefaultBranch, p.DefaultBranch), cmp.Or(s.URL, p.RepoURL)
	default:
		if !core.SameProject(p.Name, s.Name) || p.SeenAt.IsZero() { // another spelling is the same name
			p.Name, p.NameKey = s.Name, core.ProjectKey(s.Name)
		}
		p.SeenAt = s.At
		p.DefaultBranch, p.RepoURL = cmp.Or(s.DefaultBranch, p.DefaultBranch), cmp.Or(s.URL, p.RepoURL)
	}
	p.Ref = cmp.Or(p.Ref, s.Ref)
}

// isLate tells whether an undated call is likely to be from the time before another project got the name.
func (s Sighting) isLate(p core.KeptProject) bool {
	return s.Undated && p.GoneAt != nil && p.NameKey == core.ProjectKey(s.Name)
}

// IsNews tells whether a sighting of a project says anything that is to be kept.
func (s Sighting) IsNews(p core.KeptProject) bool {
	after := p
	s.describe(&after)
	return differs(after, p) || p.GoneAt != nil && after.SeenAt.After(p.SeenAt)
}

// isDeleted is false for a project that was seen after it had been deleted: platforms restore them.
func isDeleted(p core.KeptProject) bool { return p.DeletedAt != nil && !p.SeenAt.After(*p.DeletedAt) }

// claims tells whether the project may hold its name. One without an id that has lost it does not get it back: it may have
// been the same as the one that has it.
func claims(p core.KeptProject) bool { return !isDeleted(p) && (p.Ref != "" || p.GoneAt == nil) }

// settleName gives a name to the project that was seen last under it, one with an id before one without. Of two that were seen
// at one time it is the one at the given place, which was seen just now.
func settleName(projects []core.KeptProject, key string, seen int, now time.Time) {
	holder := -1
	for n, p := range projects {
		if p.NameKey != key || !claims(p) {
			continue
		}
		if holder < 0 || heldSince(p, projects[holder], n == seen) {
			holder = n
		}
	}
	for n := range projects {
		switch p := &projects[n]; {
		case p.NameKey != key:
		case n == holder:
			p.GoneAt = nil
		case p.GoneAt == nil:
			p.GoneAt = &now
		}
	}
}

// heldSince tells whether p, and not other, bears the name that both have.
func heldSince(p, other core.KeptProject, justSeen bool) bool {
	if (p.Ref == "") != (other.Ref == "") {
		return p.Ref != ""
	}
	if order := p.SeenAt.Compare(other.SeenAt); order != 0 {
		return order > 0
	}
	return justSeen
}

// seenEvery is how much later a project must be seen for that alone to be saved.
const seenEvery = 10 * time.Minute

// differs tells whether the project is to be saved.
func differs(p, before core.KeptProject) bool {
	return p.Ref != before.Ref || p.Name != before.Name || p.DefaultBranch != before.DefaultBranch || p.RepoURL != before.RepoURL ||
		(p.GoneAt == nil) != (before.GoneAt == nil) || isDeleted(p) != isDeleted(before) ||
		p.SeenAt.Sub(before.SeenAt) >= seenEvery
}
