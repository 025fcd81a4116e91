package poll

import (
	"math/rand/v2"
	"time"
)

// Backoff is how long to wait before work that keeps failing is tried again: first, doubled for each earlier failure,
// at most longest.
func Backoff(first time.Duration, failures int, longest time.Duration) time.Duration {
	pause := first
	for ; failures > 0 && pause < longest; failures-- {
		pause *= 2
	}
	return min(pause, longest)
}

// Jitter is a random pause between half of the given one and all of it: what failed at the same moment does not come
// back at the same moment.
func Jitter(pause time.Duration) time.Duration { return pause/2 + rand.N(pause/2+1) }

// Spread is a regular pause made shorter at random by up to a tenth, so that not all have their turn at once.
func Spread(every time.Duration) time.Duration { return every - rand.N(every/10+1) }
