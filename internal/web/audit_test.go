package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
)

func TestAuditIsForAdministrators(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if answer := s.ask("/audit", nil); answer.Code != http.StatusSeeOther {
		t.Errorf("a stranger sees %d", answer.Code)
	}
	s.login()
	if answer := s.ask("/audit", nil); answer.Code != http.StatusForbidden {
		t.Errorf("a triager sees %d", answer.Code)
	}
	if strings.Contains(s.page("/"), "/hooks/audit") {
		t.Error("a viewer is led to a page that is closed")
	}
	admin := newSite(t, func(cfg *web.Config) { cfg.Store, cfg.Tokens[0].Grant.Role = s.store, "admin" })
	admin.login()
	event := core.AuditEvent{Actor: "<b>x</b>", Action: core.AuditTriage, ProjectName: "a/<i>", Subject: "\u202e", Detail: "d"}
	if err := s.store.RecordAudit(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	page := admin.page("/audit?actor=" + url.QueryEscape("<b>x</b>"))
	contains(t, page, "&lt;b&gt;x", "[U&#43;202E]", "/hooks/audit")
	if strings.Contains(page, "<b>x") || strings.Contains(page, "login</td>") {
		t.Error("the filter or the escape fails")
	}
	if list, err := s.store.ListAudit(t.Context(), store.AuditFilter{Limit: 1}); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}
