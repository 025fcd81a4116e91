package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/api/paging"
	"github.com/scanhook/scanhook/store"
)

// RegisterProjects describes the refs of a project, and its end.
func (a *API) RegisterProjects(api huma.API) {
	remove := operation(access.Administer, http.MethodDelete, "/projects/{platform}/{project}", "delete-project",
		"Deletes a project with everything: scans, findings, alerts, decisions, statuses, calls, mirrors")
	remove.Description = "From then on nobody finds it, and its rows go in the background, a batch at a time. It cannot be taken back. The next call of " +
		"its platform makes it anew, without a past. The audit keeps what was done."
	remove.DefaultStatus = http.StatusAccepted
	register(a, api, remove, a.deleteProject)

	register(a, api, operation(access.Read, http.MethodGet, "/projects/{platform}/{project}/refs", "list-refs",
		"Where the branches and tags of a project stand, in the order of their names"), a.listRefs)
}

type listRefsInput struct {
	paging.Input
	ProjectPath
}

// refView is a branch or tag.
type refView struct {
	Name    string    `json:"name" doc:"full name" example:"refs/heads/main"`
	SHA     string    `json:"sha" doc:"the commit, also where an annotated tag leads to it"`
	MovedAt time.Time `json:"moved_at" doc:"when it was first known to stand there"`
	Scan    *string   `json:"scan" doc:"reference_id of the latest scan of the commit; null where there is none"`
}

func viewRef(r store.KnownRef) refView {
	return refView{Name: r.Name, SHA: r.SHA, MovedAt: r.MovedAt, Scan: r.Scan}
}

func (a *API) listRefs(ctx context.Context, in *listRefsInput) (*paging.Output[refView], error) {
	return paging.List(in.Input, func(after string, limit int) ([]store.KnownRef, error) {
		return a.Store.ListRefs(ctx, in.Platform, in.Project, after, limit)
	}, viewRef, func(r store.KnownRef) string { return r.Name })
}

func (a *API) deleteProject(ctx context.Context, in *ProjectPath) (*struct{}, error) {
	return nil, a.Store.RemoveProject(ctx, in.Platform, in.Project, author(ctx))
}
