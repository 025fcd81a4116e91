package platforms

import (
	"context"
	"errors"
	"time"
)

// Attempt is one try of a platform to deliver an event that Scanhook uses.
type Attempt struct {
	ID        int64
	Key       string    // the delivery key that Parse gives to the call
	At        time.Time // zero where the platform does not tell
	Delivered bool      // it was answered as a success
}

// Redeliverer is a Platform that remembers what it has delivered. Errors are those of this package; anything else is
// worth another try.
type Redeliverer interface {
	// Attempts lists what the platform tried to deliver since then, the newest first. Platforms that tell no times list
	// all that failed and that they remember.
	Attempts(ctx context.Context, hook Hook, since time.Time) ([]Attempt, error)
	// Redeliver has the platform try again, under the same key. It returns before the call has come where the platform
	// works that way.
	Redeliver(ctx context.Context, hook Hook, attempt Attempt) error
	// TestHook has the platform call the webhook, which makes it forgive one that it has paused or disabled.
	TestHook(ctx context.Context, hook Hook) error
}

// ErrUndelivered is what a Redeliverer says when the platform tried at once, and the call did not succeed.
var ErrUndelivered = errors.New("the platform's call did not succeed")
