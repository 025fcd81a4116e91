package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
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
	contains(t, page, "Findings over time", "<figcaption>Number of findings on the default branch, scan by scan</figcaption>", `text-anchor="end">`, " UTC</text>", "Duration, run by run", "Artifact size", `class="band"`, `class="unusual"`, "Runs as a table",
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

// Links to a project under the name that it had lead to its pages.
func TestOldNamesLeadToTheNew(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.scanned(1, finding())
	d, p := storetest.PushOf(2, func(d *core.Delivery, p *core.Push) { d.Project, p.Project.Name = "acme/store", "acme/store" })
	if _, err := s.store.Accept(t.Context(), storetest.With(d, p)); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{
		"/projects/github/Acme/Shop":                            "/hooks/projects/github/acme/store",
		"/alerts/github/acme/shop/1":                            "/hooks/alerts/github/acme/store/1",
		"/alerts?platform=github&project=acme/shop&state=fixed": "/hooks/alerts?platform=github&project=acme%2Fstore&state=fixed",
	} {
		if answer := s.ask(from, nil); answer.Code != http.StatusFound || answer.Header().Get("Location") != to {
			t.Errorf("%s: %d %s, want %s", from, answer.Code, answer.Header().Get("Location"), to)
		}
	}
	contains(t, s.page("/alerts/github/acme/store/1"), "store#1")
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

func TestProjectsAreListedAndFailingOnesFound(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	contains(t, s.page("/projects"), "No projects yet")
	for n := range 60 {
		delivery, push := storetest.PushOf(n+1, func(d *core.Delivery, p *core.Push) {
			p.Project.Name = fmt.Sprintf("acme/p%02d", n)
			d.Project, p.Project.Ref = p.Project.Name, p.Project.Name
		})
		receipt, err := s.store.Accept(t.Context(), storetest.With(delivery, push))
		if err != nil {
			t.Fatal(err)
		}
		report := core.Report{}
		if n == 58 {
			report.Findings = []core.Finding{finding()}
		}
		if _, err := s.store.PutReport(t.Context(), receipt.Reference, "gitleaks", report); err != nil {
			t.Fatal(err)
		}
	}
	first := s.page("/projects")
	contains(t, first, "Passed", `href="/hooks/projects/github/acme/p00"`)
	lacks(t, first, "acme/p50")
	contains(t, s.page("/projects"+link(t, first, "next")), "acme/p50", "acme/p59", "Failed", `<a href="?">First</a>`)
	failing := s.page("/projects?failing=yes")
	contains(t, failing, "acme/p58", "1 new (1 high)", "Show all", `href="/hooks/alerts?severity=High">1 High</a>`,
		`href="/hooks/alerts?platform=github&amp;project=acme%2fp58&amp;severity=High">1 High</a>`, "Oldest open")
	if n := strings.Count(failing, `class="state`); n != 1 {
		t.Errorf("%d projects fail", n)
	}
	contains(t, s.page("/projects?platform=none"), "No project of this platform")
}

func TestProjectsAreDeletedByTheirName(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *web.Config) { cfg.Tokens[0].Grant.Role = access.Admin })
	s.scanned(1, finding())
	const path = "/projects/github/acme/shop"
	lacks(t, s.page(path), "Delete everything")
	s.login()
	contains(t, s.page(path), "Delete everything", "/downloads/github/acme/shop?format=csv")
	contains(t, s.page("/downloads/github/acme/shop"), "alert,state,severity,", "shop#1,open,")
	contains(t, s.page("/downloads/github/acme/shop?format=json"), `"name":"shop#1"`)
	if answer := s.ask("/downloads/github/acme/shop?format=xml", nil); answer.Code != http.StatusNotFound {
		t.Errorf("another format: %d", answer.Code)
	}
	if answer := s.ask(path, url.Values{"confirm": {"acme"}}); answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), "nothing was deleted") {
		t.Errorf("a wrong name: %d %s", answer.Code, answer.Body)
	}
	if answer := s.ask(path, url.Values{"confirm": {" acme/shop "}}); answer.Code != http.StatusSeeOther {
		t.Fatalf("the name: %d %s", answer.Code, answer.Body)
	}
	if answer := s.ask(path, nil); answer.Code != http.StatusNotFound {
		t.Errorf("a deleted project: %d", answer.Code)
	}
	contains(t, s.page("/audit"), "project deleted", "project acme/shop")
}
