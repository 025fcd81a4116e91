package fakeforge

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Status is a commit status that the forge accepted.
type Status struct {
	Project     string // full path
	SHA         string
	Ref         string // GitLab: the branch or tag that it belongs to; empty on other forges
	Context     string // GitLab calls it name
	State       string // the forge's own term
	Description string
	TargetURL   string
	PipelineID  int64 // GitLab: the pipeline that it became a job of; 0 on other forges
	ID          int64
	Creator     string // login of the account that posted it
	At          time.Time
}

// Call is one request to the API. Requests of git are not calls.
type Call struct {
	Method string
	Path   string // as sent, with %-escapes, without the base's sub-path
	Status int    // of the answer; 0 while it is being worked on, and for a dropped connection
	Fault  bool   // the answer was an injected fault
	Reason string // why the rules refused it, or empty
	At     time.Time
}

// journal keeps what happened. changed is closed and replaced whenever a status arrives; this wakes every waiter.
type journal struct {
	journalMu sync.Mutex
	calls     []Call
	statuses  []Status
	byCommit  map[commitKey][]Status // the same, by commit
	changed   chan struct{}
}

// commitKey names a commit of a project. Forges ignore the case of a project's path.
type commitKey struct{ project, sha string }

func keyOf(project, sha string) commitKey { return commitKey{strings.ToLower(project), sha} }

// begin records a call and returns its position.
func (j *journal) begin(call Call) int {
	j.journalMu.Lock()
	defer j.journalMu.Unlock()
	j.calls = append(j.calls, call)
	return len(j.calls) - 1
}

// end records how the call at a position was answered.
func (j *journal) end(position int, a Answer) {
	j.journalMu.Lock()
	defer j.journalMu.Unlock()
	call := &j.calls[position]
	call.Status, call.Fault, call.Reason = a.Status, a.fault, a.Reason
}

// Accept records a status that the forge's rules allow.
func (j *journal) Accept(status Status) {
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

// Refused lists the calls that broke a rule of the forge. Injected faults are not among them.
func (j *journal) Refused() []Call {
	return slices.DeleteFunc(j.Calls(), func(c Call) bool { return c.Status < 400 || c.Fault })
}

// Statuses lists the statuses of a commit in order of arrival.
func (j *journal) Statuses(project, sha string) []Status {
	j.journalMu.Lock()
	defer j.journalMu.Unlock()
	return slices.Clone(j.byCommit[keyOf(project, sha)])
}

// Latest is what the forge shows for a commit and a context; ok is false when nothing was posted.
func (j *journal) Latest(project, sha, context string) (latest Status, ok bool) {
	for _, s := range j.Statuses(project, sha) {
		if s.Context == context {
			latest, ok = s, true
		}
	}
	return latest, ok
}

// Posted counts the statuses that were accepted.
func (j *journal) Posted() int {
	j.journalMu.Lock()
	defer j.journalMu.Unlock()
	return len(j.statuses)
}

// Wait returns the first status of any commit that is wanted, whether it was posted already or not yet.
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
