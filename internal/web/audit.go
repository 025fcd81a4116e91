package web

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/store"
)

const auditPerPage = 100

// auditPage is who changed what, the newest first.
type auditPage struct {
	Filter   store.AuditFilter
	Filtered bool
	Events   []core.AuditEvent
	Actions  []core.AuditAction
	Older    string // query of the next page, or empty
}

// ShowAudit lists who changed what, the newest first.
func (w *Web) ShowAudit(c *gin.Context) error {
	filter := store.AuditFilter{
		Action: core.AuditAction(c.Query("action")), Actor: c.Query("actor"), Project: c.Query("project"),
		Limit: auditPerPage + 1,
	}
	filter.Before, _ = strconv.ParseInt(c.Query("before"), 10, 64)
	list, err := w.Store.ListAudit(c.Request.Context(), filter)
	if err != nil {
		return err
	}
	page := auditPage{Filter: filter, Actions: core.AuditActions}
	query := layout.Query(map[string]string{
		"action": string(filter.Action), "actor": filter.Actor, "project": filter.Project,
	})
	page.Filtered = len(query) > 0
	page.Events, page.Older = layout.Forward(list, auditPerPage, func(last core.AuditEvent) string {
		return layout.Beside(query, "before", last.ID)
	})
	return w.Render(c, http.StatusOK, "audit", "Audit", page)
}
