package redelivery

import (
	"slices"
	"time"

	"github.com/scanhook/scanhook/platforms"
)

const (
	maxTries    = 10 // after so many, a delivery is given up
	settleTime  = time.Minute
	longestWait = 12 * time.Hour
)

// tries are all that a platform has made to deliver one event.
type tries struct {
	last      platforms.Attempt
	count     int
	delivered bool // one of them was answered as a success
}

// byKey puts the attempts of each delivery together, the oldest delivery first. The newest attempt comes first in the
// list, as platforms have it.
func byKey(attempts []platforms.Attempt) []tries {
	place := map[string]int{}
	var all []tries
	for _, attempt := range attempts {
		i, seen := place[attempt.Key]
		if !seen {
			i = len(all)
			place[attempt.Key] = i
			all = append(all, tries{last: attempt})
		}
		all[i].count++
		all[i].delivered = all[i].delivered || attempt.Delivered
	}
	slices.Reverse(all)
	return all
}

// unknown leaves out what has arrived and what is given up.
func unknown(all []tries, known map[string]bool) []tries {
	return slices.DeleteFunc(all, func(t tries) bool { return known[t.last.Key] || t.count >= maxTries })
}

// due are the attempts whose time has come. A first failure is made good at once; what fails again waits four times as
// long each time. What the platform calls delivered has a minute to reach the disk.
func due(missing []tries, now time.Time) []platforms.Attempt {
	var list []platforms.Attempt
	for _, t := range missing {
		if t.last.At.IsZero() || now.Sub(t.last.At) >= t.wait() {
			list = append(list, t.last)
		}
	}
	return list
}

func (t tries) wait() time.Duration {
	if t.count == 1 && !t.delivered {
		return 0
	}
	return min(settleTime<<(2*min(t.count-1, 10)), longestWait)
}
