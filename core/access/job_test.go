package access_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
)

var (
	head  = strings.Repeat("a", 40)
	merge = strings.Repeat("b", 40)
	job   = access.Job{Platform: "github", Project: "acme/shop", Ref: "42", SHA: head, Commit: head, Branch: "main", Run: "7", Person: "ada"}
)

func TestJobsMayOnlyBringAndReadWhatTheirCommitHas(t *testing.T) {
	t.Parallel()
	actor := job.Actor([]string{"tri*"})
	mine := access.Project{Platform: "github", Name: "Acme/Shop", Ref: "42", Commit: strings.ToUpper(head)}
	changed := func(change func(*access.Project)) access.Project {
		p := mine
		change(&p)
		return p
	}
	for name, test := range map[string]struct {
		p    access.Project
		want bool
	}{
		"own commit":        {mine, true},
		"number unknown":    {changed(func(p *access.Project) { p.Ref = "" }), true},
		"another commit":    {changed(func(p *access.Project) { p.Commit = merge }), false},
		"no commit":         {changed(func(p *access.Project) { p.Commit = "" }), false},
		"another number":    {changed(func(p *access.Project) { p.Ref = "43" }), false},
		"another name":      {changed(func(p *access.Project) { p.Name = "acme/site" }), false},
		"another platform":  {changed(func(p *access.Project) { p.Platform = "gitlab" }), false},
		"nothing of a name": {access.Project{}, false},
	} {
		if got := actor.MayIn(access.Bring, test.p); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
		if got := actor.Sees(test.p); got != test.want {
			t.Errorf("sees %s: %t", name, got)
		}
		if err := job.Admit(test.p); test.want != (err == nil) || err != nil && !errors.Is(err, core.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, act := range []access.Act{access.Read, access.Rescan, access.Judge, access.Administer} {
		if err := actor.Admit(access.Wish{Act: act}, func() (access.Project, error) { return mine, nil }); !errors.Is(err, core.ErrForbidden) {
			t.Errorf("%s: %v", act, err)
		}
	}
	if actor.Everywhere(access.ReadScans) || actor.Roles() != "" || actor.Name != "CI job of github/acme/shop, run 7 of ada" {
		t.Errorf("%q has the roles %q", actor.Name, actor.Roles())
	}
	if err := actor.AdmitSomewhere(access.Wish{Act: access.Bring, Scanner: "semgrep"}); err == nil ||
		!strings.Contains(err.Error(), `"semgrep" with their own token: add it to platforms.github.ci.scanners`) {
		t.Errorf("another scanner: %v", err)
	}
	if err := actor.AdmitSomewhere(access.Wish{Act: access.Bring, Scanner: "trivy"}); err != nil {
		t.Error(err)
	}
}

func TestJobsOfRequestsAreForTheHead(t *testing.T) {
	t.Parallel()
	of := job
	of.SHA, of.Commit, of.OfRequest, of.Request = merge, "", true, 7
	found, err := of.Of(core.KeptRequest{Number: 7, HeadSHA: head, Branch: "feature"})
	if err != nil || found.Commit != head || found.Branch != "feature" {
		t.Errorf("%+v, %v", found, err)
	}
	if err := found.Admit(access.Project{Platform: "github", Name: "acme/shop", Commit: merge}); err == nil ||
		!strings.Contains(err.Error(), "which nobody pushed: bring the report for the request's head, "+head) {
		t.Errorf("the merge: %v", err)
	}
	if _, err := of.Of(core.KeptRequest{Number: 7, HeadSHA: head, Fork: true}); !errors.Is(err, core.ErrForbidden) {
		t.Errorf("a fork: %v", err)
	}
	if _, err := of.Of(core.KeptRequest{Number: 7}); !errors.Is(err, core.ErrForbidden) {
		t.Errorf("no head: %v", err)
	}
}
