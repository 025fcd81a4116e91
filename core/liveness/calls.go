package liveness

import (
	"encoding/hex"
	"math/bits"
	"time"
)

const (
	historyDays = 512 // that Calls looks back
	oneDay      = 24 * time.Hour
)

// Calls is a project's call history: on which days (UTC) its webhook has called. It tells a dead webhook from an idle
// project, in the same few bytes however often it calls. The zero value has no call.
type Calls struct {
	Last time.Time // the latest call, UTC

	days [historyDays / 8]byte // bit n is set when there was a call n days before the day of Last
}

// Add records a call; calls may come in any order.
func (c *Calls) Add(at time.Time) {
	since := daysBetween(c.Last, at)
	switch {
	case c.Last.IsZero() || since >= historyDays:
		c.days = [historyDays / 8]byte{1}
	case since >= 0:
		c.shift(since)
		c.days[0] |= 1
	case -since < historyDays:
		c.days[-since/8] |= 1 << (-since % 8)
	}
	if at.After(c.Last) {
		c.Last = at.UTC()
	}
}

// shift moves all calls so many days further back.
func (c *Calls) shift(days int) {
	var moved [historyDays / 8]byte
	for n := range historyDays - days {
		if c.called(n) {
			moved[(n+days)/8] |= 1 << ((n + days) % 8)
		}
	}
	c.days = moved
}

// Join records all calls of another history.
func (c *Calls) Join(other *Calls) {
	if other.Last.IsZero() {
		return
	}
	c.Add(other.Last)
	since := daysBetween(other.Last, c.Last)
	for n := range historyDays - min(since, historyDays) {
		if other.called(n) {
			c.days[(n+since)/8] |= 1 << ((n + since) % 8)
		}
	}
}

// called tells whether there was a call so many days before the day of the last one.
func (c *Calls) called(before int) bool { return c.days[before/8]&(1<<(before%8)) != 0 }

// activeDays counts the days with a call.
func (c *Calls) activeDays() (n int) {
	for _, eight := range c.days {
		n += bits.OnesCount8(eight)
	}
	return n
}

// span is how many days lie between the first known call and the last.
func (c *Calls) span() int {
	for i := len(c.days) - 1; i >= 0; i-- {
		if c.days[i] != 0 {
			return 8*i + bits.Len8(c.days[i]) - 1
		}
	}
	return 0
}

// Days is all but Last, as text of a fixed length.
func (c *Calls) Days() string { return hex.EncodeToString(c.days[:]) }

// ParseCalls reads what Days wrote. From text that it did not write it knows only the last call.
func ParseCalls(last time.Time, days string) Calls {
	c := Calls{Last: last.UTC(), days: [historyDays / 8]byte{1}}
	if raw, err := hex.DecodeString(days); err == nil && len(raw) == len(c.days) {
		copy(c.days[:], raw)
		c.days[0] |= 1
	}
	return c
}

// daysBetween counts midnights (UTC) from one moment to a later one; negative when it is earlier.
func daysBetween(from, to time.Time) int {
	return int(to.UTC().Truncate(oneDay).Sub(from.UTC().Truncate(oneDay)) / oneDay)
}

// weekdayBefore is the day of the week so many days before the given one; negative numbers are days after it.
func weekdayBefore(last time.Weekday, days int) time.Weekday {
	return ((last-time.Weekday(days))%7 + 7) % 7
}
