package statuses

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	firstPause    = 2 * time.Second
	noTokenPause  = time.Hour // a token may come with the next start
	tooEarlyPause = time.Second
	refusedGrace  = 15 * time.Minute // the platform may accept later what it refuses now, for example a limit of jobs
	hiddenGrace   = time.Minute      // the API may not know a new project for so long
	firstProbe    = 30 * time.Second // until a held project is tried again
	longestProbe  = 15 * time.Minute
)

// refusedAdvice is what to do about a status that the platform refuses.
const refusedAdvice = "; it is tried for 15 minutes, then \"Scan again\" on the scan's page posts it anew"

// decide turns a failed post into what happens next. The status has been due for age.
func decide(status core.Status, err error, age time.Duration) store.PostResult {
	retry := platforms.RetryAfter(err, firstPause, status.Attempts, age)
	end := store.PostResult{Error: reason(err), Code: platforms.CodeOf(err), RetryAfter: retry.After, GivenUp: retry.GivenUp}
	limited, denied := new(platforms.RateLimited), new(platforms.Denied)
	switch {
	case errors.As(err, &limited):
		end.Waiting = true
	case errors.Is(err, platforms.ErrNoToken):
		end.RetryAfter, end.Hold, end.GivenUp = noTokenPause, &core.Hold{Probes: 1}, false
	case errors.As(err, &denied) && (!denied.Hidden || age > hiddenGrace):
		end.RetryAfter, end.Hold, end.GivenUp = poll.Backoff(firstProbe, status.Probe, longestProbe), holdOf(status, denied), false
	case errors.Is(err, platforms.ErrTooEarly):
		end.RetryAfter, end.Waiting = tooEarlyPause, true
	case errors.Is(err, platforms.ErrRefused):
		end.GivenUp = end.GivenUp || age > refusedGrace || end.Code == 0
		end.Error += refusedAdvice
	}
	return end
}

// maxReason bounds the text of a failure that is kept, in characters.
const maxReason = 400

// reason is why a post failed, as a text to be kept and shown. It is the same for the same cause: the HTTP status and the
// length of a pause, which change with each answer, are left out.
func reason(err error) string {
	if answered := new(platforms.HTTPError); errors.As(err, &answered) {
		err = answered.Err
	}
	if limited := new(platforms.RateLimited); errors.As(err, &limited) {
		err = limited.Err
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "?"))
	if utf8.RuneCountInString(text) > maxReason {
		text = string([]rune(text)[:maxReason]) + "…"
	}
	return text
}

// holdOf is the hold that a denied post puts on the project, or on one branch of it.
func holdOf(status core.Status, denied *platforms.Denied) *core.Hold {
	hold := &core.Hold{Probes: status.Probe + 1}
	if denied.Branch {
		hold.Branch = status.Branch
	}
	return hold
}

func metricOf(end store.PostResult, err error) metrics.PostOutcome {
	limited, denied := new(platforms.RateLimited), new(platforms.Denied)
	switch {
	case err == nil:
		return metrics.Posted
	case end.GivenUp:
		return metrics.GivenUp
	case errors.As(err, &limited):
		return metrics.RateLimited
	case errors.As(err, &denied):
		return metrics.Denied
	case errors.Is(err, platforms.ErrNoToken):
		return metrics.NoToken
	case errors.Is(err, platforms.ErrTooEarly):
		return metrics.TooEarly
	case errors.Is(err, platforms.ErrUnknownCommit):
		return metrics.UnknownCommit
	}
	return metrics.PostFailed
}
