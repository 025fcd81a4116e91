package report

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// againAdvice is what to do about a status that the platform refuses.
const againAdvice = "; it is tried for 15 minutes, then \"Scan again\" on the scan's page posts it anew"

// maxSentence is how much of a reason is kept, in characters.
const maxSentence = 400

// sentence is why a post failed, fit to be kept and shown, and the same for the same reason: how long a pause is
// changes with each answer.
func sentence(err error) string {
	if answered := new(platforms.Answered); errors.As(err, &answered) {
		err = answered.Err // which status it was is kept beside it
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
	if utf8.RuneCountInString(text) > maxSentence {
		text = string([]rune(text)[:maxSentence]) + "…"
	}
	return text
}

// troubleOf says that the token may not post the status, nor others like it.
func troubleOf(status core.Status, denied *platforms.Denied) *core.Trouble {
	trouble := &core.Trouble{Probes: status.Probe + 1}
	if denied.Branch {
		trouble.Branch = status.Branch
	}
	return trouble
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// tell logs each outcome once, and of what waits for a person only the first.
func (r *Reporter) tell(status core.Status, end store.Settlement, err error) {
	log := r.Log.With("platform", status.SourcePlatform, "project", status.ProjectName,
		"commit", status.CommitSHA, "state", status.State)
	switch {
	case err == nil:
		log.Info("status posted", "description", status.Description)
		if end.LeftOut != "" {
			log.Warn("the platform refused a text of a status, which was posted without it", "why", end.LeftOut)
		}
		if status.Probe > 0 {
			log.Info("statuses of this project are posted again, those that waited too")
			r.silent.Delete(quietKey(status, ""))
			r.silent.Delete(quietKey(status, status.Branch))
		}
	case end.Trouble != nil:
		if _, said := r.silent.LoadOrStore(quietKey(status, end.Trouble.Branch), true); !said {
			log.Warn("statuses of this project are kept and shown, but not posted: "+end.Error,
				"branch", end.Trouble.Branch)
		}
	case errors.Is(err, platforms.ErrTooEarly):
		log.Debug("status waits", "reason", err)
	case end.GivenUp:
		log.Error("status given up", "error", err)
	default:
		log.Warn("status not posted, trying again", "after", end.RetryAfter, "error", err)
	}
}

func quietKey(status core.Status, branch string) string {
	return strings.Join([]string{status.SourcePlatform, status.ProjectName, branch}, "\n")
}
