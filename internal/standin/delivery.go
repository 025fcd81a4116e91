package standin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	hookTimeout = 10 * time.Second // GitHub's and GitLab.com's own
	maxAnswer   = 1 << 20          // bytes of a receiver's answer that are kept
)

// Delivery is one webhook call. Tests may send it twice, late, or with its parts changed.
type Delivery struct {
	Event  string      // GitHub: push, workflow_run…; GitLab: "Push Hook", "Pipeline Hook"…
	Key    string      // what stays the same when it is sent again: GitHub's GUID, GitLab's Idempotency-Key
	Header http.Header // of the request, signature included
	Body   []byte      // of the request: the payload
	Status int         // of the answer; 0 until it was sent
	Answer []byte      // the answer's body, at most 1 MiB
}

// newHookClient follows no redirect, as the platforms do not, and waits as long as they do.
func newHookClient() *http.Client {
	return &http.Client{
		Timeout:       hookTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// seal signs a payload of a repository's hook.
func (s *Server) seal(event string, r Repository, payload any) (Delivery, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return Delivery{}, fmt.Errorf("building %s: %w", event, err)
	}
	d, err := s.Seal(event, body)
	if err == nil && s.cfg.Kind == GitHub {
		d.Header.Set("X-GitHub-Hook-Installation-Target-ID", strconv.FormatInt(r.ID, 10))
	}
	return d, err
}

// Seal makes an authentic delivery of any body, for events that the stand-in cannot build itself.
// It fails only where the signing token is not "whsec_" and base64.
func (s *Server) Seal(event string, body []byte) (Delivery, error) {
	return s.sealFor(s.bySettings(), Delivery{Event: event, Key: newUUID(), Body: bytes.Clone(body)})
}

func (s *Server) sealFor(hook Hook, d Delivery) (Delivery, error) {
	var err error
	if s.cfg.Kind == GitHub {
		d.Header = githubHeader(d, hook)
	} else {
		d.Header, err = s.gitlabHeader(d, hook)
	}
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

// Redeliver sends a delivery again under its old key, as the button on the platform does: GitHub repeats it to the
// letter, GitLab signs it anew with the time of the repetition.
func (s *Server) Redeliver(ctx context.Context, hookURL string, d Delivery) (Delivery, error) {
	if s.cfg.Kind == GitLab {
		header, err := s.gitlabHeader(d, s.bySettings())
		if err != nil {
			return d, err
		}
		d.Header = header
	}
	return s.Send(ctx, hookURL, d)
}
