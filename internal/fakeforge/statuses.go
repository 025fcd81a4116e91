package fakeforge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/scanhook/scanhook/core"
)

// RefuseStatuses answers each post of a status with an HTTP status, as for a token that may not post. 0 ends it.
func (s *Server) RefuseStatuses(status int) {
	if status == 0 {
		s.refuseStatuses(nil)
		return
	}
	s.RefuseStatusesWith(s.Forbidden(status))
}

// RefuseStatusesWith answers each post of a status with a fault, until RefuseStatuses(0).
func (s *Server) RefuseStatusesWith(fault Fault) { s.refuseStatuses(&fault) }

func (s *Server) refuseStatuses(fault *Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = fault
}

// Refusable makes an endpoint that posts a status obey RefuseStatuses.
func (s *Server) Refusable(rules Endpoint) Endpoint {
	return func(r *http.Request) Answer {
		s.mu.Lock()
		refusal := s.refusal
		s.mu.Unlock()
		if refusal == nil {
			return rules(r)
		}
		return refusal.Apply(r, rules)
	}
}

// BlockLinks refuses statuses with a link, like a platform that must not reach its address.
func (s *Server) BlockLinks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noLinks = true
}

// TakesLink tells whether a status may have the link.
func (s *Server) TakesLink(address string) bool {
	if address == "" {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	parsed, err := url.Parse(address)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != "" && !s.noLinks
}

// AnnounceStatus sends an event about a status to the webhooks that subscribe to it, beside the call that posted it and
// in no certain order.
func (s *Server) AnnounceStatus(repo Repository, event string, payload any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.announcing.Go(func() {
		d, err := s.Build(event, repo, payload)
		if err == nil {
			_, err = s.AnnounceDelivery(context.Background(), repo.Project, d)
		}
		if err != nil {
			s.cfg.Log.Error("status not announced", keyError, err)
		}
	})
}

// Overwrite posts a status as another account than the bot whose token gives access to the API. core.ErrInvalid where
// the forge's rules forbid it, core.ErrNotFound for an unknown project.
func (s *Server) Overwrite(status Status) error {
	repo, err := s.Find(status.Project)
	if err != nil {
		return err
	}
	if a := s.forge.Overwrite(repo, status); a.Status != http.StatusCreated {
		return fmt.Errorf("%w: %s", core.ErrInvalid, a.Reason)
	}
	return nil
}
