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
	base   http.RoundTripper
	mu     sync.Mutex
	until  time.Time
	scarce time.Time // until when idle calls are left out
}

// RoundTrip answers RateLimited in place of a call that would come too early.
func (t *quietTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if left := t.left(time.Now(), isIdle(request.Context())); left > 0 {
		if request.Body != nil {
			request.Body.Close()
		}
		return nil, &RateLimited{After: left, Err: errQuiet}
	}
	response, err := t.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	t.learn(response, time.Now())
	return response, nil
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
