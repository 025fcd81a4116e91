package standin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// gitlabText is the longest ref, target_url and description, in characters.
const gitlabText = 255

// gitlabStatus is the body of POST /projects/:id/statuses/:sha.
type gitlabStatus struct {
	State       string      `json:"state"`
	Ref         string      `json:"ref"`
	Name        string      `json:"name"`
	Context     string      `json:"context"`
	TargetURL   string      `json:"target_url"`
	Description string      `json:"description"`
	PipelineID  json.Number `json:"pipeline_id"`
}

// serialised holds GitLab's lock on a commit for as long as its call takes. The real one waits some ten seconds for the
// lock; this one says 409 at once, so that a client that posts in parallel is found out every time.
func (s *Server) serialised(rules endpoint) endpoint {
	return func(r *http.Request) answer {
		project := pathOf(r)
		if repo, ok := s.repository(project); ok {
			project = repo.Project // the id and the path are one project
		}
		key := strings.ToLower(project + " " + r.PathValue("sha"))
		if !s.ci.lock(key) {
			return refuse(http.StatusConflict, "Another update to this commit status is in progress")
		}
		defer s.ci.unlock(key)
		return rules(r)
	}
}

func (s *Server) postGitLabStatus(r *http.Request) answer {
	repo, ok := s.repository(pathOf(r))
	if !ok {
		return refuse(http.StatusNotFound, "404 Project Not Found")
	}
	post, problem := s.readGitLabStatus(r)
	if problem != nil {
		return *problem
	}
	sha := strings.ToLower(r.PathValue("sha"))
	known, err := s.knows(r.Context(), repo, sha)
	switch {
	case err != nil:
		return s.crashed(r, err)
	case !known:
		return refuse(http.StatusNotFound, "404 Commit Not Found")
	}
	ref, err := s.refFor(r.Context(), repo, sha, post)
	switch {
	case err != nil:
		return s.crashed(r, err)
	case ref == "":
		return refuse(http.StatusNotFound, "404 References for commit Not Found")
	}
	return s.countGitLab(repo, sha, ref, post, botLogin)
}

func (s *Server) readGitLabStatus(r *http.Request) (post gitlabStatus, problem *answer) {
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		return post, refuseWord("error", "The provided content is not valid JSON")
	}
	post.Name = cmp.Or(post.Name, post.Context, "default")
	states := []string{"pending", "running", "success", "failed", "canceled", "skipped"}
	switch {
	case post.State == "":
		return post, refuseWord("error", "state is missing")
	case !slices.Contains(states, post.State):
		return post, refuseWord("error", "state does not have a valid value")
	case !s.takesLink(post.TargetURL):
		return post, refuseText("target_url", "is blocked: Only allowed schemes are http, https")
	}
	for field, text := range map[string]string{
		"ref": post.Ref, "target_url": post.TargetURL, "description": post.Description,
	} {
		if utf8.RuneCountInString(text) > gitlabText {
			return post, refuseText(field, fmt.Sprintf("is too long (maximum is %d characters)", gitlabText))
		}
	}
	return post, nil
}

// refFor is the ref that a status counts for: the one it names, else that of its pipeline or of the commit's newest one,
// else the first branch that has the commit; empty when there is none.
func (s *Server) refFor(ctx context.Context, repo Repository, sha string, post gitlabStatus) (string, error) {
	if post.Ref != "" {
		return post.Ref, nil
	}
	if ref := s.ci.refOf(repo.ID, sha, string(post.PipelineID)); ref != "" {
		return ref, nil
	}
	return repo.branchWith(ctx, sha)
}

// countGitLab puts the status into its pipeline, under the rules of the jobs there.
func (s *Server) countGitLab(repo Repository, sha, ref string, post gitlabStatus, creator string) answer {
	s.ci.mu.Lock()
	defer s.ci.mu.Unlock()
	line := s.ci.find(repo.ID, sha, post.Ref, string(post.PipelineID))
	if line == nil && post.PipelineID != "" {
		return refuse(http.StatusNotFound, "404 Pipeline for pipeline_id, sha and ref Not Found")
	}
	if line == nil {
		line = s.ci.add(pipeline{id: s.nextID(), project: repo.ID, sha: sha, ref: ref, source: "external", at: s.cfg.Now()})
	}
	if line.hasOwn(post.Name) {
		return *refuseText("name", "has already been taken")
	}
	job := line.open(post.Name, ref)
	if event := job.refuses(post.State); event != "" {
		return *refuseWord("message", fmt.Sprintf(
			"Cannot transition status via :%[1]s from :%[2]s (Reason(s): Status cannot transition via %[1]q)", event, job.state))
	}
	if job == nil {
		job = line.start(s.nextID(), post.Name, ref)
	}
	job.state = post.State
	s.accept(Status{
		Project: repo.Project, SHA: sha, Ref: ref, Context: post.Name, State: post.State,
		Description: post.Description, TargetURL: post.TargetURL, PipelineID: line.id, At: s.cfg.Now().UTC(),
		ID: job.id, Creator: creator,
	})
	return answer{status: http.StatusCreated, body: s.gitlabJob(line, job, post)}
}

// refuseWord is GitLab's 400 with a sentence, under "message" where a rule of the model is broken and under "error"
// where a parameter is wrong.
func refuseWord(key, problem string) *answer {
	return &answer{status: http.StatusBadRequest, body: map[string]string{key: problem}, reason: problem}
}

// refuseText is GitLab's 400 for a field of the status.
func refuseText(field, problem string) *answer {
	body := map[string]any{"message": map[string][]string{field: {problem}}}
	return &answer{status: http.StatusBadRequest, body: body, reason: field + " " + problem}
}
