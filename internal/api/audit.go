package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/api/paging"
	"github.com/scanhook/scanhook/store"
)

// RegisterAudit describes the audit log.
func (a *API) RegisterAudit(api huma.API) {
	register(a, api, operation(access.Administer, http.MethodGet, "/audit", "list-audit",
		"Who brought reports and changed triage, scans and the configuration, the newest first"), a.listAudit)
}

type listAuditInput struct {
	paging.Input
	Action  string `query:"action" maxLength:"64" example:"triage"`
	Actor   string `query:"actor" maxLength:"500"`
	Project string `query:"project" maxLength:"500" doc:"full path" example:"acme/shop"`
}

// auditView is an entry of the audit log.
type auditView struct {
	ID             int64     `json:"id"`
	Timestamp      time.Time `json:"timestamp"`
	Actor          string    `json:"actor" doc:"name of a token or a person; of who started Scanhook, as user@host"`
	Action         string    `json:"action"`
	SourcePlatform string    `json:"source_platform"`
	ProjectName    string    `json:"project_name"`
	ReferenceID    string    `json:"reference_id" doc:"of the scan that it concerns, or empty"`
	Subject        string    `json:"subject" doc:"what was changed"`
	Detail         string    `json:"detail" doc:"how"`
}

func viewAudit(e core.AuditEvent) auditView {
	return auditView{
		ID: e.ID, Timestamp: e.Timestamp, Actor: e.Actor, Action: string(e.Action), SourcePlatform: e.SourcePlatform,
		ProjectName: e.ProjectName, ReferenceID: e.ReferenceID, Subject: e.Subject, Detail: e.Detail,
	}
}

func (a *API) listAudit(ctx context.Context, in *listAuditInput) (*paging.Output[auditView], error) {
	return paging.List(in.Input, func(before int64, limit int) ([]core.AuditEvent, error) {
		return a.Store.ListAudit(ctx, store.AuditFilter{
			Action: core.AuditAction(in.Action), Actor: in.Actor, Project: in.Project, Before: before, Limit: limit,
		})
	}, viewAudit, func(e core.AuditEvent) int64 { return e.ID })
}
