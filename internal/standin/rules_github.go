package standin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
)

const (
	githubDescription = 140  // characters
	githubStatuses    = 1000 // per commit and context
)

// githubStatus is the body of POST /repos/{owner}/{name}/statuses/{sha}.
type githubStatus struct {
	State       string `json:"state"`
	TargetURL   string `json:"target_url"`
	Description string `json:"description"`
	Context     string `json:"context"`
}

func (s *Server) postGitHubStatus(r *http.Request) answer {
	repo, ok := s.repository(pathOf(r))
	if !ok {
		return refuseGitHub(http.StatusNotFound, "Not Found")
	}
	var post githubStatus
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		return refuseGitHub(http.StatusBadRequest, "Problems parsing JSON")
	}
	if post.Context == "" {
		post.Context = "default"
	}
	sha := strings.ToLower(r.PathValue("sha"))
	known, err := s.knows(r.Context(), repo, sha)
	switch {
	case err != nil:
		return s.crashed(r, err)
	case !known:
		return refuseGitHub(http.StatusUnprocessableEntity, "No commit found for SHA: "+sha)
	}
	if field, problem := s.problemOf(post, repo.Project, sha); problem != "" {
		return refuseField(field, problem)
	}
	return s.acceptGitHub(repo, sha, post, botLogin)
}

// problemOf names the first field that breaks a rule of GitHub, and the rule.
func (s *Server) problemOf(post githubStatus, project, sha string) (field, problem string) {
	switch {
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, post.State):
		return "state", "state is not included in the list"
	case utf8.RuneCountInString(post.Description) > githubDescription:
		return "description", fmt.Sprintf("description is too long (maximum is %d characters)", githubDescription)
	case core.Narrow(post.Description) != post.Description:
		return "description", "description contains unicode characters above 0xffff"
	case core.Narrow(post.Context) != post.Context:
		return "context", "context contains unicode characters above 0xffff"
	case !s.takesLink(post.TargetURL):
		return "target_url", "target_url must use http(s) scheme"
	case s.count(project, sha, post.Context) >= githubStatuses:
		return "context", "This SHA and context has reached the maximum number of statuses."
	}
	return "", ""
}

// count counts the statuses of a context, which GitHub reads in any case.
func (s *Server) count(project, sha, context string) (n int) {
	for _, status := range s.Statuses(project, sha) {
		if strings.EqualFold(status.Context, context) {
			n++
		}
	}
	return n
}

func (s *Server) acceptGitHub(repo Repository, sha string, post githubStatus, creator string) answer {
	status := Status{
		Project: repo.Project, SHA: sha, Context: post.Context, State: post.State,
		Description: post.Description, TargetURL: post.TargetURL, At: s.cfg.Now().UTC(), ID: s.nextID(), Creator: creator,
	}
	s.accept(status)
	s.announceStatus(repo, status)
	return answer{status: http.StatusCreated, body: s.githubStatus(status)}
}

// githubStatus is a status as GitHub answers with it and lists it.
func (s *Server) githubStatus(status Status) map[string]any {
	stamp := textTime(status.At)
	creator := s.githubUser(status.Creator, botID, "Bot")
	return map[string]any{
		"id": status.ID, "node_id": nodeID("StatusContext", status.ID), "state": status.State, "context": status.Context,
		"url":         s.APIURL(s.Base()) + "/repos/" + status.Project + "/statuses/" + status.SHA,
		"description": nullable(status.Description), "target_url": nullable(status.TargetURL),
		"created_at": stamp, "updated_at": stamp, "creator": creator, "avatar_url": creator["avatar_url"],
	}
}

// refuseGitHub is GitHub's error document.
func refuseGitHub(status int, message string) answer {
	return answer{status: status, reason: message, body: map[string]any{
		"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status),
	}}
}

func refuseField(field, problem string) answer {
	a := refuseGitHub(http.StatusUnprocessableEntity, "Validation Failed")
	a.reason = problem
	a.body.(map[string]any)["errors"] = []map[string]string{
		{"resource": "Status", "code": "custom", "field": field, "message": problem},
	}
	return a
}

func isWebAddress(address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != ""
}

// nullable is null in JSON for an empty text.
func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
