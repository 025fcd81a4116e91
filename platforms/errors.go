package platforms

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Errors of calls to a platform. They say what the caller should do next.
var (
	// ErrNoToken: nothing was sent because no token is configured; the status is kept and shown.
	ErrNoToken = errors.New("no token is configured")
	// ErrUnknownCommit: the platform does not know the commit yet, or no longer does; worth a few retries.
	ErrUnknownCommit = errors.New("the platform does not know the commit")
	// ErrTooEarly: nothing was sent, because in a moment the status can be put where it belongs.
	ErrTooEarly = errors.New("too early: the platform makes a place for it in a moment")
	// ErrRefused: the same call will never succeed.
	ErrRefused = errors.New("refused for good")
	// ErrGone: somebody has deleted what we had posted.
	ErrGone = errors.New("it was deleted")
	// ErrUnreadable: the call succeeded, but its answer counts and says nothing: a connection broke, or it is the page of a proxy. Worth a
	// retry.
	ErrUnreadable = errors.New("the answer cannot be read")
	// ErrNoHookAccess: the token may not manage webhooks, or the platform does not offer it.
	ErrNoHookAccess = errors.New("no access to the webhooks")
	// ErrUndelivered: the platform repeated a delivery at once, and it failed again.
	ErrUndelivered = errors.New("the platform's call did not succeed")
)

// RateLimited says that the platform wants no call before After has passed.
type RateLimited struct {
	After time.Duration // from now on, positive
	Err   error
}

func (e *RateLimited) Error() string { return fmt.Sprintf("rate limited for %s: %v", e.After, e.Err) }
func (e *RateLimited) Unwrap() error { return e.Err }

// Denied says that the credential may not do what was asked. Similar calls fail as well until a person changes
// something.
type Denied struct {
	Hidden bool  // the platform answers as if the project did not exist, which can be true of a new one
	Branch bool  // other branches of the project may be open
	Err    error // what is missing and where to change it
}

func (e *Denied) Error() string { return e.Err.Error() }
func (e *Denied) Unwrap() error { return e.Err }

// HTTPError is an error that the platform answered, with the HTTP status.
type HTTPError struct {
	Code int
	Err  error
}

func (e *HTTPError) Error() string { return e.Err.Error() }
func (e *HTTPError) Unwrap() error { return e.Err }

// CodeOf is the HTTP status of the answer behind err, 0 where there was none.
func CodeOf(err error) int {
	var answer *HTTPError
	if errors.As(err, &answer) {
		return answer.Code
	}
	return 0
}

// Forbidden tells whether an answer refused a call for want of a permission, or hides what the call is about. A rate limit is no such refusal.
func Forbidden(err error) bool {
	code := CodeOf(err)
	return (code == http.StatusForbidden || code == http.StatusNotFound) && !errors.As(err, new(*RateLimited))
}

// Readable adds ErrUnreadable to what an adapter made of a client library's error: the adapters take a call that succeeded for done,
// whatever its answer says.
func Readable(classified, err error) error {
	if classified == nil && err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return classified
}

// Field is an optional part of a status.
type Field string

// The fields that platforms sometimes refuse. The state is posted without them.
const (
	FieldDescription Field = "description"
	FieldLink        Field = "link"
)

// FieldRefused says which fields of a status keep the platform from taking it. Err wraps ErrRefused.
type FieldRefused struct {
	Fields []Field
	Err    error
}

func (e *FieldRefused) Error() string { return e.Err.Error() }
func (e *FieldRefused) Unwrap() error { return e.Err }

// Refusal is the error for a status that the platform refuses. The platform's message names the fields that are wrong.
func Refusal(message string) error {
	err := fmt.Errorf("%w: %s", ErrRefused, message)
	text, fields := strings.ToLower(strings.ReplaceAll(message, "_", " ")), []Field{}
	for field, name := range map[Field]string{FieldDescription: "description", FieldLink: "target url"} {
		if strings.Contains(text, name) {
			fields = append(fields, field)
		}
	}
	if len(fields) == 0 {
		return err
	}
	slices.Sort(fields)
	return &FieldRefused{Fields: fields, Err: err}
}
