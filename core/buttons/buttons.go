// Package buttons decides which buttons a check run shows, and what becomes of one that somebody has pressed.
package buttons

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/core"
)

// Act is what a button does.
type Act string

// The acts. Their names are sent to the platform.
const (
	ScanAgain     Act = "scan"
	FalsePositive Act = "fp"
	UsedInTests   Act = "test"
)

// Button is one of a check run. Texts are as short as GitHub wants them: 20, 40 and 20 characters.
type Button struct {
	Label, Description string
	ID                 string // names the act, the finding, and the revision of the check run that showed the button
}

// Rights are what a project's policy says of its buttons.
type Rights struct {
	Mode     core.ButtonMode
	Approval core.Approval
}

// Dismiss tells whether a button may dismiss a finding. It never does where two people have to: who presses it has another name there than
// on the page, and could be both of them.
func (r Rights) Dismiss(f core.Finding) bool { return r.Mode.Dismiss() && !r.Approval.Needs(f) }

// Of are the buttons of the check run that is about to show a status. found are its new findings that are not dismissed: a single one can
// be dismissed where the policy lets everybody do so who may write to the repository, unless that takes a comment.
func Of(status core.Status, found []core.Finding, rights Rights) []Button {
	if status.State == core.StatusPending {
		return nil
	}
	list := []Button{{"Scan again", "Have the commit scanned once more", idOf(ScanAgain, 0, status.Revision)}}
	if len(found) == 1 && rights.Dismiss(found[0]) && !found[0].NeedsComment() {
		finding := found[0].ID
		list = append(list,
			Button{"False positive", "Dismiss the one new finding", idOf(FalsePositive, finding, status.Revision)},
			Button{"Used in tests", "Dismiss it: it is in tests only", idOf(UsedInTests, finding, status.Revision)})
	}
	return slices.DeleteFunc(list, func(b Button) bool { return len(b.ID) > maxID })
}

// maxID is the longest id that GitHub takes.
const maxID = 20

// base is that of numbers in ids, which are short so.
const base = 36

func idOf(act Act, finding, revision int64) string {
	return fmt.Sprintf("%s.%s.%s", act, strconv.FormatInt(finding, base), strconv.FormatInt(revision, base))
}

// Deed is what a pressed button asks for.
type Deed struct {
	Act     Act
	Finding int64 // to be dismissed; 0 for ScanAgain
}

// Feedback is the decision that a button stands for. It has no comment.
func (d Deed) Feedback(author string) core.Feedback {
	feedback := core.Feedback{FindingID: d.Finding, Author: author, UserVerdict: core.FalsePositive}
	if d.Act == UsedInTests {
		feedback.Reason = core.UsedInTests
		feedback.UserVerdict = feedback.Reason.Triage()
	}
	return feedback
}

// parse reads the id of a button.
func parse(id string) (deed Deed, revision int64, ok bool) {
	parts := strings.Split(id, ".")
	if len(parts) != 3 {
		return deed, 0, false
	}
	finding, err := strconv.ParseInt(parts[1], base, 64)
	revision, wrong := strconv.ParseInt(parts[2], base, 64)
	deed = Deed{Act: Act(parts[0]), Finding: finding}
	ok = err == nil && wrong == nil && idOf(deed.Act, deed.Finding, revision) == id
	switch deed.Act {
	case ScanAgain:
		return deed, revision, ok && finding == 0
	case FalsePositive, UsedInTests:
		return deed, revision, ok && finding > 0
	}
	return deed, 0, false
}

// Subject is what an action is about, as it is now.
type Subject struct {
	Scan   core.Scan   // the newest of the commit in the project; without ID where there is none
	Check  core.Status // what the commit shows as a check run; without ID where it shows none
	IsHead bool        // a branch, a tag or an open request has the commit now
}

// ErrDone is why nothing is to be done: the commit was scanned again since.
var ErrDone = errors.New("the commit was scanned again since")

// Decide says what an action that was taken in at a time asks for. core.ErrConflict, with the reason, where it
// does not speak of what is now.
func Decide(action core.CheckAction, at time.Time, s Subject) (Deed, error) {
	deed, revision := Deed{Act: ScanAgain}, s.Check.Revision
	if action.Button != "" {
		var known bool
		if deed, revision, known = parse(action.Button); !known {
			return deed, fmt.Errorf("%w: the check run has no button %.40q", core.ErrConflict, action.Button)
		}
	}
	switch {
	case deed.Act == ScanAgain && s.Scan.ID != 0 && s.Scan.Timestamp.After(at):
		return deed, ErrDone
	case s.Scan.ID == 0 || s.Check.FirstScanID == 0:
		return deed, fmt.Errorf("%w: the commit has no check run of ours in this project", core.ErrConflict)
	case action.CheckID != 0 && action.CheckID != s.Check.PostedID:
		return deed, fmt.Errorf("%w: it is not the check run that the commit shows now", core.ErrConflict)
	case !s.IsHead:
		return deed, fmt.Errorf("%w: no branch and no open request has the commit any more", core.ErrConflict)
	case action.Button != "" && (revision != s.Check.Revision || revision != s.Check.PostedRevision):
		return deed, fmt.Errorf("%w: the check run has changed since: look at it again", core.ErrConflict)
	case !s.Scan.Status.Ended():
		return deed, fmt.Errorf("%w: the commit is being scanned", core.ErrConflict)
	}
	return deed, nil
}

// Refusal is the event of an action that is refused. The scan is of its commit, and may have no more than the names of that.
func Refusal(action core.CheckAction, scan core.Scan, why string) core.AuditEvent {
	event := core.AuditOf(scan, action.Actor(scan.SourcePlatform), core.AuditButtonRefused)
	event.Detail = why
	if action.Button != "" {
		event.Detail = fmt.Sprintf("%.40q: %s", action.Button, why)
	}
	return event
}
