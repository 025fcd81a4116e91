package core

import (
	"encoding/hex"
	"math/bits"
	"time"
)

const (
	rhythmDays = 512 // that a Rhythm looks back
	oneDay     = 24 * time.Hour
)

// Rhythm is on which days (UTC) a project's webhook has called: what tells a webhook that died from a project that
// rests, in the same few bytes however often it calls. The zero value has heard nothing.
type Rhythm struct {
	Last time.Time // the latest call, UTC

	days [rhythmDays / 8]byte // bit n is set when there was a call n days before the day of Last
}

// Heard takes a call into account; calls may come in any order.
func (r *Rhythm) Heard(at time.Time) {
	since := daysBetween(r.Last, at)
	switch {
	case r.Last.IsZero() || since >= rhythmDays:
		r.days = [rhythmDays / 8]byte{1}
	case since >= 0:
		r.later(since)
		r.days[0] |= 1
	case -since < rhythmDays:
		r.days[-since/8] |= 1 << (-since % 8)
	}
	if at.After(r.Last) {
		r.Last = at.UTC()
	}
}

// later moves all calls so many days further back.
func (r *Rhythm) later(days int) {
	var moved [rhythmDays / 8]byte
	for n := range rhythmDays - days {
		if r.called(n) {
			moved[(n+days)/8] |= 1 << ((n + days) % 8)
		}
	}
	r.days = moved
}

// Join takes the calls of another rhythm into account.
func (r *Rhythm) Join(other *Rhythm) {
	if other.Last.IsZero() {
		return
	}
	r.Heard(other.Last)
	since := daysBetween(other.Last, r.Last)
	for n := range rhythmDays - min(since, rhythmDays) {
		if other.called(n) {
			r.days[(n+since)/8] |= 1 << ((n + since) % 8)
		}
	}
}

// called tells whether there was a call so many days before the day of the last one.
func (r *Rhythm) called(before int) bool { return r.days[before/8]&(1<<(before%8)) != 0 }

// activeDays counts the days with a call.
func (r *Rhythm) activeDays() (n int) {
	for _, eight := range r.days {
		n += bits.OnesCount8(eight)
	}
	return n
}

// span is how many days lie between the first known call and the last.
func (r *Rhythm) span() int {
	for i := len(r.days) - 1; i >= 0; i-- {
		if r.days[i] != 0 {
			return 8*i + bits.Len8(r.days[i]) - 1
		}
	}
	return 0
}

// Days is all but Last, as text of a fixed length.
func (r *Rhythm) Days() string { return hex.EncodeToString(r.days[:]) }

// ParseRhythm reads what Days wrote. From text that it did not write it knows only the last call.
func ParseRhythm(last time.Time, days string) Rhythm {
	r := Rhythm{Last: last.UTC(), days: [rhythmDays / 8]byte{1}}
	if raw, err := hex.DecodeString(days); err == nil && len(raw) == len(r.days) {
		copy(r.days[:], raw)
		r.days[0] |= 1
	}
	return r
}

// daysBetween counts midnights (UTC) from one moment to a later one; negative when it is earlier.
func daysBetween(from, to time.Time) int {
	return int(to.UTC().Truncate(oneDay).Sub(from.UTC().Truncate(oneDay)) / oneDay)
}

// weekdayBefore is the day of the week so many days before the given one; negative numbers are days after it.
func weekdayBefore(last time.Weekday, days int) time.Weekday {
	return ((last-time.Weekday(days))%7 + 7) % 7
}
