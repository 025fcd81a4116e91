package web

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
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

func (w *Web) audit(c *gin.Context) error {
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
	query := queryOf(map[string]string{
		"action": string(filter.Action), "actor": filter.Actor, "project": filter.Project,
	})
	page.Filtered = len(query) > 0
	if len(list) > auditPerPage {
		list = list[:auditPerPage]
		page.Older = beside(query, "before", list[auditPerPage-1].ID)
	}
	page.Events = list
	return w.render(c, http.StatusOK, "audit", "Audit", page)
}

// administrator lets those pass who have logged in with the role admin.
func (w *Web) administrator(c *gin.Context) {
	who, err := w.visitor(c)
	switch {
	case err != nil:
		w.fail(c, err)
	case !who.Known():
		w.askToLogin(c, w.here(c))
	case !who.Admin():
		w.fail(c, fmt.Errorf("%w: this page takes the role admin, yours is %s", core.ErrForbidden, who.Role))
	}
}
