package web_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// post settles the next status that is due.
func (s *site) post(end store.Settlement) {
	s.t.Helper()
	claimed, err := s.store.ClaimStatuses(s.t.Context(), []string{"github"}, 1, time.Minute)
	if err != nil || len(claimed) != 1 {
		s.t.Fatalf("claimed %d statuses, %v", len(claimed), err)
	}
	if err := s.store.SettleStatus(s.t.Context(), claimed[0], end); err != nil {
		s.t.Fatal(err)
	}
}

func TestBrokenTokenIsSaidEverywhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding())
	s.post(store.Settlement{
		Error: "github answered 403: give the token <b>", Code: 403, RetryAfter: time.Minute, Trouble: &core.Trouble{Probes: 1},
	})
	contains(t, s.page("/"), "Commit statuses are kept, not posted:", `href="/hooks/projects/github/acme/shop"`,
		"github answered 403: give the token &lt;b&gt;")
	contains(t, s.page("/projects/github/acme/shop"), "Token broken:", "github answered 403: give the token &lt;b&gt;")
	contains(t, s.page("/scans/"+scan.ReferenceID), "github answered 403")
	contains(t, s.page("/explain/"+scan.CommitSHA), "it waits for the token to be mended", "github answered 403 after 0s; not posted",
		"github takes no statuses of acme/shop from us; they are kept, next attempt")
}

func TestForeignStatusIsTold(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	scan := s.scanned(1, finding())
	s.post(store.Settlement{Posted: true, PostedID: 10, Code: 201, Took: 85 * time.Millisecond})
	seen := core.StatusSeen{
		Project: core.Project{Name: "acme/shop"}, CommitSHA: scan.CommitSHA, Context: "scanhook", ID: 11, State: "success",
		Description: "<b>fine</b>", Creator: "ci-<i>bot",
	}
	if _, err := s.store.SeeStatus(t.Context(), "github", seen); err != nil {
		t.Fatal(err)
	}
	s.post(store.Settlement{Posted: true, PostedID: 12, Code: 201})
	contains(t, s.page("/scans/"+scan.ReferenceID), "Shown on github, after somebody else&#39;s status had taken its place.")
	seen.ID = 13
	if _, err := s.store.SeeStatus(t.Context(), "github", seen); err != nil {
		t.Fatal(err)
	}
	contains(t, s.page("/scans/"+scan.ReferenceID), "Somebody else&#39;s status stands in its place on github, again: it is left alone.")
	contains(t, s.page("/explain/"+scan.CommitSHA), "github answered 201 after 85ms; it shows scanhook failure",
		"A status that is not ours stands on github: scanhook success: &lt;b&gt;fine&lt;/b&gt;", "ci-&lt;i&gt;bot posted it in the place of failure")
}
