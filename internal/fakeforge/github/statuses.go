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

	noCommit = "No commit found for SHA: "
)

// statusPost is the body of POST /repos/{owner}/{name}/statuses/{sha}.
type statusPost struct {
	State       string `json:"state"`
	TargetURL   string `json:"target_url"`
	Description string `json:"description"`
	Context     string `json:"context"`
}

func (f *forge) postStatus(r *http.Request) fakeforge.Answer {
	repo, ok := f.RepositoryOf(r)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	var post statusPost
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	if post.Context == "" {
		post.Context = "default"
	}
	sha := strings.ToLower(r.PathValue("sha"))
	known, err := f.Knows(r.Context(), repo, sha)
	switch {
	case err != nil:
		return f.Crashed(r, err)
	case !known:
		return refuse(http.StatusUnprocessableEntity, noCommit+sha)
	}
	if field, problem := f.problemOf(post, repo.Project, sha); problem != "" {
		return refuseField(field, problem)
	}
	return f.acceptStatus(repo, sha, post, fakeforge.Bot.Login)
}

// overwrite posts a status as another account, which the rules for its text do not stop.
func (f *forge) overwrite(repo fakeforge.Repository, status fakeforge.Status) fakeforge.Answer {
	return f.acceptStatus(repo, status.SHA, statusPost{
		State: status.State, Context: status.Context, Description: status.Description, TargetURL: status.TargetURL,
	}, status.Creator)
}

// problemOf names the first field that breaks a rule of GitHub, and the rule.
func (f *forge) problemOf(post statusPost, project, sha string) (field, problem string) {
	switch {
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, post.State):
		return "state", "state is not included in the list"
	case utf8.RuneCountInString(post.Description) > maxDescription:
		return "description", fmt.Sprintf("description is too long (maximum is %d characters)", maxDescription)
	case core.Narrow(post.Description) != post.Description:
		return "description", "description contains unicode characters above 0xffff"
	case core.Narrow(post.Context) != post.Context:
		return "context", "context contains unicode characters above 0xffff"
	case !f.TakesLink(post.TargetURL):
		return "target_url", "target_url must use http(s) scheme"
	case f.count(project, sha, post.Context) >= maxStatuses:
		return "context", "This SHA and context has reached the maximum number of statuses."
	}
	return "", ""
}

// count counts the statuses of a context, which GitHub reads in any case.
func (f *forge) count(project, sha, context string) (n int) {
	for _, status := range f.Statuses(project, sha) {
		if strings.EqualFold(status.Context, context) {
			n++
		}
	}
	return n
}

func (f *forge) acceptStatus(repo fakeforge.Repository, sha string, post statusPost, creator string) fakeforge.Answer {
	status := fakeforge.Status{
		Project: repo.Project, SHA: sha, Context: post.Context, State: post.State,
		Description: post.Description, TargetURL: post.TargetURL, At: f.Now().UTC(), ID: f.NextID(), Creator: creator,
	}
	f.Accept(status)
	f.announceStatus(repo, status)
	return fakeforge.Answer{Status: http.StatusCreated, Body: f.status(status)}
}

// status is a status as GitHub answers with it and lists it.
func (f *forge) status(status fakeforge.Status) map[string]any {
	stamp := textTime(status.At)
	creator := f.user(status.Creator, fakeforge.Bot.ID, "Bot")
	return map[string]any{
		"id": status.ID, "node_id": nodeID("StatusContext", status.ID), "state": status.State, "context": status.Context,
		"url":         f.APIURL(f.Base()) + "/repos/" + status.Project + "/statuses/" + status.SHA,
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
func (f *forge) announceStatus(repo fakeforge.Repository, status fakeforge.Status) {
	const event = "status"
	if !slices.ContainsFunc(f.Hooks(), func(h fakeforge.Hook) bool { return f.Subscribes(h, repo.Project, event) }) {
		return
	}
	payload := f.status(status)
	payload["sha"], payload["name"], payload["sender"] = status.SHA, status.Project, payload["creator"]
	payload["repository"] = f.repository(repo, textTime)
	payload["commit"], payload["branches"] = map[string]any{"sha": status.SHA}, []any{}
	f.AnnounceStatus(repo, event, payload)
}

// listStatuses lists from the newest on, on one page.
func (f *forge) listStatuses(r *http.Request) fakeforge.Answer {
	repo, ok := f.RepositoryOf(r)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	list := []any{}
	for _, status := range slices.Backward(f.Statuses(repo.Project, strings.ToLower(r.PathValue("sha")))) {
		list = append(list, f.status(status))
	}
	return fakeforge.OK(list)
}
