package liveness

import (
	"math"
	"slices"
	"time"
)

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
