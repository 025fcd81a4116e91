package store_test

import (
	"testing"

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
