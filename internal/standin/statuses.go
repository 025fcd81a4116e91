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

// hooks is what strangers do to statuses, and who is told of statuses.
type hooks struct {
	mu      sync.Mutex
	url     string // told of each status; empty: nobody
	refusal int    // HTTP status that answers each post of a status; 0: the rules decide
	sending sync.WaitGroup
}

// AnnounceStatuses sends GitHub's event status to hookURL for each status that is accepted from now on, in no certain
// order, as GitHub does. GitLab has no such event.
func (s *Server) AnnounceStatuses(hookURL string) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.url = hookURL
}

// RefuseStatuses answers each post of a status with an HTTP status, as of a token that may not post; 0 mends it.
func (s *Server) RefuseStatuses(status int) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.refusal = status
}

func (h *hooks) settings() (url string, refusal int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.url, h.refusal
}

func (h *hooks) wait() { h.sending.Wait() }

func (s *Server) permitted(rules endpoint) endpoint {
	return func(r *http.Request) answer {
		_, refusal := s.hooks.settings()
		switch {
		case refusal == 0:
			return rules(r)
		case s.cfg.Kind == GitHub:
			a := refuseGitHub(refusal, "Resource not accessible by personal access token")
			a.fault = true
			return a
		}
		a := refuse(refusal, fmt.Sprintf("%d %s", refusal, http.StatusText(refusal)))
		a.fault = true
		return a
	}
}

func (s *Server) announce(repo Repository, status Status) {
	hookURL, _ := s.hooks.settings()
	if hookURL == "" {
		return
	}
	payload := s.githubStatus(status)
	payload["sha"], payload["name"] = status.SHA, status.Project
	payload["repository"] = s.githubRepository(repo, textTime)
	payload["sender"] = payload["creator"]
	payload["commit"], payload["branches"] = map[string]any{"sha": status.SHA}, []any{}
	d, err := s.seal("status", repo, payload)
	if err != nil {
		s.cfg.Log.Error("stand-in failed", keyError, err)
		return
	}
	s.hooks.sending.Go(func() {
		if _, err := s.Send(context.Background(), hookURL, d); err != nil {
			s.cfg.Log.Warn("status not announced", keyError, err)
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
			State: status.State, Name: status.Context, Description: status.Description, TargetURL: status.TargetURL, Ref: status.Ref,
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
			"created_at": status.At, "allow_failure": false, "coverage": nil, "pipeline_id": status.PipelineID, "author": author,
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
