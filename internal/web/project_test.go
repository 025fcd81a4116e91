package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
)

func TestProjectPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *web.Config) {
		cfg.Rules = func(int) web.Rule {
			return web.Rule{Where: "config.yaml:7", Settings: []web.Setting{
				{Key: "gate.fail_on", Value: "high", Where: "config.yaml:9, repository"}, {Key: "scan_timeout", Value: "<b>", Where: "built in"},
			}}
		}
	})
	s.login()
	s.scanned(1, finding())
	s.scanned(2)
	if _, err := s.store.PutReport(t.Context(), s.scanned(2).ReferenceID, "gitleaks", core.Report{}); err != nil {
		t.Fatal(err)
	}
	for n := range 40 {
		s.ran(n+1, 41_000_000+int64(n%5)*100_000)
	}
	s.ran(41, 169_000_000)
	page := s.page("/projects/github/acme/shop")
	contains(t, page, "Findings over time", "Duration", "Artifact size", `class="band"`, `class="unusual"`, "Runs as a table",
		"CI &lt;b&gt;", "<b>Unusual:</b>", "169 MB", "match: **", "config.yaml:7", "<code>gate.fail_on</code>", "<code>high</code>", "config.yaml:9, repository",
		"scan_timeout", "&lt;b&gt;", "built in", "workflow_run", "Webhook")
	_, rest, _ := strings.Cut(page, `action="/hooks/metrics/`)
	id, _, _ := strings.Cut(rest, "/")
	answer := s.ask("/metrics/"+id+"/expected", url.Values{"expected": {"yes"}, "back": {"/hooks/projects/github/acme/shop"}})
	if answer.Code != http.StatusSeeOther || answer.Header().Get("Location") != "/hooks/projects/github/acme/shop" {
		t.Fatalf("expected: %d %s", answer.Code, answer.Body)
	}
	contains(t, s.page("/projects/github/acme/shop"), "<b>Expected:</b>", "marked by <bdi>ada</bdi>", "Not expected")
	if unknown := s.ask("/projects/github/nobody/nothing", nil); unknown.Code != http.StatusNotFound {
		t.Errorf("an unknown project: %d", unknown.Code)
	}
}

func TestBrokenTokenIsShownEverywhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding())
	s.post(store.PostResult{
		Error: "github answered 403: give the token <b>", Code: 403, RetryAfter: time.Minute, Hold: &core.Hold{Probes: 1},
	})
	contains(t, s.page("/"), "Commit statuses are saved, not posted:", `href="/hooks/projects/github/acme/shop"`,
		"github answered 403: give the token &lt;b&gt;")
	contains(t, s.page("/projects/github/acme/shop"), "Token broken:", "github answered 403: give the token &lt;b&gt;")
	contains(t, s.page("/scans/"+scan.ReferenceID), "github answered 403")
	contains(t, s.page("/explain/"+scan.CommitSHA), "it is on hold until the token is repaired", "github answered 403 after 0s; not posted",
		"github takes no statuses of acme/shop from us; they are kept, next attempt")
}
