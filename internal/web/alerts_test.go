package web_test

import (
	"net/http"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

func TestAlertPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding(), finding(func(f *core.Finding) { f.RuleID, f.Title, f.Snippet = "other", evil, "OTHER" }))
	contains(t, s.page("/scans/"+scan.ReferenceID), `href="/hooks/alerts/github/acme/shop/1"`, ">shop#1</a>", "shop#2")
	list := s.page("/alerts?platform=github&project=acme/shop")
	contains(t, list, "shop#1", "shop#2", `href="/hooks/alerts/github/acme/shop/2"`)
	lacks(t, list, "<script>alert")
	page := s.page("/alerts/github/acme/shop/2")
	contains(t, page, "shop#2", "refs/heads/main", "/hooks/scans/"+scan.ReferenceID, "Nobody has judged it.")
	lacks(t, page, "<script>alert")
	findings, err := s.store.ListFindings(t.Context(), scan, store.FindingFilter{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.RecordFeedback(t.Context(), core.Feedback{
		FindingID: findings[0].ID, UserVerdict: core.FalsePositive, Author: "ada", Comments: "a test key",
	}); err != nil {
		t.Fatal(err)
	}
	number := findings[0].AlertNumber
	judged := s.page("/alerts/github/acme/shop/" + string(rune('0'+number)))
	contains(t, judged, "dismissed", "false positive", "a test key", "No branch.", "/hooks/findings/")
	contains(t, s.page("/alerts?platform=github&project=acme/shop&state=dismissed"), "shop#"+string(rune('0'+number)))
	contains(t, s.page("/alerts?platform=github&project=acme/shop&state=fixed"), "No fixed alerts")
	for _, path := range []string{"/alerts/github/acme/shop/9", "/alerts/github/acme/shop/x", "/alerts/github/acme/none/1"} {
		if answer := s.ask(path, nil); answer.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, answer.Code)
		}
	}
}
