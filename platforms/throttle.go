package platforms

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"time"
)

const (
	defaultWait = time.Minute // what GitHub asks for when it gives no time
	minWait     = time.Second
	maxSkew     = 24 * time.Hour // of a clock that jumped
	maxWait     = time.Hour      // limits of the platforms reset within the hour; a longer wait is an error or an attack
)

// errThrottled is why a call was not made.
var errThrottled = errors.New("an earlier call was told to wait")

// throttledTransport makes no call before the time that the platform asked for has passed. All calls of the process to
// the platform go through it, so it also stops calls that were about to be made when the limit was reported.
type throttledTransport struct {
	base   http.RoundTripper
	mu     sync.Mutex
	until  time.Time
	scarce time.Time // until when calls of low priority are not made
}

// RoundTrip returns RateLimited instead of making a call too early.
func (t *throttledTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := t.refuse(request.Context()); err != nil {
		if request.Body != nil {
			request.Body.Close()
		}
		return nil, err
	}
	ctx, cancel := t.checkConnection(request.Context())
	response, err := t.base.RoundTrip(request.WithContext(ctx))
	if err != nil {
		limited := new(RateLimited)
		if errors.As(context.Cause(ctx), &limited) {
			err = limited
		}
		cancel(nil)
		return nil, err
	}
	response.Body = &closingBody{response.Body, func() { cancel(nil) }}
	t.learn(response, time.Now())
	return response, nil
}

// checkConnection checks again once there is a connection, immediately before the request is written to it. Connecting
// can take seconds, and net/http silently repeats a GET whose connection broke before the answer came.
func (t *throttledTransport) checkConnection(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		err := t.refuse(ctx)
		if err == nil {
			return
		}
		cancel(err)
		if secured, ok := got.Conn.(*tls.Conn); ok && secured.ConnectionState().NegotiatedProtocol == "h2" {
			return // other calls share the connection, and HTTP/2 checks the context before it writes
		}
		_ = got.Conn.Close()
	}}
	return httptrace.WithClientTrace(ctx, trace), cancel
}

// refuse is nil where a call may be made now.
func (t *throttledTransport) refuse(ctx context.Context) error {
	now := time.Now()
	t.mu.Lock()
	left := t.until.Sub(now)
	if isLowPriority(ctx) && t.scarce.After(t.until) {
		left = t.scarce.Sub(now)
	}
	t.mu.Unlock()
	if left > 0 {
		return &RateLimited{After: left, Err: errThrottled}
	}
	return nil
}

func (t *throttledTransport) learn(response *http.Response, now time.Time) {
	wait, limited := Limited(response, now)
	t.mu.Lock()
	defer t.mu.Unlock()
	if allowed, told := AllowanceOf(response.Header); told {
		t.scarce = allowed.scarceUntil(response, now)
	}
	if until := now.Add(wait); limited && until.After(t.until) {
		t.until = until
	}
}

// closingBody calls then when it is closed.
type closingBody struct {
	io.ReadCloser
	then func()
}

func (b *closingBody) Close() error {
	defer b.then()
	return b.ReadCloser.Close()
}

type lowPriority struct{}

// LowPriority marks calls that nobody waits for. A client of NewClient makes them only while at least half of the calls
// that the platform allows are left for the others; otherwise it returns RateLimited.
func LowPriority(ctx context.Context) context.Context {
	return context.WithValue(ctx, lowPriority{}, true)
}

func isLowPriority(ctx context.Context) bool { return ctx.Value(lowPriority{}) != nil }

// Allowance is how many calls a platform allows in its present period, and how many of them are left.
type Allowance struct{ Limit, Left int64 }

// AllowanceOf reads what an answer of GitHub, Gitea or GitLab says of the calls that are allowed; false where it says nothing, or of calls
// only that are counted apart, as GitHub's searches.
func AllowanceOf(header http.Header) (a Allowance, told bool) {
	limit, err1 := strconv.ParseInt(limitHeader(header, "Limit"), 10, 64)
	left, err2 := strconv.ParseInt(limitHeader(header, "Remaining"), 10, 64)
	resource := header.Get("X-RateLimit-Resource")
	return Allowance{limit, left}, err1 == nil && err2 == nil && (resource == "" || resource == "core")
}

// limitHeader is a header about a rate limit. GitLab's have no X- before them.
func limitHeader(header http.Header, name string) string {
	return cmp.Or(header.Get("X-RateLimit-"+name), header.Get("RateLimit-"+name))
}

// scarceUntil is until when calls of low priority should not be made; zero where they may be made.
func (a Allowance) scarceUntil(response *http.Response, now time.Time) time.Time {
	if a.Left >= a.Limit/2 {
		return time.Time{}
	}
	return now.Add(untilReset(limitHeader(response.Header, "Reset"), timeOf(response, now)))
}

// WatchLimits passes calls to a platform on, and tells what each answer says of the calls that are allowed.
func WatchLimits(base http.RoundTripper, tell func(Allowance)) http.RoundTripper {
	return limitWatcher{base, tell}
}

type limitWatcher struct {
	base http.RoundTripper
	tell func(Allowance)
}

// RoundTrip is that of the base.
func (w limitWatcher) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := w.base.RoundTrip(request)
	if err != nil {
		return response, err
	}
	if allowed, told := AllowanceOf(response.Header); told {
		w.tell(allowed)
	}
	return response, nil
}

// Limited tells whether an answer reports a rate limit, and how long to wait. It reads the headers of GitHub and GitLab:
// Retry-After in seconds or as a date, else the time of reset when nothing remains. A 403 without them is a refusal,
// unless its text names GitHub's secondary limits, which sometimes come without a time.
func Limited(response *http.Response, now time.Time) (time.Duration, bool) {
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusForbidden {
		return 0, false
	}
	now = timeOf(response, now)
	if wait, ok := retryAfter(response.Header.Get("Retry-After"), now); ok {
		return Wait(wait), true
	}
	if limitHeader(response.Header, "Remaining") == "0" {
		return untilReset(limitHeader(response.Header, "Reset"), now), true
	}
	limited := response.StatusCode == http.StatusTooManyRequests
	return defaultWait, limited || bytes.Contains(errorBodyOf(response), []byte("secondary rate limit"))
}

// timeOf is the platform's own time, which its limits refer to; ours where its Date is missing or implausible.
func timeOf(response *http.Response, now time.Time) time.Time {
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err == nil && theirs.Sub(now).Abs() < maxSkew {
		return theirs
	}
	return now
}

// Wait bounds the time that a platform asks us to wait: between a second and an hour.
func Wait(asked time.Duration) time.Duration { return min(max(asked, minWait), maxWait) }

func retryAfter(value string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if moment, err := http.ParseTime(value); err == nil {
		return moment.Sub(now), true
	}
	return 0, false
}

func untilReset(epoch string, now time.Time) time.Duration {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return defaultWait
	}
	return Wait(time.Unix(seconds, 0).Sub(now))
}
