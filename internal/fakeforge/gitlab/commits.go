package gitlab

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// commits is the API that reads projects and commits.
type commits struct {
	objects
	pipelines *pipelines
}

// register adds routes and describes this part of the forge.
func (c commits) register(f *fakeforge.Forge) {
	f.UnknownCommit = func(string) fakeforge.Fault {
		return fakeforge.Fault{Status: http.StatusNotFound, Body: `{"message":"404 Commit Not Found"}`}
	}
	c.Route("GET "+apiRoot+"/projects", c.listProjects)
	c.Route("GET "+projectRoot, c.showProject)
	c.Route("GET "+projectRoot+"/repository/commits/{sha}", c.showCommit)
	c.Route("GET "+projectRoot+"/repository/merge_base", c.mergeBase)
}

// listProjects lists those after an id.
func (c commits) listProjects(r *http.Request) fakeforge.Answer {
	after, _ := strconv.ParseInt(r.FormValue("id_after"), 10, 64)
	list := []map[string]any{}
	for _, repository := range c.Repositories() {
		if repository.ID > after {
			list = append(list, map[string]any{"id": repository.ID, "path_with_namespace": repository.Project})
		}
	}
	return fakeforge.OK(list)
}

func (c commits) showProject(r *http.Request) fakeforge.Answer {
	repo, ok := c.RepositoryOf(r)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Project Not Found")
	}
	return fakeforge.OK(c.project(repo))
}

func (c commits) showCommit(r *http.Request) fakeforge.Answer {
	repo, ok := c.RepositoryOf(r)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Project Not Found")
	}
	sha := strings.ToLower(r.PathValue("sha"))
	known, err := c.Knows(r.Context(), repo, sha)
	if err == nil && !known {
		return fakeforge.Refuse(http.StatusNotFound, "404 Commit Not Found")
	}
	var found gitrepo.Commit
	if err == nil {
		found, err = c.Commit(r.Context(), repo, sha)
	}
	if err != nil {
		return c.Crashed(r, err)
	}
	return fakeforge.OK(c.commitDetail(repo, found))
}

// commitDetail is GitLab's CommitDetail entity, of which last_pipeline is null until there is one.
func (c commits) commitDetail(repo fakeforge.Repository, head gitrepo.Commit) map[string]any {
	var last any
	var status any
	c.pipelines.mu.Lock()
	if line := c.pipelines.find(repo.ID, head.ID, "", ""); line != nil {
		last, status = c.pipelines.pipelineBasic(repo, line), line.status()
	}
	c.pipelines.mu.Unlock()
	return map[string]any{
		"id": head.ID, "short_id": head.ID[:8], "parent_ids": head.Parents, "title": head.Title(), "message": head.Message,
		"author_name": head.Author.Name, "author_email": head.Author.Email, "authored_date": head.AuthoredAt,
		"committer_name": head.Committer.Name, "committer_email": head.Committer.Email, "committed_date": head.CommittedAt,
		"created_at": head.CommittedAt, "web_url": c.Base() + "/" + repo.Project + "/-/commit/" + head.ID,
		"status": status, "project_id": repo.ID, "last_pipeline": last,
	}
}

// mergeBase answers GET /projects/:id/repository/merge_base.
func (c commits) mergeBase(r *http.Request) fakeforge.Answer {
	repo, ok := c.RepositoryOf(r)
	refs := r.URL.Query()["refs[]"]
	if !ok || len(refs) != 2 {
		return fakeforge.Refuse(http.StatusNotFound, "404 Not Found")
	}
	common, err := repo.Git().MergeBase(r.Context(), refs[0], refs[1])
	switch {
	case err != nil:
		return c.Crashed(r, err)
	case common == "":
		return fakeforge.Answer{Status: http.StatusOK, Text: "null"}
	}
	return fakeforge.OK(map[string]any{"id": common})
}
