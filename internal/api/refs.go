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

// RegisterRefs describes the refs of a project.
func (a *API) RegisterRefs(api huma.API) {
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
