package platforms

import (
	"errors"
	"time"

	"github.com/scanhook/scanhook/internal/poll"
)

const (
	longestRetryPause  = 10 * time.Minute
	unknownCommitGrace = 10 * time.Minute // a webhook can be faster than the API of its platform
	giveUpAfter        = 24 * time.Hour
)

// Retry says what becomes of a call that failed.
type Retry struct {
	After   time.Duration // the pause before the next attempt
	GivenUp bool          // there is no next attempt
}

// Passing tells whether a call that failed with err may succeed later although nobody changes anything.
func Passing(err error) bool {
	for _, lasting := range []error{ErrNoToken, ErrRefused, ErrUnknownCommit, ErrNoHookAccess, ErrGone} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	return err != nil && !errors.As(err, new(*Denied))
}

// RetryAfter decides when a call that failed with err is made again. It failed attempts times before and has been wanted
// for age. The pause begins with first, doubles with each attempt and is random, so that calls that failed together do
// not come back together; a rate limit sets its own.
func RetryAfter(err error, first time.Duration, attempts int, age time.Duration) Retry {
	retry := Retry{
		After:   poll.Jitter(poll.Backoff(first, attempts, longestRetryPause)),
		GivenUp: age > giveUpAfter || errors.Is(err, ErrUnknownCommit) && age > unknownCommitGrace,
	}
	if limited := new(RateLimited); errors.As(err, &limited) {
		retry.After = limited.After
	}
	return retry
}
