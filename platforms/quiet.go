package platforms

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// errQuiet is why a call was not made.
var errQuiet = errors.New("an earlier call was told to wait")

// quietTransport makes no call before the time that the platform asked for has passed. It knows of all calls that the
// process makes to a platform, those included that were about to be made when another one's answer came.
type quietTransport struct {
	base  http.RoundTripper
	mu    sync.Mutex
	until time.Time
}

// RoundTrip answers RateLimited in place of a call that would come too early.
func (t *quietTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if left := t.left(time.Now()); left > 0 {
		if request.Body != nil {
			request.Body.Close()
		}
		return nil, &RateLimited{After: left, Err: errQuiet}
	}
	response, err := t.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if wait, limited := Limited(response, now); limited {
		t.extend(now.Add(wait))
	}
	return response, nil
}

func (t *quietTransport) left(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.until.Sub(now)
}

func (t *quietTransport) extend(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if until.After(t.until) {
		t.until = until
	}
}
