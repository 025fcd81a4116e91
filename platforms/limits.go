package platforms

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

const (
	defaultWait = time.Minute // what GitHub asks for when it gives no time
	minWait     = time.Second
	maxSkew     = 24 * time.Hour // of a clock that jumped
	maxWait     = time.Hour      // limits of both platforms reset within the hour; a longer wait is an error or an attack
)

// Limited tells whether an answer is about a rate limit, and how long to wait. Headers are those of GitHub and GitLab:
// Retry-After in seconds or as a date, else the time of reset when nothing remains. A 403 without them is a refusal,
// unless it says that it is for GitHub's secondary limits, which come without a time now and then.
func Limited(response *http.Response, now time.Time) (time.Duration, bool) {
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusForbidden {
		return 0, false
	}
	now = timeOf(response, now)
	if wait, ok := retryAfter(response.Header.Get("Retry-After"), now); ok {
		return Wait(wait), true
	}
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} {
		if response.Header.Get(prefix+"Remaining") == "0" {
			return untilReset(response.Header.Get(prefix+"Reset"), now), true
		}
	}
	limited := response.StatusCode == http.StatusTooManyRequests
	return defaultWait, limited || bytes.Contains(answerOf(response), []byte("secondary rate limit"))
}

// timeOf is the platform's own time, by which its limits end; ours where it tells none that can be.
func timeOf(response *http.Response, now time.Time) time.Time {
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err == nil && theirs.Sub(now).Abs() < maxSkew {
		return theirs
	}
	return now
}

// Wait bounds the time that a platform asks us to stay away: between a second and an hour.
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
