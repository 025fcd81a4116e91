package standin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
)

// Hook is a webhook that the platform keeps. It belongs to a project, to a group (an organisation on GitHub) or, when
// both are empty, to a GitHub App that is installed everywhere.
type Hook struct {
	ID           int64  // 0: the next free one
	Project      string // full path
	Group        string // full path; its projects' events come too
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

// target is GitHub's word for what a webhook belongs to.
func (h Hook) target() string {
	switch {
	case h.Project != "" || h.ID == githubHookID:
		return "repository"
	case h.Group != "":
		return "organization"
	}
	return "integration"
}

// targetID is the id of what the webhook belongs to, in decimal digits.
func (h Hook) targetID(repo Repository) string {
	id := int64(4) // of the App
	switch h.target() {
	case "repository":
		id = repo.ID
	case "organization":
		id = repo.ID + 1
	}
	return strconv.FormatInt(id, 10)
}

// hears tells whether the events of a project come to the webhook.
func (h Hook) hears(project string) bool {
	switch {
	case h.Project != "":
		return strings.EqualFold(h.Project, project)
	case h.Group != "":
		return strings.HasPrefix(strings.ToLower(project), strings.ToLower(h.Group)+"/")
	}
	return true
}

// Attempt is one try to deliver an event, as the platform's log keeps it.
type Attempt struct {
	Delivery // Status is 0 where no answer came
	ID       int64
	Hook     int64
	Project  string
	At       time.Time
	Again    bool   // somebody asked for it
	Failure  string // why no answer came
}

func (a Attempt) succeeded(kind Kind) bool {
	return a.Status/100 == 2 || kind == GitLab && a.Status/100 == 3
}

// hookbook keeps the webhooks and what was delivered through them.
type hookbook struct {
	hookMu   sync.Mutex
	hooks    []Hook
	attempts []Attempt
	requests map[string][]time.Time // of what GitLab allows five times a minute
}

// AddHook makes the platform keep a webhook, and returns it with its id.
func (s *Server) AddHook(hook Hook) Hook {
	hook.ID = cmp.Or(hook.ID, s.nextID())
	s.hookMu.Lock()
	defer s.hookMu.Unlock()
	s.hooks = append(s.hooks, hook)
	return hook
}

// Hooks lists the webhooks.
func (b *hookbook) Hooks() []Hook {
	b.hookMu.Lock()
	defer b.hookMu.Unlock()
	return slices.Clone(b.hooks)
}

// Attempts lists what was delivered through a webhook, the oldest first.
func (b *hookbook) Attempts(hook int64) []Attempt {
	b.hookMu.Lock()
	defer b.hookMu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.attempts), func(a Attempt) bool { return a.Hook != hook })
}

// ChangeHook edits a webhook in place; core.ErrNotFound when there is none with the id.
func (b *hookbook) ChangeHook(id int64, change func(*Hook)) error {
	b.hookMu.Lock()
	defer b.hookMu.Unlock()
	i := slices.IndexFunc(b.hooks, func(h Hook) bool { return h.ID == id })
	if i < 0 {
		return fmt.Errorf("%w: no webhook %d", core.ErrNotFound, id)
	}
	change(&b.hooks[i])
	return nil
}

// Announce tells all webhooks that want to know about a push, as the platform does, and returns how it went.
func (s *Server) Announce(ctx context.Context, spec PushSpec) ([]Attempt, error) {
	delivery, err := s.BuildPush(ctx, spec)
	if err != nil {
		return nil, err
	}
	return s.announce(ctx, spec.Project, delivery)
}

// AnnouncePipeline tells all webhooks that want to know about a pipeline.
func (s *Server) AnnouncePipeline(ctx context.Context, spec PipelineSpec) ([]Attempt, error) {
	delivery, err := s.BuildPipeline(ctx, spec)
	if err != nil {
		return nil, err
	}
	return s.announce(ctx, spec.Project, delivery)
}

// announce drops the event for webhooks that are disabled, as GitLab does. GitHub gives it one GUID for all webhooks.
func (s *Server) announce(ctx context.Context, project string, d Delivery) (made []Attempt, err error) {
	for _, hook := range s.Hooks() {
		if !hook.hears(project) || hook.Off || !hook.wants(d.Event) || s.disabled(hook) {
			continue
		}
		if s.cfg.Kind == GitLab {
			d.Key = newUUID()
		}
		attempt, failed := s.try(ctx, hook, Attempt{Delivery: d, Project: project})
		made, err = append(made, attempt), errors.Join(err, failed)
	}
	return made, err
}

// wants translates GitLab's header into the name of its switch.
func (h Hook) wants(event string) bool {
	if name, ok := strings.CutSuffix(event, " Hook"); ok {
		event = strings.ReplaceAll(strings.ToLower(name), " ", "_") + "_events"
	}
	return slices.Contains(h.Events, event) || slices.Contains(h.Events, "*") || event == "ping"
}

// try delivers once and writes it down. An error is the stand-in's own, never the receiver's.
func (s *Server) try(ctx context.Context, hook Hook, a Attempt) (Attempt, error) {
	sealed, err := s.sealFor(hook, Delivery{Event: a.Event, Key: a.Key, Body: a.Body})
	if err != nil {
		return a, err
	}
	if s.cfg.Kind == GitHub {
		repo, _ := s.repository(a.Project)
		sealed.Header.Set("X-GitHub-Hook-Installation-Target-ID", hook.targetID(repo))
	}
	a.ID, a.Hook, a.At = s.nextID(), hook.ID, s.cfg.Now()
	if a.Delivery, err = s.Send(context.WithoutCancel(ctx), hook.URL, sealed); err != nil {
		a.Failure = "failed to connect to host"
	}
	s.hookMu.Lock()
	defer s.hookMu.Unlock()
	s.attempts = append(s.attempts, a)
	if i := slices.IndexFunc(s.hooks, func(h Hook) bool { return h.ID == hook.ID }); i >= 0 && s.cfg.Kind == GitLab {
		s.hooks[i].count(a.succeeded(GitLab), a.At)
	}
	return a, nil
}

// findAttempt is one of a webhook's.
func (b *hookbook) findAttempt(hook, id int64) (Attempt, bool) {
	for _, a := range b.Attempts(hook) {
		if a.ID == id {
			return a, true
		}
	}
	return Attempt{}, false
}

// retry delivers an attempt's event again.
func (s *Server) retry(ctx context.Context, hook Hook, a Attempt) (Attempt, error) {
	return s.try(ctx, hook, Attempt{Delivery: a.Delivery, Project: a.Project, Again: true})
}
