package liveness

import "time"

// missedApart is how long finds of recover have to lie apart to prove something. A receiver that was down finds all at
// once when it is back, and no platform announces a push of many branches.
const missedApart = 30 * time.Minute

// MissedPushes is when recover found pushes that a project's webhook should have announced, since its latest call. The
// zero value is none.
type MissedPushes struct {
	First, Last time.Time // UTC
}

// Found takes a find into account.
func (m *MissedPushes) Found(at time.Time) {
	at = at.UTC()
	if m.First.IsZero() || at.Before(m.First) {
		m.First = at
	}
	if at.After(m.Last) {
		m.Last = at
	}
}

// proves tells whether the webhook is dead for sure.
func (m MissedPushes) proves() bool { return m.Last.Sub(m.First) >= missedApart }
