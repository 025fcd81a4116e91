package standin

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Status is a commit status that the platform accepted.
type Status struct {
	Project     string // full path
	SHA         string
	Ref         string // GitLab: the branch or tag it was counted for; empty on GitHub
	Context     string // GitLab calls it name
	State       string // in the platform's words
	Description string
	TargetURL   string
	PipelineID  int64 // GitLab: where it landed; 0 on GitHub
	ID          int64
	Creator     string // login of who posted it
	At          time.Time
}

// Call is one request to the API; git's requests are not calls.
type Call struct {
	Method string
	Path   string // as sent, with %-escapes, without the base's sub-path
	Status int    // of the answer; 0 while it is being worked on, and for a dropped connection
	Fault  bool   // the answer was an injected fault
	Reason string // why the rules refused it, or empty
	At     time.Time
}

// journal keeps what happened. changed is closed and replaced whenever a status arrives, which wakes all that wait.
type journal struct {
	journalMu sync.Mutex
	calls     []Call
	statuses  []Status
	byCommit  map[commitKey][]Status // the same, for long runs
	changed   chan struct{}
}

// commitKey names a commit of a project, whose path the platforms read in any case.
type commitKey struct{ project, sha string }

func keyOf(project, sha string) commitKey { return commitKey{strings.ToLower(project), sha} }

func newJournal() journal {
	return journal{changed: make(chan struct{}), byCommit: map[commitKey][]Status{}}
}

// begin enters a call and returns its place.
func (j *journal) begin(call Call) int {
	j.journalMu.Lock()
	defer j.journalMu.Unlock()
	j.calls = append(j.calls, call)
	return len(j.calls) - 1
}

func (j *journal) end(place int, a answer) {
	j.journalMu.Lock()
	defer j.journalMu.Unlock()
	call := &j.calls[place]
	call.Status, call.Fault, call.Reason = a.status, a.fault, a.reason
}

func (j *journal) accept(status Status) {
	j.journalMu.Lock()
	defer j.journalMu.Unlock()
	j.statuses = append(j.statuses, status)
	key := keyOf(status.Project, status.SHA)
	j.byCommit[key] = append(j.byCommit[key], status)
	close(j.changed)
	j.changed = make(chan struct{})
}

// Calls lists all API calls in order of arrival.
func (j *journal) Calls() []Call {
	j.journalMu.Lock()
	defer j.journalMu.Unlock()
	return slices.Clone(j.calls)
}

// Refused lists the calls that broke a rule of the platform; injected faults are not among them.
func (j *journal) Refused() []Call {
	return slices.DeleteFunc(j.Calls(), func(c Call) bool { return c.Status < 400 || c.Fault })
}

// Statuses lists the statuses of a commit in order of arrival.
func (j *journal) Statuses(project, sha string) []Status {
	j.journalMu.Lock()
	defer j.journalMu.Unlock()
	return slices.Clone(j.byCommit[keyOf(project, sha)])
}

// Latest is what the platform shows for a commit and a context; ok is false when nothing was posted.
func (j *journal) Latest(project, sha, context string) (latest Status, ok bool) {
	for _, s := range j.Statuses(project, sha) {
		if s.Context == context {
			latest, ok = s, true
		}
	}
	return latest, ok
}

// Wait returns the first status, of any commit, that is wanted, whether it came already or is still to come.
// The error is the context's.
func (j *journal) Wait(ctx context.Context, wanted func(Status) bool) (Status, error) {
	for seen := 0; ; {
		fresh, changed := j.since(seen)
		if i := slices.IndexFunc(fresh, wanted); i >= 0 {
			return fresh[i], nil
		}
		seen += len(fresh)
		select {
		case <-changed:
		case <-ctx.Done():
			return Status{}, context.Cause(ctx)
		}
	}
}

func (j *journal) since(seen int) ([]Status, <-chan struct{}) {
	j.journalMu.Lock()
	defer j.journalMu.Unlock()
	return slices.Clone(j.statuses[seen:]), j.changed
}

// Posted counts the statuses that were accepted.
func (j *journal) Posted() int {
	j.journalMu.Lock()
	defer j.journalMu.Unlock()
	return len(j.statuses)
}
