package platforms

import (
	"errors"
	"fmt"
	"time"
)

// RateLimited says that the platform wants no call before After has passed.
type RateLimited struct {
	After time.Duration // from now on, positive
	Err   error
}

func (e *RateLimited) Error() string { return fmt.Sprintf("rate limited for %s: %v", e.After, e.Err) }
func (e *RateLimited) Unwrap() error { return e.Err }

// Denied says that the credential may not do what was asked: the like of it will not succeed either before a person has
// mended something.
type Denied struct {
	Hidden bool  // the platform answers as if there were no such project, which of a fresh one may be true
	Branch bool  // other branches of the project may be open
	Err    error // what is missing and where to mend it
}

func (e *Denied) Error() string { return e.Err.Error() }
func (e *Denied) Unwrap() error { return e.Err }

// Answered is an error that came as an answer, with its HTTP status.
type Answered struct {
	Code int
	Err  error
}

func (e *Answered) Error() string { return e.Err.Error() }
func (e *Answered) Unwrap() error { return e.Err }

// CodeOf is the HTTP status of the answer that err came with, 0 where there was none.
func CodeOf(err error) int {
	var answered *Answered
	if errors.As(err, &answered) {
		return answered.Code
	}
	return 0
}
