// Package refs decides where a branch or tag stands, from events that come in any order.
//
// No event of a platform has a number or a time. It says from which commit to which one a ref went, so that all events of a
// ref are the steps of one walk. A step that begins where the ref stands moves it. Every other one has come too early, too
// late, or after one that was lost: it waits for its turn, and the platform is asked where the ref stands.
//
// Steps that all fit, each taken once, end at the same commit whatever their order is. So either all fit and the ref is
// where the platform has it, or one does not fit and the platform is asked; from then on it is asked after each further
// event, until no late one is to be expected.
package refs

import (
	"slices"
	"time"
)

const (
	// Patience is how long an event waits for an answer of the platform. Afterwards the newest event counts, because
	// nobody can be asked, it seems.
	Patience = 10 * time.Minute
	// late is how long events are usually delayed at most: a doubt that is older is over. What comes still later, the regular
	// questions to the platform put right.
	late = time.Hour
	// maxWaiting is how many events of a ref wait at most; the oldest are dropped.
	maxWaiting = 100
)

// Unknown is the commit before where nobody says which it was, such as of Gitea's deletions and of answers.
const Unknown = "?"

// Source says who tells where a ref stands.
type Source int

// The sources.
const (
	Announced Source = iota // the platform, in any order
	Seen                    // the platform, when it was asked; Before is what was known when the question was put
	Named                   // an upload or a person, who do not tell where the ref stood before
	Ordered                 // the platform, in the order in which it happened: what came too late was left out
)

// Event is one word on where a ref stands. A commit is empty where there is no such ref.
type Event struct {
	Source Source
	Step
}

// Step is a movement of a ref from one commit to another.
type Step struct {
	Before string    `json:"before"`
	After  string    `json:"after"`
	At     time.Time `json:"at"`              // when the event came, or when the platform was asked
	Again  bool      `json:"again,omitempty"` // the same as the one before it
}

// State is what is known of a ref.
type State struct {
	Before  string    // where it stood before
	SHA     string    // where it stands; empty where there is no such ref or none is known
	MovedAt time.Time // when that was applied
	Doubt   *Doubt    // nil while all events fit
}

// Doubt says that events of a ref did not fit.
type Doubt struct {
	Since   time.Time
	Waiting []Step // for the step before them, or for an answer
	Lasting bool   // it outlives the waiting events: others may be late
	Named   bool   // only uploads and people have named a commit of the ref so far
}

// Clone is a copy that Apply does not change.
func (s State) Clone() State {
	if s.Doubt != nil {
		doubt := *s.Doubt
		doubt.Waiting = slices.Clone(doubt.Waiting)
		s.Doubt = &doubt
	}
	return s
}

// Moved tells whether the ref stands elsewhere than before, or came there anew.
func (s State) Moved(before State) bool {
	return s.SHA != before.SHA || s.Before != before.Before || !s.MovedAt.Equal(before.MovedAt)
}

// Same tells whether two doubts, which may be nil, are the same.
func (d *Doubt) Same(other *Doubt) bool {
	if d == nil || other == nil {
		return d == other
	}
	return d.Since.Equal(other.Since) && d.Lasting == other.Lasting && d.Named == other.Named &&
		slices.EqualFunc(d.Waiting, other.Waiting, func(a, b Step) bool {
			return a.Before == b.Before && a.After == b.After && a.Again == b.Again && a.At.Equal(b.At)
		})
}

// Apply takes an event, and returns the steps that the ref made. ask tells whether the platform is to be asked where the ref
// stands.
func (s *State) Apply(e Event, now time.Time) (steps []Step, ask bool) {
	s.forget(now)
	switch e.Source {
	case Seen:
		return s.see(e.Step, now)
	case Named:
		return s.name(e.Step, now)
	case Ordered:
		return s.take(e.Step, now), false
	}
	if s.Doubt != nil && s.Doubt.Named { // the platform knows better
		*s = State{}
	}
	if s.Before == Unknown { // events from before the answer may be late
		s.doubt(s.MovedAt).Lasting = true
		s.forget(now)
	}
	if now.Sub(e.At) > late { // it was set aside: the platform may have told meanwhile what it led to
		doubt := s.doubt(now)
		doubt.Since, doubt.Lasting = now, true
	}
	return s.announce(e.Step, now), s.inDoubt()
}

func (s *State) announce(step Step, now time.Time) (steps []Step) {
	switch {
	case step.Before == Unknown:
		s.doubt(now).Lasting = true
		if s.SHA == step.After {
			return nil
		}
		return s.follow(Step{Before: s.SHA, After: step.After, At: step.At}, now)
	case step.Before == s.SHA:
		return s.follow(step, now)
	case step.After == s.SHA && step.Before == s.Before: // announced by a second webhook, it seems
		step.Again = true
	case s.SHA == "": // first heard of in the middle of its life
		s.doubt(now).Lasting = true
		if step.After != "" {
			return s.follow(step, now)
		}
	case s.unanswered(now):
		s.Doubt.Waiting, s.Doubt.Lasting = nil, true
		return s.follow(step, now)
	}
	s.wait(step, now)
	return nil
}

// see takes an answer. It says nothing of events that came after the question was put, nor of a ref that has moved since.
func (s *State) see(answer Step, now time.Time) (steps []Step, ask bool) {
	if answer.Before != s.SHA || s.MovedAt.After(answer.At) {
		return nil, s.inDoubt() || answer.After != s.SHA
	}
	if s.Doubt != nil {
		newer := slices.DeleteFunc(slices.Clone(s.Doubt.Waiting), func(w Step) bool { return !w.Again && !w.At.After(answer.At) })
		if len(newer) < len(s.Doubt.Waiting) {
			s.Doubt.Lasting, s.Doubt.Since = true, now
		}
		s.Doubt.Waiting, s.Doubt.Named = newer, false
	}
	switch {
	case answer.After == s.SHA:
		steps = s.followWaiting(now)
	case answer.Before == "": // as of most refs when a project is first seen: no row is spent on the doubt
		steps = s.follow(answer, now)
		s.Before = Unknown
	default:
		s.doubt(now).Lasting = true
		steps = s.follow(answer, now)
	}
	s.inDoubt()
	return steps, len(s.waiting()) > 0
}

// name takes the word of an upload, which counts until the platform says anything. Afterwards the platform is asked: the call
// that tells of the commit may be lost.
func (s *State) name(step Step, now time.Time) (steps []Step, ask bool) {
	if s.SHA == step.After {
		return nil, false
	}
	if s.SHA != "" && (s.Doubt == nil || !s.Doubt.Named) {
		return nil, true
	}
	step.Before = s.SHA
	s.doubt(now).Named = true
	return s.follow(step, now), true
}

// take makes a step that nothing can come before.
func (s *State) take(step Step, now time.Time) []Step {
	s.Doubt = nil
	if s.SHA == step.After {
		return nil
	}
	step.Before = s.SHA
	return s.follow(step, now)
}

// follow makes a step, and those that waited for it.
func (s *State) follow(step Step, now time.Time) []Step {
	s.Before, s.SHA, s.MovedAt = step.Before, step.After, now
	return append([]Step{step}, s.followWaiting(now)...)
}

func (s *State) followWaiting(now time.Time) (steps []Step) {
	for s.Doubt != nil {
		next := slices.IndexFunc(s.Doubt.Waiting, func(w Step) bool { return w.Before == s.SHA })
		if next < 0 {
			break
		}
		step := s.Doubt.Waiting[next]
		s.Doubt.Waiting = slices.Delete(s.Doubt.Waiting, next, next+1)
		if step.Again { // it may have been another step from here
			s.Doubt.Lasting = true
			continue
		}
		s.Before, s.SHA, s.MovedAt = step.Before, step.After, now
		steps = append(steps, step)
	}
	return steps
}

func (s *State) wait(step Step, now time.Time) {
	d := s.doubt(now)
	d.Waiting = append(d.Waiting, step)
	if extra := len(d.Waiting) - maxWaiting; extra > 0 {
		d.Waiting, d.Lasting = slices.Delete(d.Waiting, 0, extra), true
	}
}

func (s *State) doubt(now time.Time) *Doubt {
	if s.Doubt == nil {
		s.Doubt = &Doubt{Since: now}
	}
	return s.Doubt
}

// unanswered tells whether an event has waited for longer than the platform needs to answer.
func (s *State) unanswered(now time.Time) bool {
	return slices.ContainsFunc(s.waiting(), func(w Step) bool {
		return now.Sub(w.At) > Patience && now.Sub(s.Doubt.Since) > Patience
	})
}

// waiting are the events that do not fit.
func (s *State) waiting() []Step {
	if s.Doubt == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.Doubt.Waiting), func(w Step) bool { return w.Again })
}

// inDoubt tells whether an event did not fit, and ends a doubt whose events have all found their place.
func (s *State) inDoubt() bool {
	if s.Doubt != nil && len(s.Doubt.Waiting) == 0 && !s.Doubt.Lasting && !s.Doubt.Named {
		s.Doubt = nil
	}
	return s.Doubt != nil && (s.Doubt.Lasting || s.Doubt.Named || len(s.waiting()) > 0)
}

// forget ends a doubt that is too old for anything to be late. Events still wait where nobody has answered.
func (s *State) forget(now time.Time) {
	if s.Doubt != nil && !s.Doubt.Named && len(s.waiting()) == 0 && now.Sub(s.Doubt.Since) > late {
		s.Doubt = nil
	}
}
