package core

import (
	"math"
	"slices"
	"time"
)

const (
	habitMinCalls = 20  // days with a call below which nothing is said of a project
	habitMinSpan  = 21  // days between the first and the last of them: three weekends
	habitGrave    = 9.0 // nats; chance keeps a steady project silent like this once in eight thousand times
	habitFactor   = 1.5 // how much more unlikely a silence must be than those of the past
)

// habitWindows are the days before the last call that a habit is learned from. The calmer one counts: a project that
// calms down is quiet in the shorter, one that wakes up in the longer.
var habitWindows = [...]int{63, 126}

// habit is what a project's past says about its silences.
type habit struct {
	calls     [7]float64    // how likely it calls on a day of the week, by time.Weekday; neither 0 nor 1
	tolerated float64       // nats above which a silence is unusual
	usual     time.Duration // nine in ten pauses between days with a call are no longer
}

// newHabit learns from a rhythm; ok is false while it is too short.
func newHabit(r *Rhythm) (h habit, ok bool) {
	span := r.span()
	if r.activeDays() < habitMinCalls || span < habitMinSpan {
		return habit{}, false
	}
	h.calls = r.frequencies(min(span+1, habitWindows[0]))
	for weekday, frequency := range r.frequencies(min(span+1, habitWindows[1])) {
		h.calls[weekday] = min(h.calls[weekday], frequency)
	}
	h.learnPauses(r)
	return h, true
}

// frequencies is how often there was a call on each day of the week in a window that ends with the last call. Half a
// day more of either kind keeps a few days from being taken for certainty.
func (r *Rhythm) frequencies(window int) (frequencies [7]float64) {
	var calls, days [7]float64
	last := r.Last.Weekday()
	for n := range window {
		weekday := weekdayBefore(last, n)
		days[weekday]++
		if r.called(n) {
			calls[weekday]++
		}
	}
	for weekday := range frequencies {
		frequencies[weekday] = (calls[weekday] + 0.5) / (days[weekday] + 1)
	}
	return frequencies
}

// learnPauses looks at the pauses of the past with today's habit. The longest one is left out: it may have been an
// outage of the webhook.
func (h *habit) learnPauses(r *Rhythm) {
	var surprises []float64
	var lengths []int
	var daily [7]float64
	for weekday := range daily {
		daily[weekday] = h.surprise(time.Weekday(weekday), 1)
	}
	last, surprise, length := r.Last.Weekday(), 0.0, 0
	for n := 1; n <= r.span(); n++ {
		length++
		if !r.called(n) {
			surprise += daily[weekdayBefore(last, n)]
			continue
		}
		surprises, lengths = append(surprises, surprise), append(lengths, length)
		surprise, length = 0, 0
	}
	slices.Sort(surprises)
	slices.Sort(lengths)
	h.tolerated = max(habitGrave, habitFactor*surprises[len(surprises)-2])
	h.usual = time.Duration(lengths[len(lengths)*9/10]) * oneDay
}

// surprise is how unlikely it is, in nats, that there is no call on a day on which only a share of the usual goes on.
func (h *habit) surprise(on time.Weekday, share float64) float64 {
	return -math.Log1p(-h.calls[on] * share)
}
