package fakeforge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/scanhook/scanhook/core"
)

// posting is what happens to posted statuses beside the forge's rules.
type posting struct {
	mu         sync.Mutex
	refusal    *Fault // answers each post of a status; nil: the rules decide
	noLinks    bool   // statuses with a link are refused
	announcing sync.WaitGroup
	ended      bool // nothing is announced any more
}

// end waits for everything that is being announced.
func (p *posting) end() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.announcing.Wait()
}

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
	s.posting.mu.Lock()
	defer s.posting.mu.Unlock()
	s.posting.refusal = fault
}

// Refusable makes an endpoint that posts a status obey RefuseStatuses.
func (s *Server) Refusable(rules Endpoint) Endpoint {
	return func(r *http.Request) Answer {
		s.posting.mu.Lock()
		refusal := s.posting.refusal
		s.posting.mu.Unlock()
		if refusal == nil {
			return rules(r)
		}
		return refusal.apply(r, rules)
	}
}

// BlockLinks refuses statuses with a link, like a platform that must not reach its address.
func (s *Server) BlockLinks() {
	s.posting.mu.Lock()
	defer s.posting.mu.Unlock()
	s.posting.noLinks = true
}

// TakesLink tells whether a status may have the link.
func (s *Server) TakesLink(address string) bool {
	if address == "" {
		return true
	}
	s.posting.mu.Lock()
	defer s.posting.mu.Unlock()
	parsed, err := url.Parse(address)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != "" && !s.posting.noLinks
}

// AnnounceStatus sends an event about a status to the webhooks that subscribe to it, beside the call that posted it and
// in no certain order.
func (s *Server) AnnounceStatus(repo Repository, event string, payload any) {
	s.posting.mu.Lock()
	defer s.posting.mu.Unlock()
	if s.posting.ended {
		return
	}
	s.posting.announcing.Go(func() {
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
	repo, err := s.find(status.Project)
	if err != nil {
		return err
	}
	if a := s.forge.Overwrite(repo, status); a.Status != http.StatusCreated {
		return fmt.Errorf("%w: %s", core.ErrInvalid, a.Reason)
	}
	return nil
}
