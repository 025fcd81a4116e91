package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
)

const (
	maxDescription = 140  // characters
	maxStatuses    = 1000 // per commit and context

)

// statuses is the API of commit statuses.
type statuses struct{ objects }

// register adds routes and describes this part of the forge.
func (s statuses) register(f *fakeforge.Forge) {
	f.Overwrite = s.overwrite
	f.UnknownCommit = func(sha string) fakeforge.Fault {
		return fakeforge.Fault{Status: http.StatusUnprocessableEntity, Body: `{"message":"` + noCommit + sha + `"}`}
	}
	s.Route("POST "+repositoryRoot+"/statuses/{sha}", s.Refusable(s.postStatus))
	s.Route("GET "+repositoryRoot+"/commits/{sha}/statuses", s.listStatuses)
}

// StatusRequest is the body of POST /repos/{owner}/{name}/statuses/{sha}.
type StatusRequest struct {
	State       string `json:"state"`
	TargetURL   string `json:"target_url"`
	Description string `json:"description"`
	Context     string `json:"context"`
}

func (s statuses) postStatus(r *http.Request) fakeforge.Answer {
	repo, ok := s.RepositoryOf(r)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	var post StatusRequest
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	if post.Context == "" {
		post.Context = "default"
	}
	sha := strings.ToLower(r.PathValue("sha"))
	known, err := s.Knows(r.Context(), repo, sha)
	switch {
	case err != nil:
		return s.Crashed(r, err)
	case !known:
		return refuse(http.StatusUnprocessableEntity, noCommit+sha)
	}
	if field, problem := s.problemOf(post, repo.Project, sha); problem != "" {
		return refuseField(field, problem)
	}
	return s.acceptStatus(repo, sha, post, fakeforge.Bot.Login)
}

// overwrite posts a status as another account, which the rules for its text do not stop.
func (s statuses) overwrite(repo fakeforge.Repository, status fakeforge.Status) fakeforge.Answer {
	return s.acceptStatus(repo, status.SHA, StatusRequest{
		State: status.State, Context: status.Context, Description: status.Description, TargetURL: status.TargetURL,
	}, status.Creator)
}

// problemOf names the first field that breaks a rule of GitHub, and the rule.
func (s statuses) problemOf(post StatusRequest, project, sha string) (field, problem string) {
	switch {
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, post.State):
		return "state", "state is not included in the list"
	case utf8.RuneCountInString(post.Description) > maxDescription:
		return "description", fmt.Sprintf("description is too long (maximum is %d characters)", maxDescription)
	case core.OnlyBMP(post.Description) != post.Description:
		return "description", "description contains unicode characters above 0xffff"
	case core.OnlyBMP(post.Context) != post.Context:
		return "context", "context contains unicode characters above 0xffff"
	case !s.TakesLink(post.TargetURL):
		return "target_url", "target_url must use http(s) scheme"
	case s.count(project, sha, post.Context) >= maxStatuses:
		return "context", "This SHA and context has reached the maximum number of statuses."
	}
	return "", ""
}

// count counts the statuses of a context, which GitHub reads in any case.
func (s statuses) count(project, sha, context string) (n int) {
	for _, status := range s.Statuses(project, sha) {
		if strings.EqualFold(status.Context, context) {
			n++
		}
	}
	return n
}

func (s statuses) acceptStatus(repo fakeforge.Repository, sha string, post StatusRequest, creator string) fakeforge.Answer {
	status := fakeforge.Status{
		Project: repo.Project, SHA: sha, Context: post.Context, State: post.State,
		Description: post.Description, TargetURL: post.TargetURL, At: s.Now().UTC(), ID: s.NextID(), Creator: creator,
	}
	s.Accept(status)
	s.announceStatus(repo, status)
	return fakeforge.Answer{Status: http.StatusCreated, Body: s.status(status)}
}

// status is a status as GitHub answers with it and lists it.
func (s statuses) status(status fakeforge.Status) map[string]any {
	stamp := textTime(status.At)
	creator := s.user(status.Creator, fakeforge.Bot.ID, "Bot")
	return map[string]any{
		"id": status.ID, "node_id": nodeID("StatusContext", status.ID), "state": status.State, "context": status.Context,
		"url":         s.APIURL(s.Base()) + "/repos/" + status.Project + "/statuses/" + status.SHA,
		"description": fakeforge.Nullable(status.Description), "target_url": fakeforge.Nullable(status.TargetURL),
		"created_at": stamp, "updated_at": stamp, "creator": creator, "avatar_url": creator["avatar_url"],
	}
}

// refuseField is the answer to a field that breaks a rule.
func refuseField(field, problem string) fakeforge.Answer {
	a := refuse(http.StatusUnprocessableEntity, "Validation Failed")
	a.Reason = problem
	a.Body.(map[string]any)["errors"] = []map[string]string{
		{"resource": "Status", "code": "custom", "field": field, "message": problem},
	}
	return a
}

// announceStatus sends the event of a status to the webhooks that subscribe to it.
func (s statuses) announceStatus(repo fakeforge.Repository, status fakeforge.Status) {
	const event = "status"
	if !slices.ContainsFunc(s.Hooks(), func(h fakeforge.Hook) bool { return s.Subscribes(h, repo.Project, event) }) {
		return
	}
	payload := s.status(status)
	payload["sha"], payload["name"], payload["sender"] = status.SHA, status.Project, payload["creator"]
	payload["repository"] = s.repository(repo, textTime)
	payload["commit"], payload["branches"] = map[string]any{"sha": status.SHA}, []any{}
	s.AnnounceStatus(repo, event, payload)
}

// listStatuses lists from the newest on, on one page.
func (s statuses) listStatuses(r *http.Request) fakeforge.Answer {
	list, ok := s.DescribeStatuses(r, s.status)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	return fakeforge.OK(list)
}

// noCommit is GitHub's message about an unknown commit, before its id.
const noCommit = "No commit found for SHA: "
