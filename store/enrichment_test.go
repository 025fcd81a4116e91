package store_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// Whoever learns first where a branch left main, reports that came before are compared with that.
func TestReportsAreComparedWithAMergeBaseThatComesLater(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scanned(t, s, 1, found("old"))
		scanned(t, s, 2, found())
		branch := pushed(t, s, 3, storetest.OnBranch("feature"), newBranch)
		if branch = deliver(t, s, branch, "gitleaks", found("old")); branch.Summary != "1 new (1 low)" {
			t.Fatalf("compared with main: %q", branch.Summary)
		}
		if err := s.RecordMergeBase(t.Context(), branch, storetest.SHA(1)); err != nil {
			t.Fatal(err)
		}
		if branch = get(t, s, branch.ReferenceID); branch.Summary != "0 new, 1 known" {
			t.Errorf("compared with its merge base: %q", branch.Summary)
		}
	})
}

// asked claims the task that asks where a branch left its target.
func asked(t *testing.T, s *store.Store) store.EnrichmentTask {
	t.Helper()
	task, err := s.ClaimEnrichment(t.Context(), "github", time.Minute)
	if err != nil || task.Kind != store.EnrichMergeBase || task.Attempts != 0 {
		t.Fatalf("want a new task for the merge base, got %+v, %v", task, err)
	}
	return task
}

// A platform that did not answer for long is asked again when the next report wants to know.
func TestMergeBaseIsAskedForOnceMoreAfterItWasGivenUp(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		branch := pushed(t, s, 1, storetest.OnBranch("feature"), newBranch)
		err := s.AskMergeBase(t.Context(), branch)
		if err == nil {
			err = s.RetryEnrichment(t.Context(), asked(t, s), store.EnrichmentRetry{GivenUp: true, RetryAfter: time.Hour, Error: "502"})
		}
		if err == nil {
			err = s.AskMergeBase(t.Context(), branch)
		}
		if err != nil {
			t.Fatal(err)
		}
		if task := asked(t, s); task.LastError != "" {
			t.Errorf("%+v", task)
		}
	})
}
