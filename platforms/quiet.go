package platforms

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// errQuiet is why a call was not made.
var errQuiet = errors.New("an earlier call was told to wait")

// quietTransport is the one gate before a platform: it lets no call out before the time that the platform asked for has
// passed. It knows of all calls that the process makes to the platform, those included that were about to be made when
// another one's answer came.
type quietTransport struct {
	base   http.RoundTripper
	mu     sync.Mutex
	until  time.Time
	scarce time.Time // until when idle calls are left out
}

// RoundTrip answers RateLimited in place of a call that would come too early.
func (t *quietTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := t.closed(request.Context()); err != nil {
		if request.Body != nil {
			request.Body.Close()
		}
		return nil, err
	}
	ctx, cancel := t.watched(request.Context())
	response, err := t.base.RoundTrip(request.WithContext(ctx))
	if err != nil {
		quiet := new(RateLimited)
		if errors.As(context.Cause(ctx), &quiet) {
			err = quiet
		}
		cancel(nil)
		return nil, err
	}
	response.Body = &closingBody{response.Body, func() { cancel(nil) }}
	t.learn(response, time.Now())
	return response, nil
}

// watched asks once more when a connection is at hand, immediately before the request is written to it: it can take
// seconds to make one, and net/http sends a GET again, without telling, whose connection broke before the answer came.
func (t *quietTransport) watched(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		err := t.closed(ctx)
		if err == nil {
			return
		}
		cancel(err)
		if secured, ok := got.Conn.(*tls.Conn); ok && secured.ConnectionState().NegotiatedProtocol == "h2" {
			return // other calls share the connection, and HTTP/2 looks at the context before it writes
		}
		_ = got.Conn.Close()
	}}
	return httptrace.WithClientTrace(ctx, trace), cancel
}

// closed is nil where a call may be made now.
func (t *quietTransport) closed(ctx context.Context) error {
	if left := t.left(time.Now(), isIdle(ctx)); left > 0 {
		return &RateLimited{After: left, Err: errQuiet}
	}
	return nil
}

func (t *quietTransport) left(now time.Time, idle bool) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if idle && t.scarce.After(t.until) {
		return t.scarce.Sub(now)
	}
	return t.until.Sub(now)
}

func (t *quietTransport) learn(response *http.Response, now time.Time) {
	wait, limited := Limited(response, now)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scarce = scarce(response, now)
	if until := now.Add(wait); limited && until.After(t.until) {
		t.until = until
	}
}
