package layout

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
)

// dismisses is the verdict of a form that names a reason.
const dismisses = "dismiss"

// acceptedFor is for how long a form accepts a risk that names no end.
const acceptedFor = 90 * 24 * time.Hour

// Judgement is what a form says of findings.
type Judgement struct {
	Verdict core.Triage
	core.Dismissal
}

// Judgement reads a form: verdict is FP, TP or dismiss, which needs a reason; until is the day on which an accepted risk counts again, in
// UTC.
func (l *Layout) Judgement(c *gin.Context) (j Judgement, err error) {
	verdict, reason := core.Triage(c.PostForm("verdict")), core.Reason(c.PostForm("reason"))
	switch {
	case verdict == core.FalsePositive || verdict == core.TruePositive:
		return Judgement{Verdict: verdict}, nil
	case verdict != dismisses:
		return j, fmt.Errorf("%w: the form names no decision", core.ErrInvalid)
	case !slices.Contains(core.Reasons, reason):
		return j, fmt.Errorf("%w: choose a reason before you press Dismiss", core.ErrInvalid)
	}
	j = Judgement{reason.Triage(), core.Dismissal{Reason: reason}}
	if reason == core.AcceptedRisk {
		day := cmp.Or(c.PostForm("until"), l.Now().UTC().Add(acceptedFor).Format(time.DateOnly))
		end, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return j, fmt.Errorf("%w: %q is no day; write it as 2027-03-01", core.ErrInvalid, day)
		}
		j.ExpiresAt = &end
	}
	return j, nil
}

// What names the judgement in an address: FP, TP, or the reason.
func (j Judgement) What() string {
	if j.Reason == core.AsFalsePositive {
		return string(j.Verdict)
	}
	return cmp.Or(string(j.Reason), string(j.Verdict))
}

// Until is the end of an accepted risk as forms and addresses have it, or empty.
func (j Judgement) Until() string {
	if j.ExpiresAt == nil {
		return ""
	}
	return j.ExpiresAt.Format(time.DateOnly)
}

// ReasonOf is the reason that What names, or empty.
func ReasonOf(what string) core.Reason {
	if reason := core.Reason(what); slices.Contains(core.Reasons, reason) {
		return reason
	}
	return ""
}
