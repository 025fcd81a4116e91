package platforms

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

type idleKey struct{}

// Idle marks calls that nobody waits for. A client of NewClient makes them only while at least half of the calls are
// left that the platform allows, so that they take none from the others; otherwise it answers RateLimited.
func Idle(ctx context.Context) context.Context { return context.WithValue(ctx, idleKey{}, true) }

func isIdle(ctx context.Context) bool { return ctx.Value(idleKey{}) != nil }

// scarce is until when idle calls should not be made, by the allowance that an answer tells of; zero where they may be.
func scarce(response *http.Response, now time.Time) time.Time {
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} {
		limit, err1 := strconv.ParseInt(response.Header.Get(prefix+"Limit"), 10, 64)
		remaining, err2 := strconv.ParseInt(response.Header.Get(prefix+"Remaining"), 10, 64)
		if err1 == nil && err2 == nil && remaining < limit/2 {
			return now.Add(untilReset(response.Header.Get(prefix+"Reset"), timeOf(response, now)))
		}
	}
	return time.Time{}
}
