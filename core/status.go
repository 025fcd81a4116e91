package core

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// StatusState is the state of a commit status in our words; the adapters translate it to their platform's.
type StatusState string

// The states of a commit status. All but StatusPending are final.
const (
	StatusPending   StatusState = "pending"
	StatusSuccess   StatusState = "success"
	StatusFailure   StatusState = "failure"   // the gate said no
	StatusError     StatusState = "error"     // the scan itself failed
	StatusCancelled StatusState = "cancelled" // superseded by a newer push
)

// MaxDescription is the longest status text that every platform takes, in characters (GitHub answers 422 above it).
const MaxDescription = 140

// Status is a commit status as it should stand on the platform, with what was posted so far.
type Status struct {
	ID             int64       `db:"id"`
	ScanID         int64       `db:"scan_id"`
	SourcePlatform string      `db:"source_platform"`
	ProjectName    string      `db:"project_name"`
	ProjectRef     string      `db:"project_ref"`
	CommitSHA      string      `db:"commit_sha"`
	Branch         string      `db:"branch"`
	Context        string      `db:"context"`
	State          StatusState `db:"state"`
	Description    string      `db:"description"`
	TargetURL      string      `db:"target_url"`
	Revision       int64       `db:"revision"` // grows with every change of what is wanted
	PostedRevision int64       `db:"posted_revision"`
	PostedState    StatusState `db:"posted_state"` // empty until something was posted
	PipelinePin    string      `db:"pipeline_pin"` // the platform's pipeline that the status belongs to (GitLab), or empty
	Attempts       int         `db:"attempts"`     // failed posts of this revision
	NextAttemptAt  time.Time   `db:"next_attempt_at"`
	LeaseUntil     *time.Time  `db:"lease_until"`
	LastError      string      `db:"last_error"`
	GivenUp        bool        `db:"given_up"` // nothing more is tried for this revision
	WantedAt       time.Time   `db:"wanted_at"`
	DueSince       time.Time   `db:"due_since"` // WantedAt, or when the token that it waited for was mended
	PostedAt       *time.Time  `db:"posted_at"`
	LeftOut        string      `db:"left_out"`                // what the platform refused of what was posted last, and why; else empty
	PostedID       int64       `db:"posted_id"`               // the platform's number of what was posted last; 0 where unknown
	SeenID         int64       `db:"seen_id"`                 // the greatest number that was seen in its place
	MendedRevision int64       `db:"mended_revision"`         // what put a stranger's status right
	CheckAt        *time.Time  `db:"check_at"`                // when to look what the platform shows
	Probe          int         `db:"probe,computed"`          // not 0: the post finds out whether a token was mended, so often now
	PushedAt       *time.Time  `db:"pushed_at,computed"`      // when the scan was asked for; only claimed, and only for the scan's own status
	MergePipeline  int64       `db:"merge_pipeline,computed"` // the commit's newest of a merge request (GitLab), or 0; only claimed
}

// FirstFinal tells whether posting s ends the wait that began with the push.
func (s Status) FirstFinal() bool {
	return s.PushedAt != nil && s.State != StatusPending && (s.PostedState == "" || s.PostedState == StatusPending)
}

// DueBy tells whether what is wanted is not posted yet and may be by then.
func (s Status) DueBy(then time.Time) bool {
	return s.PostedRevision < s.Revision && !s.GivenUp && s.NextAttemptAt.Before(then)
}

// StatusFor is the state and text that a commit should show for its scan.
func StatusFor(s Scan) (StatusState, string) {
	switch {
	case !s.Status.Ended():
		return StatusPending, "Scan in progress"
	case s.Status == ScanFailed && s.SupersededBy != "":
		return StatusCancelled, Truncate(s.Error)
	case s.Status == ScanFailed:
		return StatusError, Truncate("Scan failed: " + s.Error)
	case s.Verdict != nil && *s.Verdict == Fail:
		return StatusFailure, Truncate(s.Summary)
	}
	return StatusSuccess, Truncate(s.Summary)
}

// SupersededError is the reason of jobs that never started because the branch moved on to sha.
func SupersededError(sha string) string { return "Superseded by a newer push: " + ShortSHA(sha) }

// DeadlineError is the reason of jobs that did not report within the scan timeout.
func DeadlineError(timeout time.Duration) string {
	return fmt.Sprintf("no result within %s", timeout)
}

// Narrow replaces the characters above U+FFFF, emoji most of all: GitHub refuses statuses that have some, and a Gitea on
// an old MySQL fails on them.
func Narrow(text string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xFFFF {
			return '?'
		}
		return r
	}, text)
}

// Truncate shortens text to MaxDescription characters.
func Truncate(text string) string {
	if utf8.RuneCountInString(text) <= MaxDescription {
		return text
	}
	return string([]rune(text)[:MaxDescription-1]) + "…"
}
