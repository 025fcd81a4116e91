package standin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/scanhook/scanhook/core"
)

// statusAnswers is what becomes of posted statuses beside the rules.
type statusAnswers struct {
	mu         sync.Mutex
	refusal    *Fault // that answers each post of a status; nil: the rules decide
	blocked    bool   // no link is taken
	announcing sync.WaitGroup
	ended      bool // nothing is announced any more
}

// announce does work beside the call that it belongs to, unless the server has ended.
func (a *statusAnswers) announce(work func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended {
		a.announcing.Go(work)
	}
}

// end waits for all that is being announced.
func (a *statusAnswers) end() {
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	a.announcing.Wait()
}

// RefuseStatuses answers each post of a status with an HTTP status, as of a token that may not post; 0 mends it.
func (s *Server) RefuseStatuses(status int) {
	message := fmt.Sprintf("%d %s", status, http.StatusText(status))
	if s.cfg.Kind == GitHub {
		message = "Resource not accessible by personal access token"
	}
	s.refuseStatuses(nil)
	if status != 0 {
		s.refuseStatuses(&Fault{Status: status, Body: fmt.Sprintf(`{"message":%q}`, message)})
	}
}

// RefuseStatusesWith answers each post of a status with a fault, until RefuseStatuses(0).
func (s *Server) RefuseStatusesWith(fault Fault) { s.refuseStatuses(&fault) }

func (s *Server) refuseStatuses(fault *Fault) {
	s.answers.mu.Lock()
	defer s.answers.mu.Unlock()
	s.answers.refusal = fault
}

// BlockLinks refuses statuses that have a link, as a platform does that may not reach its address.
func (s *Server) BlockLinks() {
	s.answers.mu.Lock()
	defer s.answers.mu.Unlock()
	s.answers.blocked = true
}

// takesLink tells whether a status may have the link.
func (s *Server) takesLink(address string) bool {
	s.answers.mu.Lock()
	defer s.answers.mu.Unlock()
	return address == "" || isWebAddress(address) && !s.answers.blocked
}

func (s *Server) permitted(rules endpoint) endpoint {
	return func(r *http.Request) answer {
		s.answers.mu.Lock()
		refusal := s.answers.refusal
		s.answers.mu.Unlock()
		if refusal == nil {
			return rules(r)
		}
		return refusal.apply(r, rules)
	}
}

// announceStatus tells the webhooks that have the event status, in no certain order, as GitHub does. GitLab has no such
// event.
func (s *Server) announceStatus(repo Repository, status Status) {
	if !slices.ContainsFunc(s.Hooks(), func(h Hook) bool { return h.hears(repo.Project) && h.wants("status") }) {
		return
	}
	payload := s.githubStatus(status)
	payload["sha"], payload["name"], payload["sender"] = status.SHA, status.Project, payload["creator"]
	payload["repository"] = s.githubRepository(repo, textTime)
	payload["commit"], payload["branches"] = map[string]any{"sha": status.SHA}, []any{}
	s.answers.announce(func() {
		d, err := s.seal("status", repo, payload)
		if err == nil {
			_, err = s.announce(context.Background(), repo.Project, d)
		}
		if err != nil {
			s.cfg.Log.Error("status not announced", keyError, err)
		}
	})
}

// Overwrite posts a status as somebody else than the bot whose token opens the API. core.ErrInvalid where the
// platform's rules forbid it, core.ErrNotFound for an unknown project.
func (s *Server) Overwrite(status Status) error {
	repo, err := s.find(status.Project)
	if err != nil {
		return err
	}
	var a answer
	if s.cfg.Kind == GitHub {
		a = s.acceptGitHub(repo, status.SHA, githubStatus{
			State: status.State, Context: status.Context, Description: status.Description, TargetURL: status.TargetURL,
		}, status.Creator)
	} else {
		a = s.countGitLab(repo, status.SHA, status.Ref, gitlabStatus{
			State: status.State, Name: status.Context, Description: status.Description, TargetURL: status.TargetURL,
			Ref: status.Ref,
		}, status.Creator)
	}
	if a.status != http.StatusCreated {
		return fmt.Errorf("%w: %s", core.ErrInvalid, a.reason)
	}
	return nil
}

// listGitHub lists from the newest on, on one page.
func (s *Server) listGitHub(r *http.Request) answer {
	repo, ok := s.repository(pathOf(r))
	if !ok {
		return refuseGitHub(http.StatusNotFound, "Not Found")
	}
	list := []any{}
	for _, status := range slices.Backward(s.Statuses(repo.Project, strings.ToLower(r.PathValue("sha")))) {
		list = append(list, s.githubStatus(status))
	}
	return answer{status: http.StatusOK, body: list}
}

// listGitLab lists each job once, with what was posted to it last.
func (s *Server) listGitLab(r *http.Request) answer {
	repo, ok := s.repository(pathOf(r))
	if !ok {
		return refuse(http.StatusNotFound, "404 Project Not Found")
	}
	list, listed, query := []any{}, map[int64]bool{}, r.URL.Query()
	for _, status := range slices.Backward(s.Statuses(repo.Project, strings.ToLower(r.PathValue("sha")))) {
		name, ref := query.Get("name"), query.Get("ref")
		if listed[status.ID] || name != "" && name != status.Context || ref != "" && ref != status.Ref {
			continue
		}
		listed[status.ID] = true
		author := s.gitlabUser()
		author["username"] = status.Creator
		list = append(list, map[string]any{
			"id": status.ID, "sha": status.SHA, "ref": status.Ref, "status": status.State, "name": status.Context,
			"target_url": nullable(status.TargetURL), "description": nullable(status.Description),
			"created_at": status.At, "allow_failure": false, "coverage": nil, "pipeline_id": status.PipelineID,
			"author": author,
		})
	}
	return answer{status: http.StatusOK, body: list}
}

func (s *Server) getGitLabProject(r *http.Request) answer {
	repo, ok := s.repository(pathOf(r))
	if !ok {
		return refuse(http.StatusNotFound, "404 Project Not Found")
	}
	return answer{status: http.StatusOK, body: s.gitlabProject(repo)}
}
