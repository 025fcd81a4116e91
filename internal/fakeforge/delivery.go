package fakeforge

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"
)

const (
	hookTimeout = 10 * time.Second // GitHub's and GitLab.com's own
	maxAnswer   = 1 << 20          // bytes of a receiver's answer that are kept
)

// ConfiguredHook is the id of the webhook that Config describes, which the forge does not keep. Push and Pipeline send
// through it.
const ConfiguredHook = 7001

func (s *Server) configuredHook() Hook {
	return Hook{ID: ConfiguredHook, Secret: s.cfg.Secret, SigningToken: s.cfg.SigningToken}
}

// newHookClient follows no redirect and waits as long as the real platforms do.
func newHookClient() *http.Client {
	return &http.Client{
		Timeout:       hookTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Push sends a push to hookURL as the forge would, and returns what was sent and what the receiver answered.
// An answer of any status is no error; errors are core.ErrNotFound for an unknown project, git's, and the network's.
func (s *Server) Push(ctx context.Context, hookURL string, spec PushSpec) (Delivery, error) {
	delivery, err := s.BuildPush(ctx, spec)
	if err != nil {
		return Delivery{}, err
	}
	return s.Send(ctx, hookURL, delivery)
}

// BuildPush makes the delivery of a push without sending it.
func (s *Server) BuildPush(ctx context.Context, spec PushSpec) (Delivery, error) {
	push, err := s.readPush(ctx, spec)
	if err != nil {
		return Delivery{}, fmt.Errorf("building push of %s: %w", spec.Ref, err)
	}
	event, payload := s.forge.Push(push)
	return s.Build(event, push.Repository, payload)
}

func (s *Server) readPush(ctx context.Context, spec PushSpec) (Push, error) {
	repo, err := s.find(spec.Project)
	if err != nil {
		return Push{}, err
	}
	p := Push{PushSpec: spec, Repository: repo}
	if head, declared := s.declaredCommit(repo, spec.After); declared {
		return p.ofDeclared(head), nil
	}
	if err := p.read(ctx); err != nil || p.Deleted() {
		return p, err
	}
	revisions, err := s.forge.NewCommits(ctx, p)
	if err != nil || len(revisions) == 0 {
		return p, err
	}
	return p, p.readCommits(ctx, s.forge.MaxCommits, revisions)
}

// Pipeline sends the state of a pipeline to hookURL as the forge would; see Push for what comes back.
func (s *Server) Pipeline(ctx context.Context, hookURL string, spec PipelineSpec) (Delivery, error) {
	delivery, err := s.BuildPipeline(ctx, spec)
	if err != nil {
		return Delivery{}, err
	}
	return s.Send(ctx, hookURL, delivery)
}

// BuildPipeline makes the delivery of a pipeline event without sending it.
func (s *Server) BuildPipeline(ctx context.Context, spec PipelineSpec) (Delivery, error) {
	repo, err := s.find(spec.Project)
	if err != nil {
		return Delivery{}, fmt.Errorf("building pipeline: %w", err)
	}
	head, err := s.Commit(ctx, repo, spec.SHA)
	if err != nil {
		return Delivery{}, fmt.Errorf("building pipeline of %s: %w", spec.SHA, err)
	}
	if spec.ID == 0 {
		spec.ID = s.NextID()
	}
	spec.complete(repo, s.cfg.Now())
	event, payload := s.forge.Pipeline(spec, repo, head)
	return s.Build(event, repo, payload)
}

// AddPipeline makes a CI pipeline of the project exist for a commit, with the names of its own jobs, and returns its id.
// It is 0, and nothing happens, where the forge keeps commit statuses apart from pipelines.
func (s *Server) AddPipeline(project, sha, ref string, jobs ...string) (int64, error) {
	repo, err := s.find(project)
	if err != nil || s.forge.AddPipeline == nil {
		return 0, err
	}
	return s.forge.AddPipeline(repo, sha, ref, jobs), nil
}

// Build makes an authentic delivery of a payload about a repository, signed with the configured secret.
func (s *Server) Build(event string, r Repository, payload any) (Delivery, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return Delivery{}, fmt.Errorf("building %s: %w", event, err)
	}
	return s.sign(Delivery{Event: event, Key: NewKey(), Body: body}, s.configuredHook(), r)
}

// Seal makes an authentic delivery of any body, for events that the fake forge cannot build itself. The event may be one
// of the short names. It fails only where the signing token is not "whsec_" and base64.
func (s *Server) Seal(event string, body []byte) (Delivery, error) {
	event = cmp.Or(s.forge.Events[event], event)
	return s.sign(Delivery{Event: event, Key: NewKey(), Body: bytes.Clone(body)}, s.configuredHook(), Repository{})
}

func (s *Server) sign(d Delivery, hook Hook, r Repository) (Delivery, error) {
	var err error
	d.Header, err = s.forge.Sign(d, hook, r)
	return d, err
}

// Send posts a delivery as it is and returns it with the answer. An answer of any status is no error.
func (s *Server) Send(ctx context.Context, hookURL string, d Delivery) (Delivery, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, hookURL, bytes.NewReader(d.Body))
	if err != nil {
		return d, fmt.Errorf("sending %s: %w", d.Event, err)
	}
	request.Header = d.Header.Clone()
	response, err := s.client.Do(request)
	if err != nil {
		return d, fmt.Errorf("sending %s: %w", d.Event, err)
	}
	defer response.Body.Close()
	d.Status = response.StatusCode
	if d.Answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return d, fmt.Errorf("reading the answer to %s: %w", d.Event, err)
	}
	return d, nil
}

// Redeliver sends a delivery again under its old key, as the button on the platform does. The header stays the same,
// unless the forge signs a repetition anew.
func (s *Server) Redeliver(ctx context.Context, hookURL string, d Delivery) (Delivery, error) {
	if s.forge.SignsAnew {
		var err error
		if d, err = s.sign(d, s.configuredHook(), Repository{}); err != nil {
			return d, err
		}
	}
	return s.Send(ctx, hookURL, d)
}

// AddHook makes the forge keep a webhook, and returns it with its id.
func (s *Server) AddHook(hook Hook) Hook {
	hook.ID = cmp.Or(hook.ID, s.NextID())
	s.hookMu.Lock()
	defer s.hookMu.Unlock()
	s.hooks = append(s.hooks, hook)
	return hook
}

// Announce sends a push to all webhooks that subscribe to it, as the forge does, and returns how it went.
func (s *Server) Announce(ctx context.Context, spec PushSpec) ([]Attempt, error) {
	delivery, err := s.BuildPush(ctx, spec)
	if err != nil {
		return nil, err
	}
	return s.AnnounceDelivery(ctx, spec.Project, delivery)
}

// AnnouncePipeline sends a pipeline to all webhooks that subscribe to it.
func (s *Server) AnnouncePipeline(ctx context.Context, spec PipelineSpec) ([]Attempt, error) {
	delivery, err := s.BuildPipeline(ctx, spec)
	if err != nil {
		return nil, err
	}
	return s.AnnounceDelivery(ctx, spec.Project, delivery)
}

// AnnounceDelivery sends an event of a project to all webhooks that subscribe to it. Webhooks that are off or disabled
// do not get it later.
func (s *Server) AnnounceDelivery(ctx context.Context, project string, d Delivery) (made []Attempt, err error) {
	for _, hook := range s.Hooks() {
		if hook.Off || !s.Subscribes(hook, project, d.Event) || s.disabled(hook) {
			continue
		}
		if s.forge.KeyPerHook {
			d.Key = NewKey()
		}
		attempt, failed := s.Deliver(ctx, hook, Attempt{Delivery: d, Project: project})
		made, err = append(made, attempt), errors.Join(err, failed)
	}
	return made, err
}

// Subscribes tells whether a webhook gets an event of a project, by the text of the event's header.
func (s *Server) Subscribes(hook Hook, project, event string) bool {
	if s.forge.Subscription != nil {
		event = s.forge.Subscription(event)
	}
	return hook.Covers(project) && hook.Subscribes(event)
}

func (s *Server) disabled(hook Hook) bool { return s.forge.Disabled != nil && s.forge.Disabled(hook) }

// Deliver makes one attempt and records it. An error is the fake forge's own, never the receiver's.
func (s *Server) Deliver(ctx context.Context, hook Hook, a Attempt) (Attempt, error) {
	repo, _ := s.Repository(a.Project)
	signed, err := s.sign(Delivery{Event: a.Event, Key: a.Key, Body: a.Body}, hook, repo)
	if err != nil {
		return a, err
	}
	a.ID, a.Hook, a.At = s.NextID(), hook.ID, s.cfg.Now()
	if a.Delivery, err = s.Send(context.WithoutCancel(ctx), hook.URL, signed); err != nil {
		a.Failure = "failed to connect to host"
	}
	s.record(a, s.forge.Attempted)
	return a, nil
}

// DeliverAgain makes another attempt to deliver an event.
func (s *Server) DeliverAgain(ctx context.Context, hook Hook, a Attempt) (Attempt, error) {
	return s.Deliver(ctx, hook, Attempt{Delivery: a.Delivery, Project: a.Project, Again: true})
}

// NewKey is a random UUID, version 4.
func NewKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// MAC signs a message with a key.
func MAC(algorithm func() hash.Hash, key string, message []byte) []byte {
	mac := hmac.New(algorithm, []byte(key))
	mac.Write(message)
	return mac.Sum(nil)
}
