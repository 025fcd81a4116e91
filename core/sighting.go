package core

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// StatusSeen is a commit status as a platform shows or announces it: ours that comes back, or a stranger's.
type StatusSeen struct {
	Project     Project
	CommitSHA   string
	Context     string
	ID          int64       // the platform's number of it, greater than those before in its context; 0 where not told
	State       StatusState // in our words where there is one
	Description string
	Creator     string // who posted it, on the platform; empty where unknown
}

// Subject is part of Event.
func (s StatusSeen) Subject() Project { return s.Project }

// WithoutRef is part of Event.
func (s StatusSeen) WithoutRef() Event {
	s.Project.Ref = ""
	return s
}

// Sighting is what seeing a status means for the one that we posted.
type Sighting string

// The sightings. Only SeenRumour and Overwritten ask for anything.
const (
	SeenOwn     Sighting = "own"     // what was posted last came back
	SeenOlder   Sighting = "older"   // it was posted before ours, or has been dealt with
	SeenSame    Sighting = "same"    // somebody posted the same
	SeenMoving  Sighting = "moving"  // ours is about to be posted anyway
	SeenRumour  Sighting = "rumour"  // something else was posted, before ours or after: the platform must be asked
	Overwritten Sighting = "foreign" // a stranger's status stands in the place of ours
)

// Compare tells what seeing a status of the same commit and context means. Numbers decide over what came last, because
// announcements overtake each other and clocks differ.
func (s Status) Compare(seen StatusSeen, now time.Time) Sighting {
	switch {
	case s.PostedID != 0 && seen.ID == s.PostedID:
		return SeenOwn
	case s.PostedRevision != s.Revision || s.LeaseUntil != nil && s.LeaseUntil.After(now):
		return SeenMoving
	case s.PostedID == 0 || seen.ID != 0 && (seen.ID < s.PostedID || seen.ID <= s.SeenID):
		return SeenOlder
	case seen.State.colour() == s.State.colour() && bare(seen.Description) == bare(Truncate(s.Description)):
		return SeenSame
	case seen.ID == 0:
		return SeenRumour
	}
	return Overwritten
}

// colour is what people see of a state: platforms have fewer words than we.
func (s StatusState) colour() StatusState {
	switch s {
	case StatusError, StatusCancelled:
		return StatusFailure
	}
	return s
}

// bare is a text without what platforms, or we for their sake, may change in it.
func bare(text string) string {
	text = Narrow(text)
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}

// InPlaceOf tells whether a status of the context name takes the place of s. GitHub does not mind the case.
func (s Status) InPlaceOf(name string) bool { return strings.EqualFold(Narrow(s.Context), name) }

// PutRight tells whether a stranger's status is replaced by ours again: once for each wish, never twice, because
// whoever insists would go on for ever.
func (s Status) PutRight() bool { return s.MendedRevision != s.Revision }

// By names who posted a stranger's status.
func (s StatusSeen) By() string {
	if s.Creator == "" {
		return "somebody else"
	}
	return s.Creator
}

// Consequence is the sentence that is kept of an overwritten status.
func (s Status) Consequence(seen StatusSeen) string {
	if s.PutRight() {
		return fmt.Sprintf("%s posted it in the place of %s; ours is posted again, this once", seen.By(), s.State)
	}
	return fmt.Sprintf("%s posted it in the place of %s again; it is left alone", seen.By(), s.State)
}
