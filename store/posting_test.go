package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// denied is the result of a post that the token may not make.
func denied(branch string, probes int) store.PostResult {
	return store.PostResult{
		Error: "the token lacks a scope", Code: 403, RetryAfter: time.Minute, Hold: &core.Hold{Branch: branch, Probes: probes},
	}
}

func claim(t *testing.T, s *store.Store, want int) []core.Status {
	t.Helper()
	claimed, err := s.ClaimStatuses(t.Context(), github, 10, 30*time.Second)
	if err != nil || len(claimed) != want {
		t.Fatalf("claimed %d, %v, want %d", len(claimed), err, want)
	}
	return claimed
}

func TestHoldKeepsStatusesAndProbesWithTheLatest(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		for n := range 3 {
			pushTo(t, s, n+1, string(rune('a'+n)))
			clock.advance(time.Second)
		}
		for _, status := range claim(t, s, 3) {
			settle(t, s, status, denied("", 1))
		}
		pushTo(t, s, 4, "d")
		nothingDue(t, s, "before the probe")
		clock.advance(time.Minute)
		probe := claim(t, s, 1)[0]
		if probe.Branch != "d" || probe.Probe != 1 {
			t.Errorf("probe = %s, %d", probe.Branch, probe.Probe)
		}
		nothingDue(t, s, "while one is on its way")
		settle(t, s, probe, denied("", 2))
		list, err := s.ListHolds(t.Context(), "github", "acme/shop")
		if err != nil || len(list) != 1 || list[0].Probes != 2 || list[0].Code != 403 || list[0].Reason == "" {
			t.Errorf("holds = %+v, %v", list, err)
		}
		clock.advance(3 * 24 * time.Hour)
		settle(t, s, claim(t, s, 1)[0], store.PostResult{Posted: true, Code: 201})
		waited := claim(t, s, 3)
		if waited[0].DueSince.Sub(waited[0].DesiredAt) < 72*time.Hour || waited[0].Attempts != 0 {
			t.Errorf("waited = %+v, want it due since the mend", waited[0])
		}
		if list, _ := s.ListHolds(t.Context(), "", ""); len(list) != 0 {
			t.Errorf("holds after the fix: %+v", list)
		}
	})
}

// A status that was put during a probe is posted right after it.
func TestProbeDelaysNoNewerStatus(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		pushTo(t, s, 1, "main")
		settle(t, s, claimOne(t, s), denied("", 1))
		clock.advance(time.Minute)
		probe := claimOne(t, s)
		run(t, s, finding("leak", core.High))
		settle(t, s, probe, store.PostResult{Posted: true})
		if got := claimOne(t, s); got.State != core.StatusFailure {
			t.Errorf("claimed %s", got.State)
		}
	})
}

// A probe that is requested while an earlier post is being refused is not forgotten.
func TestProbeThatIsAskedForComes(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		pushTo(t, s, 1, "main")
		settle(t, s, claimOne(t, s), denied("", 1))
		clock.advance(time.Minute)
		refused := claimOne(t, s)
		if err := s.ProbeHolds(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle(t, s, refused, denied("", 2))
		if claimOne(t, s).Probe == 0 {
			t.Error("no probe")
		}
	})
}

// A protected branch delays no other one.
func TestHoldOfABranch(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		pushTo(t, s, 1, "main")
		settle(t, s, claimOne(t, s), denied("main", 1))
		pushTo(t, s, 2, "main")
		pushTo(t, s, 3, "side")
		if got := claimOne(t, s); got.Branch != "side" {
			t.Errorf("claimed %s", got.Branch)
		}
	})
}

// A commit that is also on a branch without a hold is posted for that one.
func TestHoldOfABranchLetsTheCommitGo(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		first := pushTo(t, s, 1, "main")
		settle(t, s, claimOne(t, s), denied("main", 1))
		run(t, s, finding("leak", core.High))
		nothingDue(t, s, "on the branch with a hold")
		first.Branch, first.Attempt = "side", 2
		if _, err := s.AcceptCommit(t.Context(), first, ""); err != nil {
			t.Fatal(err)
		}
		if got := claimOne(t, s); got.Branch != "side" {
			t.Errorf("claimed %+v", got)
		}
	})
}

// If the token was fixed, but not for the protected branch, the other branches are posted.
func TestHoldShrinksToABranch(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		pushTo(t, s, 1, "side")
		settle(t, s, claimOne(t, s), denied("", 1))
		clock.advance(time.Minute)
		pushTo(t, s, 2, "main")
		settle(t, s, claimOne(t, s), denied("main", 2))
		settle(t, s, claimOne(t, s), store.PostResult{Posted: true})
		list, err := s.ListHolds(t.Context(), "", "")
		if err != nil || len(list) != 1 || list[0].Branch != "main" || !list[0].NextProbeAt.After(clock.Now()) {
			t.Errorf("holds = %+v, %v", list, err)
		}
	})
}

// Probes and other posts do not starve each other, even with room for one.
func TestProbesAndOthersTakeTurns(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		p.Project.Name, p.Project.Ref = "acme/broken", "43"
		accept(t, s, d, p)
		settle(t, s, claimOne(t, s), denied("", 1))
		if err := s.ProbeHolds(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n := range 8 {
			pushTo(t, s, n+2, string(rune('a'+n)))
		}
		probes := 0
		for range 8 {
			claimed, err := s.ClaimStatuses(t.Context(), github, 1, time.Minute)
			if err != nil || len(claimed) != 1 {
				t.Fatalf("claimed %d, %v", len(claimed), err)
			}
			probes += claimed[0].Probe
		}
		if probes != 1 {
			t.Errorf("%d probes among eight claims, want 1", probes)
		}
	})
}

func TestHoldEndsWithItsStatuses(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := pushTo(t, s, 1, "main")
		settle(t, s, claimOne(t, s), denied("", 1))
		clock.advance(8 * 24 * time.Hour)
		settle(t, s, claimOne(t, s), denied("", 2))
		if got := statusOf(t, s, scan); !got.GivenUp || !strings.Contains(got.LastError, "waited for 7 days: the token") {
			t.Errorf("status = %+v", got)
		}
		clock.advance(time.Hour)
		nothingDue(t, s, "after giving up")
		if list, _ := s.ListHolds(t.Context(), "", ""); len(list) != 0 {
			t.Errorf("holds without anything that waits: %+v", list)
		}
	})
}

// What fixes one project may have fixed the others, and a restart may bring another token.
func TestHoldsAreProbedTogether(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for n, project := range []string{"acme/one", "acme/two"} {
			d, p := storetest.PushOf(n + 1)
			p.Project.Name, p.Project.Ref = project, project
			accept(t, s, d, p)
		}
		for _, status := range claim(t, s, 2) {
			settle(t, s, status, denied("", 1))
		}
		nothingDue(t, s, "during the pause")
		if err := s.ProbeHolds(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := claim(t, s, 1)[0]
		settle(t, s, claim(t, s, 1)[0], denied("", 2))
		nothingDue(t, s, "during the second pause")
		settle(t, s, first, store.PostResult{Posted: true})
		settle(t, s, claim(t, s, 1)[0], store.PostResult{Posted: true})
	})
}

// A status that is put while its project is on hold waits from the start: no claim has to touch it.
func TestStatusesOnHoldAreDueToNobody(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		pushTo(t, s, 1, "main")
		settle(t, s, claimOne(t, s), denied("", 1))
		scan := pushTo(t, s, 2, "side")
		before := statusOf(t, s, scan)
		if !before.Held || before.LastError != "the token lacks a scope" {
			t.Errorf("status = %+v, want it held, with the reason", before)
		}
		nothingDue(t, s, "on hold")
		if after := statusOf(t, s, scan); after != before {
			t.Errorf("a claim has changed %+v to %+v", before, after)
		}
	})
}

// A status that a transaction puts on hold is not forgotten by who lifts the hold at that moment.
func TestHoldIsLiftedAfterWhatItHolds(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := storetest.Postgres.Open(t, store.Config{Now: clock.Now})
	scan := pushTo(t, s, 1, "main")
	settle(t, s, claimOne(t, s), denied("main", 1))
	other := pushTo(t, s, 2, "side")
	settle(t, s, claimOne(t, s), store.PostResult{Error: "502", RetryAfter: time.Hour})
	clock.advance(time.Minute)
	probe := claimOne(t, s)
	putting, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.HoldsOf(t.Context(), putting, other)
	if err != nil || held != 1 {
		t.Fatalf("%d holds, %v", held, err)
	}
	lifted := make(chan error)
	go func() {
		lifted <- s.SettleStatus(context.WithoutCancel(t.Context()), probe, store.PostResult{Posted: true})
	}()
	for waiting := 0; waiting == 0; time.Sleep(time.Millisecond) {
		// Without that, the transaction would see the activity as it was when it first looked.
		if _, err := putting.ExecContext(t.Context(), `SELECT pg_stat_clear_snapshot()`); err != nil {
			t.Fatal(err)
		}
		err := putting.GetContext(t.Context(), &waiting, `SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND
			pid IN (SELECT pid FROM pg_stat_activity WHERE query LIKE '%DELETE FROM status_holds%' AND datname = current_database())
			AND transactionid = (SELECT backend_xid FROM pg_stat_activity WHERE pid = pg_backend_pid())`)
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = putting.ExecContext(t.Context(), `UPDATE commit_statuses SET held = TRUE WHERE scan_id = $1`, other.ID)
	if err == nil {
		err = putting.Commit()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := <-lifted; err != nil {
		t.Fatal(err)
	}
	for _, one := range []core.Scan{scan, other} {
		if status := statusOf(t, s, one); status.Held {
			t.Errorf("held without a hold: %+v", status)
		}
	}
}

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
