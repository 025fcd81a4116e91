// Package liveness tells from the calls of webhooks which of them have fallen silent. It does no I/O.
package liveness

import (
	"encoding/hex"
	"math"
	"math/bits"
	"slices"
	"time"
)

const (
	longestSilence = 60  // days after which a project counts as retired, not as silent
	longestHoliday = 14  // days for which the silence of the others excuses a project's own
	enoughOthers   = 3.0 // projects that usually call on a day; with fewer, their silence says nothing
)

// Hook is a project's webhook, known by its calls.
type Hook struct {
	Platform string
	Project  string
	Calls    Calls
	Missed   MissedPushes
}

// Health is whether a webhook still calls, judged by its call history.
type Health struct {
	Platform string
	Project  string    // empty for all projects of the platform together
	Last     time.Time // the latest call, UTC
	Known    bool      // there were enough calls, over enough days, to judge
	Usual    time.Duration
	Silent   bool // for longer than its history explains, or while there were pushes
	Missed   bool // recover finds pushes again and again that the webhook does not announce
}

// Why says why a webhook counts as silent.
func (h Health) Why() string {
	if h.Missed {
		return "recover finds pushes that it does not announce"
	}
	return "no call for longer than its past explains"
}

// Judge tells which webhooks have fallen silent. Those of one platform stand together; after them comes one
// element for the platform as a whole.
//
// A project's silence is measured by how unlikely its own call profile makes it, weekends included, and compared with the
// silences of its past. A day on which the other projects rest as well counts less, so that a holiday is no alarm; that
// all are cut off shows in the platform as a whole. Only full days (UTC) count, so nothing is silent for its first day,
// but where recover keeps finding pushes.
func Judge(hooks []Hook, now time.Time) (judged []Health) {
	for len(hooks) > 0 {
		n := slices.IndexFunc(hooks, func(h Hook) bool { return h.Platform != hooks[0].Platform })
		if n < 0 {
			n = len(hooks)
		}
		judged = append(judged, judgePlatform(hooks[:n], now)...)
		hooks = hooks[n:]
	}
	return judged
}

func judgePlatform(hooks []Hook, now time.Time) []Health {
	var everybody Calls
	profiles := make([]profile, len(hooks))
	known := make([]bool, len(hooks))
	others := &peers{today: now}
	for i := range hooks {
		calls := &hooks[i].Calls
		everybody.Join(calls)
		if profiles[i], known[i] = newProfile(calls); known[i] {
			others.add(calls, &profiles[i])
		}
	}
	judged := make([]Health, 0, len(hooks)+1)
	for i, hook := range hooks {
		health := Health{Platform: hook.Platform, Project: hook.Project, Last: hook.Calls.Last, Known: known[i]}
		health.judge(&profiles[i], others, now)
		if hook.Missed.proves() {
			health.Silent, health.Missed = true, true
		}
		judged = append(judged, health)
	}
	return append(judged, judgeAll(&everybody, hooks, now))
}

func judgeAll(everybody *Calls, hooks []Hook, now time.Time) Health {
	all := Health{Platform: hooks[0].Platform, Last: everybody.Last}
	h, known := newProfile(everybody)
	all.Known = known
	all.judge(&h, &peers{today: now}, now)
	return all
}

func (h *Health) judge(profile *profile, others *peers, now time.Time) {
	full := daysBetween(h.Last, now) - 1
	h.Usual = profile.usual
	if !h.Known || full < 1 || full > longestSilence {
		return
	}
	surprisal, last := 0.0, h.Last.Weekday()
	for n := 1; n <= full; n++ {
		weekday := weekdayBefore(last, -n)
		share := 1.0
		if n <= longestHoliday {
			share = others.share(full+1-n, profile.calls[weekday])
		}
		surprisal += profile.surprisal(weekday, share)
	}
	h.Silent = surprisal >= profile.tolerated
}

// peers count how many projects called, and how many usually would have, on each day before today.
type peers struct {
	today            time.Time
	called, expected [longestSilence + 2]float64
}

func (p *peers) add(c *Calls, of *profile) {
	since, span, last := daysBetween(c.Last, p.today), c.span(), c.Last.Weekday()
	for ago := 1; ago < len(p.called); ago++ {
		before := ago - since // days before the last call
		if before > span || -before > longestSilence {
			continue
		}
		p.expected[ago] += of.calls[weekdayBefore(last, before)]
		if before >= 0 && c.called(before) {
			p.called[ago]++
		}
	}
}

// share is which part of the others called so many days ago, 1 where too little is known of them. The project that asks
// was silent and is not one of them; it usually calls with the given likelihood.
func (p *peers) share(ago int, own float64) float64 {
	expected := p.expected[ago] - own
	if expected < enoughOthers {
		return 1
	}
	return min(1, p.called[ago]/expected)
}

const (
	profileMinCalls = 20  // days with a call below which nothing is said of a project
	profileMinSpan  = 21  // days between the first and the last of them: three weekends
	profileGrave    = 9.0 // nats; chance keeps a steady project silent like this once in eight thousand times
	profileFactor   = 1.5 // how much more unlikely a silence must be than those of the past
)

// profileWindows are the days before the last call that a profile is learned from. The lower frequency of the two counts,
// whether a project slows down or speeds up.
var profileWindows = [...]int{63, 126}

// profile is a project's call profile: how often it calls on each day of the week, and how long its pauses are.
type profile struct {
	calls     [7]float64    // how likely it calls on a day of the week, by time.Weekday; neither 0 nor 1
	tolerated float64       // nats above which a silence is unusual
	usual     time.Duration // nine in ten pauses between days with a call are no longer
}

// newProfile learns from a call history; ok is false while that is too short.
func newProfile(c *Calls) (p profile, ok bool) {
	span := c.span()
	if c.activeDays() < profileMinCalls || span < profileMinSpan {
		return profile{}, false
	}
	p.calls = c.frequencies(min(span+1, profileWindows[0]))
	for weekday, frequency := range c.frequencies(min(span+1, profileWindows[1])) {
		p.calls[weekday] = min(p.calls[weekday], frequency)
	}
	p.learnPauses(c)
	return p, true
}

// frequencies is how often there was a call on each day of the week in a window that ends with the last call. Half a
// day more of either kind keeps a few days from being taken for certainty.
func (c *Calls) frequencies(window int) (frequencies [7]float64) {
	var calls, days [7]float64
	last := c.Last.Weekday()
	for n := range window {
		weekday := weekdayBefore(last, n)
		days[weekday]++
		if c.called(n) {
			calls[weekday]++
		}
	}
	for weekday := range frequencies {
		frequencies[weekday] = (calls[weekday] + 0.5) / (days[weekday] + 1)
	}
	return frequencies
}

// learnPauses looks at the pauses of the past with today's frequencies. The longest is left out: it may have been an
// outage of the webhook.
func (p *profile) learnPauses(c *Calls) {
	var surprisals []float64
	var lengths []int
	var daily [7]float64
	for weekday := range daily {
		daily[weekday] = p.surprisal(time.Weekday(weekday), 1)
	}
	last, surprisal, length := c.Last.Weekday(), 0.0, 0
	for n := 1; n <= c.span(); n++ {
		length++
		if !c.called(n) {
			surprisal += daily[weekdayBefore(last, n)]
			continue
		}
		surprisals, lengths = append(surprisals, surprisal), append(lengths, length)
		surprisal, length = 0, 0
	}
	slices.Sort(surprisals)
	slices.Sort(lengths)
	p.tolerated = max(profileGrave, profileFactor*surprisals[len(surprisals)-2])
	p.usual = time.Duration(lengths[len(lengths)*9/10]) * oneDay
}

// surprisal is how unlikely it is, in nats, that there is no call on a day on which only a share of the usual goes on.
func (p *profile) surprisal(on time.Weekday, share float64) float64 {
	return -math.Log1p(-p.calls[on] * share)
}

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
