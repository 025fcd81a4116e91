package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// postedScan is a scan whose final status was posted under the number 10.
func postedScan(t *testing.T, s *store.Store) core.Scan {
	t.Helper()
	scan := pushTo(t, s, 1, "main")
	run(t, s)
	settle(t, s, claimOne(t, s), store.PostResult{Posted: true, PostedID: 10, CheckAfter: time.Minute})
	return scan
}

func seenAs(scan core.Scan, id int64, state core.StatusState, description string) core.ObservedStatus {
	return core.ObservedStatus{
		Project: core.Project{Name: scan.ProjectName}, CommitSHA: scan.CommitSHA, Context: "scanhook", ID: id, State: state,
		Description: description, Creator: "ci-bot",
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := postedScan(t, s)
		ours := statusOf(t, s, scan)
		other := seenAs(scan, 12, core.StatusSuccess, "fine")
		other.Context = "build"
		for _, step := range []struct {
			name string
			seen core.ObservedStatus
			want core.Drift
			due  int
		}{
			{"another context", other, "", 0},
			{"ours", seenAs(scan, 10, ours.State, ours.Description), core.DriftOwn, 0},
			{"our pending one, late", seenAs(scan, 9, core.StatusPending, "Scan in progress"), core.DriftOlder, 0},
			{"the same again", seenAs(scan, 11, ours.State, ours.Description), core.DriftEqual, 0},
			{"a stranger's", seenAs(scan, 13, core.StatusFailure, "no"), core.DriftForeign, 1},
			{"a stranger's, announced twice", seenAs(scan, 13, core.StatusFailure, "no"), core.DriftPending, 0},
			{"a stranger's, against ours again", seenAs(scan, 15, core.StatusFailure, "no"), core.DriftForeign, 1},
			{"the same, found by asking", seenAs(scan, 15, core.StatusFailure, "no"), core.DriftPending, 0},
			{"a third one", seenAs(scan, 17, core.StatusFailure, "no"), core.DriftForeign, 1},
		} {
			got, err := s.ObserveStatus(t.Context(), "github", step.seen)
			if err != nil || got != step.want {
				t.Fatalf("%s: %q, %v, want %q", step.name, got, err, step.want)
			}
			switch step.name {
			case "a stranger's, announced twice": // ours is due at once
				settle(t, s, claimOne(t, s), store.PostResult{Posted: true, PostedID: 14})
			case "the same, found by asking": // and the second time after a pause
				if early, err := s.ClaimStatuses(t.Context(), []string{"github"}, 1, time.Minute); len(early) > 0 || err != nil {
					t.Fatalf("claimed %+v, %v before the pause is over", early, err)
				}
				clock.advance(10 * time.Second)
				settle(t, s, claimOne(t, s), store.PostResult{Posted: true, PostedID: 16})
			}
			if status := statusOf(t, s, scan); step.due != int(status.Revision-status.PostedRevision) {
				t.Errorf("%s: revision %d, posted %d", step.name, status.Revision, status.PostedRevision)
			}
		}
		list := posts(t, s, scan)
		if len(list) != 6 || list[1].Outcome != core.PostOverwritten || list[3].Outcome != core.PostOverwritten {
			t.Errorf("posts = %+v", list)
		}
		if status := statusOf(t, s, scan); status.Overwrites != 3 || !status.Contested() || !status.Restores() {
			t.Errorf("status = %+v, want it contested", status)
		}
	})
}

// The platform is asked about a status that is announced without its number and differs from ours.
func TestUnknownDriftHasThePlatformAsked(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := postedScan(t, s)
		ours := statusOf(t, s, scan)
		never := func(core.Status) time.Duration { return 0 }
		for _, step := range []struct {
			seen core.ObservedStatus
			want core.Drift
			err  error
		}{
			{seenAs(scan, 0, ours.State, ours.Description), core.DriftEqual, core.ErrNotFound},
			{seenAs(scan, 0, core.StatusFailure, "no"), core.DriftUnknown, nil},
			{seenAs(scan, 0, core.StatusFailure, "no"), core.DriftUnknown, nil},
		} {
			if got, err := s.ObserveStatus(t.Context(), "github", step.seen); err != nil || got != step.want {
				t.Fatalf("sighting %q, %v, want %q", got, err, step.want)
			}
			if _, err := s.ClaimDriftCheck(t.Context(), "github", never); !errors.Is(err, step.err) {
				t.Errorf("check after %q: %v, want %v", step.want, err, step.err)
			}
		}
		if list := posts(t, s, scan); len(list) != 1 {
			t.Errorf("a rumour was taken for a post: %+v", list)
		}
	})
}

// What is newly desired does not wait for the pause before ours is restored.
func TestVerdictsDoNotWaitToBeRestored(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{PublicURL: "https://scan.example"})
		scan := postedScan(t, s)
		for id := int64(11); id < 20; id += 3 {
			if got, err := s.ObserveStatus(t.Context(), "github", seenAs(scan, id, core.StatusPending, "")); got != core.DriftForeign || err != nil {
				t.Fatalf("sighting %d = %q, %v", id, got, err)
			}
			if id == 11 {
				settle(t, s, claimOne(t, s), store.PostResult{Posted: true, PostedID: id + 1})
			}
			if _, err := s.Rescan(t.Context(), scan.ReferenceID, "ops"); err != nil {
				t.Fatal(err)
			}
			settle(t, s, claimOne(t, s), store.PostResult{Posted: true, PostedID: id + 2})
		}
	})
}

func TestChecks(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := postedScan(t, s)
		next := func(core.Status) time.Duration { return 14 * time.Minute }
		none := func(when string) {
			t.Helper()
			if _, err := s.ClaimDriftCheck(t.Context(), "github", next); !errors.Is(err, core.ErrNotFound) {
				t.Errorf("%s: %v", when, err)
			}
		}
		none("at once")
		clock.advance(time.Minute)
		if got, err := s.ClaimDriftCheck(t.Context(), "github", next); err != nil || got.CommitSHA != scan.CommitSHA || got.CheckAt == nil {
			t.Errorf("claimed %+v, %v", got, err)
		}
		none("a second time")
		clock.advance(14 * time.Minute)
		next = func(core.Status) time.Duration { return 0 }
		if _, err := s.ClaimDriftCheck(t.Context(), "github", next); err != nil {
			t.Error(err)
		}
		clock.advance(time.Hour)
		none("after the last one")
	})
}
