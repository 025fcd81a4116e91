package fakeforge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
)

// Hook is a webhook that the forge keeps. It belongs to a project, to a group (an organisation on GitHub) or, when both
// are empty, to a GitHub App that is installed everywhere.
type Hook struct {
	ID           int64  // 0: the next free one
	Project      string // full path
	Group        string // full path; it gets the events of the group's projects too
	URL          string
	Secret       string
	SigningToken string   // GitLab only
	Events       []string // GitHub: push, workflow_run…; GitLab: push_events, tag_push_events, pipeline_events…
	Form         bool     // GitHub: the content type is the default, a form
	Insecure     bool     // certificates are not verified
	Off          bool     // GitHub: a person has switched it off
	Template     string   // GitLab: custom_webhook_template

	Failures      int       // GitLab: consecutive ones
	DisabledUntil time.Time // GitLab: zero while it is called
}

// Covers tells whether the webhook gets the events of a project.
func (h Hook) Covers(project string) bool {
	switch {
	case h.Project != "":
		return strings.EqualFold(h.Project, project)
	case h.Group != "":
		return strings.HasPrefix(strings.ToLower(project), strings.ToLower(h.Group)+"/")
	}
	return true
}

// Subscribes tells whether the webhook gets an event, by the name in its list.
func (h Hook) Subscribes(event string) bool {
	return slices.Contains(h.Events, event) || slices.Contains(h.Events, "*")
}

// Delivery is one webhook call. Tests may send it twice, late, or with its parts changed.
type Delivery struct {
	Event  string      // GitHub: push, workflow_run…; GitLab: "Push Hook", "Pipeline Hook"…
	Key    string      // unchanged when it is sent again: GitHub's GUID, GitLab's Idempotency-Key
	Header http.Header // of the request, signature included
	Body   []byte      // of the request: the payload
	Status int         // of the answer; 0 until it was sent
	Answer []byte      // the answer's body, at most 1 MiB
}

// Attempt is one try to deliver an event, as the forge's log keeps it.
type Attempt struct {
	Delivery // Status is 0 where no answer came
	ID       int64
	Hook     int64
	Project  string
	At       time.Time
	Again    bool   // somebody asked for it
	Failure  string // why no answer came
}

// hookLog keeps the webhooks and what was delivered through them.
type hookLog struct {
	hookMu   sync.Mutex
	hooks    []Hook
	attempts []Attempt
}

// Hooks lists the webhooks.
func (l *hookLog) Hooks() []Hook {
	l.hookMu.Lock()
	defer l.hookMu.Unlock()
	return slices.Clone(l.hooks)
}

// HooksOf lists the webhooks that belong to the same project or group as owner.
func (l *hookLog) HooksOf(owner Hook) []Hook {
	return slices.DeleteFunc(l.Hooks(), func(h Hook) bool { return h.Project != owner.Project || h.Group != owner.Group })
}

// ChangeHook edits a webhook in place; core.ErrNotFound when there is none with the id.
func (l *hookLog) ChangeHook(id int64, change func(*Hook)) error {
	l.hookMu.Lock()
	defer l.hookMu.Unlock()
	i := slices.IndexFunc(l.hooks, func(h Hook) bool { return h.ID == id })
	if i < 0 {
		return fmt.Errorf("%w: no webhook %d", core.ErrNotFound, id)
	}
	change(&l.hooks[i])
	return nil
}

// RemoveHook forgets a webhook.
func (l *hookLog) RemoveHook(id int64) {
	l.hookMu.Lock()
	defer l.hookMu.Unlock()
	l.hooks = slices.DeleteFunc(l.hooks, func(h Hook) bool { return h.ID == id })
}

// EditHook is ChangeHook for the webhook of an API call; it returns the changed one.
func (l *hookLog) EditHook(hook Hook, change func(*Hook)) Hook {
	_ = l.ChangeHook(hook.ID, func(h *Hook) {
		change(h)
		hook = *h
	})
	return hook
}

// Assign sets a field of a webhook to the value of an API call, if the call gives one.
func Assign[T any](field *T, given *T) {
	if given != nil {
		*field = *given
	}
}

// Attempts lists what was delivered through a webhook, the oldest first.
func (l *hookLog) Attempts(hook int64) []Attempt {
	l.hookMu.Lock()
	defer l.hookMu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.attempts), func(a Attempt) bool { return a.Hook != hook })
}

// FindAttempt is one of a webhook's attempts.
func (l *hookLog) FindAttempt(hook, id int64) (Attempt, bool) {
	for _, a := range l.Attempts(hook) {
		if a.ID == id {
			return a, true
		}
	}
	return Attempt{}, false
}

// record adds an attempt; noted is told of it together with its webhook, if that still exists.
func (l *hookLog) record(a Attempt, noted func(*Hook, Attempt)) {
	l.hookMu.Lock()
	defer l.hookMu.Unlock()
	l.attempts = append(l.attempts, a)
	if i := slices.IndexFunc(l.hooks, func(h Hook) bool { return h.ID == a.Hook }); i >= 0 && noted != nil {
		noted(&l.hooks[i], a)
	}
}
