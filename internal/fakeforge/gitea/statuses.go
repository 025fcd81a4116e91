package gitea

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/github"
)

// statuses is the API of commit statuses.
type statuses struct{ objects }

// register adds routes and describes this part of the forge.
func (s statuses) register(f *fakeforge.Forge) {
	f.Overwrite = s.overwrite
	f.UnknownCommit = func(sha string) fakeforge.Fault {
		return fakeforge.Fault{Status: http.StatusNotFound, Body: `{"message":"` + noCommit + sha + `"}`}
	}
	s.Route("POST "+repositoryRoot+"/statuses/{sha}", s.Refusable(s.postStatus))
	for _, path := range []string{"/statuses/{sha}", "/commits/{sha}/statuses"} {
		s.Route("GET "+repositoryRoot+path, s.listStatuses)
	}
}

func (s statuses) postStatus(r *http.Request) fakeforge.Answer {
	repo, ok := s.RepositoryOf(r)
	if !ok {
		return notFound()
	}
	var post github.StatusRequest
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		return fakeforge.Refuse(http.StatusUnprocessableEntity, "invalid JSON")
	}
	sha := strings.ToLower(r.PathValue("sha"))
	known, err := s.Knows(r.Context(), repo, sha)
	switch {
	case err != nil:
		return s.Crashed(r, err)
	case !known:
		return fakeforge.Refuse(http.StatusNotFound, noCommit+sha)
	case !slices.Contains([]string{"pending", "success", "error", "failure", "warning"}, post.State):
		return fakeforge.Refuse(http.StatusUnprocessableEntity, "unknown status state")
	case !s.TakesLink(post.TargetURL):
		return fakeforge.Refuse(http.StatusUnprocessableEntity, "[TargetURL]: Url")
	}
	return s.accept(repo, sha, post, fakeforge.Bot.Login)
}

// overwrite posts a status as another account.
func (s statuses) overwrite(repo fakeforge.Repository, status fakeforge.Status) fakeforge.Answer {
	return s.accept(repo, status.SHA, github.StatusRequest{
		State: status.State, Context: status.Context, Description: status.Description, TargetURL: status.TargetURL,
	}, status.Creator)
}

func (s statuses) accept(repo fakeforge.Repository, sha string, post github.StatusRequest, creator string) fakeforge.Answer {
	status := fakeforge.Status{
		Project: repo.Project, SHA: sha, Context: cmp.Or(post.Context, "default"), State: post.State,
		Description: post.Description, TargetURL: post.TargetURL, At: s.Now().UTC(), ID: s.NextID(), Creator: creator,
	}
	s.Accept(status)
	return fakeforge.Answer{Status: http.StatusCreated, Body: s.status(status)}
}

// status is a status as Gitea answers with it and lists it. Its state has another name than in the call.
func (s statuses) status(status fakeforge.Status) map[string]any {
	return map[string]any{
		"id": status.ID, "status": status.State, "context": status.Context, "description": status.Description,
		"target_url": status.TargetURL, "creator": s.user(fakeforge.Account{ID: fakeforge.Bot.ID, Login: status.Creator}),
		"url":        s.APIURL(s.Base()) + "/repos/" + status.Project + "/statuses/" + status.SHA,
		"created_at": timestamp(status.At), "updated_at": timestamp(status.At),
	}
}

// listStatuses lists from the newest on, on one page.
func (s statuses) listStatuses(r *http.Request) fakeforge.Answer {
	list, ok := s.DescribeStatuses(r, s.status)
	if !ok {
		return notFound()
	}
	return fakeforge.OK(list)
}

// noCommit is the message about an unknown commit, before its id.
const noCommit = "object does not exist: "
