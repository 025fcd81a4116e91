package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web"
	"github.com/scanhook/scanhook/store/storetest"
)

// ran records a successful pipeline of the n-th commit.
func (s *site) ran(n int, bytes int64) {
	s.t.Helper()
	_, push := storetest.PushOf(n)
	duration, end := time.Duration(90+n%7)*time.Second, time.Date(2026, 3, 1, 0, n, 0, 0, time.UTC)
	run := core.Pipeline{
		Project: push.Project, ID: int64(n), Attempt: 1, Name: "CI <b>", Source: "push", Branch: "main", CommitSHA: push.CommitSHA,
		Status: "completed", Conclusion: "success", Duration: &duration, ArtifactBytes: &bytes, FinishedAt: end, UpdatedAt: end,
	}
	delivery := core.Delivery{Platform: "github", Key: fmt.Sprint("run-", n), Name: "workflow_run", Project: "acme/shop"}
	if _, err := s.store.RecordPipeline(s.t.Context(), delivery, run); err != nil {
		s.t.Fatal(err)
	}
}

func TestProjectPageShowsThatEverythingFlows(t *testing.T) {
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
	contains(t, s.page("/projects/github/acme/shop"), "<b>Expected:</b>", "said <bdi>ada</bdi>", "Not expected")
	if unknown := s.ask("/projects/github/nobody/nothing", nil); unknown.Code != http.StatusNotFound {
		t.Errorf("an unknown project: %d", unknown.Code)
	}
}

func TestDeliveriesAreListedAndFiltered(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	contains(t, s.page("/deliveries"), "No deliveries yet")
	scan := s.scanned(1, finding())
	ignored := core.Delivery{Platform: "github", Key: "k", Name: "star<b>", Project: "acme/shop"}
	if _, err := s.store.AcceptIgnored(t.Context(), ignored, "nothing to do & more"); err != nil {
		t.Fatal(err)
	}
	contains(t, s.page("/deliveries"), "star&lt;b&gt;", "nothing to do &amp; more", "/hooks/scans/"+scan.ReferenceID, "scan_created")
	only := s.page("/deliveries?outcome=ignored")
	contains(t, only, "star&lt;b&gt;", "Show all")
	lacks(t, only, scan.ReferenceID)
}

func TestCommitIsExplainedInOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding())
	page := s.page("/explain/" + scan.CommitSHA[:8])
	at := 0
	for _, text := range []string{"announced &#34;push&#34; with a valid signature: scan_created", "opened (push, attempt 1)",
		"gitleaks delivered its report; findings: 1, fixed: 0", "Verdict as it stands: fail by fail_on: high", "scanhook should show failure: 1 new (1 high); not posted yet"} {
		i := strings.Index(page[at:], text)
		if i < 0 {
			t.Fatalf("%q does not follow", text)
		}
		at += i
	}
	if answer := s.ask("/explain?sha=%3Cb%3E", nil); answer.Header().Get("Location") != "/hooks/explain/%3Cb%3E" {
		t.Errorf("the form leads to %s", answer.Header().Get("Location"))
	}
	for path, want := range map[string]int{
		"/explain/%3Cb%3E": http.StatusBadRequest, "/explain/abc": http.StatusBadRequest, "/explain/abcdef0123": http.StatusNotFound,
	} {
		if answer := s.ask(path, nil); answer.Code != want {
			t.Errorf("%s: %d, want %d", path, answer.Code, want)
		}
	}
}
