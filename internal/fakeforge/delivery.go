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
)

// maxAnswer bounds what is kept of a receiver's answer, in bytes.
const maxAnswer = 1 << 20

// ConfiguredHook is the id of the webhook that Config describes, which the forge does not keep. Push and Pipeline send
// through it.
const ConfiguredHook = 7001

func (s *Server) configuredHook() Hook {
	return Hook{ID: ConfiguredHook, Secret: s.cfg.Secret, SigningToken: s.cfg.SigningToken}
}

// Build makes an authentic delivery of a payload about a repository, signed with the configured secret.
func (s *Server) Build(event string, r Repository, payload any) (Delivery, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return Delivery{}, fmt.Errorf("building %s: %w", event, err)
	}
	return s.sign(Delivery{Event: event, Key: NewKey(), Body: body}, s.configuredHook(), r)
}

// Seal makes an authentic delivery of any body, for events that the fake forge cannot build itself. It fails only
// where the signing token is not "whsec_" and base64.
func (s *Server) Seal(event string, body []byte) (Delivery, error) {
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
