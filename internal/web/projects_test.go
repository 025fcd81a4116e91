package web_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestProjectsAreListedAndFailingOnesFound(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	contains(t, s.page("/projects"), "No projects yet")
	for n := range 60 {
		delivery, push := storetest.PushOf(n+1, func(d *core.Delivery, p *core.Push) {
			p.Project.Name = fmt.Sprintf("acme/p%02d", n)
			d.Project = p.Project.Name
		})
		receipt, err := s.store.AcceptPush(t.Context(), delivery, push)
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
	contains(t, failing, "acme/p58", "1 new (1 high)", "Show all")
	if n := strings.Count(failing, `class="state`); n != 1 {
		t.Errorf("%d projects fail", n)
	}
	contains(t, s.page("/projects?platform=none"), "No project of this platform")
}
