package store_test

import (
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestSupersede(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		old := pushed(t, s, 1)
		fresh := pushed(t, s, 2)

		old = get(t, s, old.ReferenceID)
		if old.Status != core.ScanFailed || old.SupersededBy != storetest.SHA(2) {
			t.Errorf("old scan = %s, superseded by %q", old.Status, old.SupersededBy)
		}
		want := "Superseded by a newer push: " + storetest.SHA(2)[:7]
		if st := statusOf(t, s, old); st.State != core.StatusCancelled || st.Description != want {
			t.Errorf("old status = %s %q", st.State, st.Description)
		}
		if fresh.Status != core.ScanPending {
			t.Errorf("new scan = %s", fresh.Status)
		}

		d3, p3 := storetest.PushOf(3, storetest.OnBranch("side"))
		shared := accept(t, s, d3, p3)
		d3.Key, p3.Ref = "second branch", "refs/heads/side2"
		accept(t, s, d3, p3)
		pushed(t, s, 4, storetest.OnBranch("side"))
		if shared = get(t, s, shared.ReferenceID); shared.Status != core.ScanPending {
			t.Errorf("a commit that another branch still points at is %s, want pending", shared.Status)
		}

		d5, p5 := storetest.PushOf(5)
		p5.Before = p5.CommitSHA // as Gitea's test button pushes
		if own := accept(t, s, d5, p5); own.Status != core.ScanPending {
			t.Errorf("a commit that is pushed onto itself is %s, want pending", own.Status)
		}
	})
}

func TestSupersededCommitIsPushedAgain(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		old := accept(t, s, d, p)
		pushed(t, s, 2)
		d.Key, p.Ref = "a branch made of it", "refs/heads/rescue"
		again := accept(t, s, d, p)
		if again.ID != old.ID || again.Status != core.ScanPending || again.SupersededBy != "" {
			t.Fatalf("scan = %+v, want the old one pending again", again)
		}
		run(t, s)
		if st := statusOf(t, s, again); st.State != core.StatusSuccess {
			t.Errorf("status = %s %q", st.State, st.Description)
		}
	})
}
