//go:build !race

package liveness_test

import (
	"math/rand/v2"
	"slices"
	"time"
)

// life is a kind of project: on which days of a stretch its webhook calls.
type life struct {
	name   string
	calls  func(r *rand.Rand, start time.Time, days int) []bool
	most   float64 // false alarms a year among others, upper bound
	delay  int     // days after which half of all dead webhooks must have been noticed; 0 where none need be
	solely float64 // false alarms a year of a project that is the only one
}

// lives have the numbers that were measured as limits, and some more. The rule was set with other seeds of them.
var lives = []life{
	{name: "nightly pipeline", calls: steady(0.99, 0.99, 0.99), most: 0.05, delay: 5, solely: 0.05},
	{name: "busy team", calls: steady(0.995, 0.3, 0.08), most: 0.05, delay: 8, solely: 1},
	{name: "office team", calls: steady(0.97, 0.03, 0.08), most: 0.05, delay: 8, solely: 1.1},
	{name: "small team", calls: steady(0.85, 0.05, 0.08), most: 0.05, delay: 12, solely: 0.7},
	{name: "one person", calls: onePerson, most: 0.6, delay: 27, solely: 0.7},
	{name: "every other day", calls: steady(0.5, 0.05, 0.08), most: 0.1, delay: 25, solely: 0.15},
	{name: "weekends", calls: steady(0.05, 0.7, 1), most: 0.1, delay: 28, solely: 0.1},
	{name: "once a week", calls: steady(0.2, 0.02, 0.08), most: 0.1, solely: 0.1},
	{name: "once a fortnight", calls: steady(0.1, 0.01, 0.08), most: 0.1, solely: 0.1},
	{name: "once a month", calls: steady(0.04, 0.01, 0.08), most: 0.02, solely: 0.02},
	{name: "bursts", calls: bursts, most: 0.6, solely: 0.7},
	{name: "fading away", calls: fading, most: 0.25, solely: 0.35},
}

// steady calls with a probability for working days, one for weekends, and a factor for holidays.
func steady(working, weekend, holiday float64) func(*rand.Rand, time.Time, int) []bool {
	return func(r *rand.Rand, start time.Time, days int) []bool {
		calls := make([]bool, days)
		for i := range calls {
			on := start.AddDate(0, 0, i)
			chance := working
			if on.Weekday() == time.Saturday || on.Weekday() == time.Sunday {
				chance = weekend
			}
			if isHoliday(on) {
				chance *= holiday
			}
			calls[i] = r.Float64() < chance
		}
		return calls
	}
}

// isHoliday is true from Christmas Eve to New Year and on nine more days of the year.
func isHoliday(on time.Time) bool {
	date := int(on.Month())*100 + on.Day()
	return date >= 1224 || slices.Contains([]int{101, 403, 406, 501, 514, 525, 604, 815, 1003, 1101}, date)
}

// onePerson is on holiday three times a year for one or two weeks, and ill as often for some days.
func onePerson(r *rand.Rand, start time.Time, days int) []bool {
	calls := steady(0.75, 0.1, 0.08)(r, start, days)
	for i := 0; i < days; i++ {
		away := 0
		switch chance := r.Float64() * 365; {
		case chance < 3:
			away = 7 + r.IntN(10)
		case chance < 6:
			away = 1 + r.IntN(4)
		}
		clear(calls[i:min(i+away, days)])
		i += away
	}
	return calls
}

// bursts are one or two weeks of work, then nothing for a week at least, often for many.
func bursts(r *rand.Rand, start time.Time, days int) []bool {
	calls := steady(0.9, 0.1, 0.08)(r, start, days)
	for i := 0; i < days; {
		i += 3 + r.IntN(15)
		pause := 7 + int(r.ExpFloat64()*20)
		clear(calls[min(i, days):min(i+pause, days)])
		i += pause
	}
	return calls
}

// fading is daily work that ceases within one and a half years, and begins anew.
func fading(r *rand.Rand, start time.Time, days int) []bool {
	var calls []bool
	for i := range days {
		left := 1 - float64(i%540)/540
		calls = append(calls, steady(0.95*left*left, 0.05*left, 0.08)(r, start.AddDate(0, 0, i), 1)...)
	}
	return calls
}
