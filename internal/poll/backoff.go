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

// Jitter is a random pause between half of the given one and all of it, so that work that failed together does not come
// back together.
func Jitter(pause time.Duration) time.Duration { return pause/2 + rand.N(pause/2+1) }

// Spread shortens a regular pause at random by up to a tenth, so that turns drift apart.
func Spread(every time.Duration) time.Duration { return every - rand.N(every/10+1) }
