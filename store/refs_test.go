package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// standsAt expects the project to be shown as its branch is, and the next scan to be compared with that.
func standsAt(t *testing.T, s *store.Store, steps string, want int) {
	t.Helper()
	list, err := s.ListProjects(t.Context(), store.ProjectFilter{Limit: 9})
	if err != nil || len(list) != 1 || list[0].Head == nil || list[0].Head.CommitSHA != storetest.SHA(want) {
		t.Errorf("%s: %+v, %v, want it to stand at %d", steps, list, err, want)
	}
	next := pushed(t, s, 500, storetest.OnBranch("side"))
	if sha, err := s.GetBaseline(t.Context(), next, core.Job{Scanner: "gitleaks"}); err != nil || sha != storetest.SHA(want) {
		t.Errorf("%s: compared with %s, %v, want %d", steps, sha, err, want)
	}
}

// An old commit that is scanned once more stays old.
func TestRescanOfAnOldCommit(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		old := pushed(t, s, 1)
		run(t, s)
		pushed(t, s, 2)
		run(t, s)
		if _, err := s.Rescan(t.Context(), old.ReferenceID, "ada"); err != nil {
			t.Fatal(err)
		}
		run(t, s)
		standsAt(t, s, "rescan", 2)
	})
}

// A branch is where it was seen.
func TestBranchIsSeenWhereItStands(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for n, text := range []string{"1>2", "0>1"} {
			d, p := step(t, text, n)
			accept(t, s, d, p)
			runAll(t, s)
		}
		known := sighting("acme/shop", "")
		watched, err := s.ClaimProject(t.Context(), known, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		seen(t, s, watched, core.Ref{Name: "refs/heads/main", SHA: storetest.SHA(1)})
		runAll(t, s)
		standsAt(t, s, "seen", 1)
	})
}

// The state of a project is that of its branch, in whatever order pushes are announced: a late push is old, however new
// its scan is. Those that do not fit have the platform asked.
func TestProjectStandsWhereItsBranchStands(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for steps, want := range map[string]int{
			"0>1 1>2":                  2,
			"1>2 0>1":                  2,
			"1>2 0>1 2>3":              3,
			"2>3 0>1 1>2":              3,
			"2>3 1>2 0>1":              3,
			"9>0 ~0>3 0>1 1>2 2>3":     3,
			"9>0 ~0>3 1>2 0>1":         3,
			"9>0 ~0>3 0>1 1>2 3>4":     4,
			"0>1 1>2 2>1":              1,
			"0>1 1>2 2>1 1>2":          2,
			"0>1 1>2 2>1 1>4 4>5":      5,
			"0>1 3>4":                  4, // the push between is lost
			"0>1 3>4 1>3":              4,
			"0>1 ~1>4 4>5 1>3 3>4":     5,
			"1>2 0>1 ~2>1":             1, // set back to what came late
			"0>1 1>2 ~2>5 2>3 3>4 5>6": 6,
		} {
			s := e.Open(t, store.Config{})
			for n, text := range strings.Fields(steps) {
				d, p := step(t, text, n)
				accept(t, s, d, p)
				runAll(t, s)
			}
			w, err := s.ClaimProject(t.Context(), sighting("acme/shop", ""), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			seen(t, s, w, core.Ref{Name: "refs/heads/main", SHA: storetest.SHA(want)})
			runAll(t, s)
			standsAt(t, s, steps, want)
		}
	})
}

// from makes a push begin at a commit; 0 is none, and a push to 0 deletes.
func from(n int) change {
	return func(_ *core.Delivery, p *core.Push) { p.Before, p.Created = commitOrZeros(n), n == 0 }
}

func commitOrZeros(n int) string {
	if n == 0 {
		return strings.Repeat("0", 40)
	}
	return storetest.SHA(n)
}

// moves takes in moves of branches such as "a:0>1", and returns where the refs stand.
func moves(t *testing.T, s *store.Store, text string) (stand []string) {
	t.Helper()
	for n, word := range strings.Fields(text) {
		branch, steps, _ := strings.Cut(word, ":")
		var before, after int
		if _, err := fmt.Sscanf(steps, "%d>%d", &before, &after); err != nil {
			t.Fatal(err)
		}
		d, p := storetest.PushOf(after, storetest.OnBranch(branch), from(before))
		d.Key = fmt.Sprint(text, n)
		if after == 0 {
			p.After, p.CommitSHA, p.Deleted = commitOrZeros(0), "", true
		}
		if _, err := s.Accept(t.Context(), storetest.With(d, p)); err != nil {
			t.Fatal(err)
		}
	}
	refs, err := s.ListRefs(t.Context(), "github", "acme/shop", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs {
		stand = append(stand, ref.Short()+":"+numberOf(ref.SHA))
	}
	return stand
}

func TestRefsFollowEvents(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for text, want := range map[string]string{
			"a:0>1 a:1>2":               "a:2",
			"a:0>1 b:0>1 b:1>2":         "a:1 b:2",
			"a:0>1 a:1>0":               "",
			"a:0>1 a:1>0 a:0>2":         "a:2", // recreated
			"a:0>1 a:1>0 a:0>1":         "a:1",
			"a:0>1 a:1>2 a:2>9":         "a:9", // another history
			"a:0>1 a:1>2 a:2>3 a:3>1":   "a:1", // set back
			"a:0>1 a:2>3 a:1>2":         "a:3", // the later one first
			"a:0>1 a:1>2 a:0>1":         "a:2",
			"a:2>0 a:0>1 a:1>2":         "", // the deletion first
			"main:0>1 q:0>2 main:1>2":   "main:2 q:2",
			"a:0>1 b:0>1 a:1>0 b:1>2":   "b:2",
			"a:0>1 a:1>2 b:0>2 a:2>0":   "b:2", // renamed
			"a:0>1 a:5>6 a:7>8 a:6>7":   "a:1", // nothing fits: the platform is asked
			"a:0>1 a:1>2 a:1>2 a:2>3":   "a:3", // by two webhooks
			"a:0>1 A:0>2 a/b:0>3 a:1>4": "A:2 a:4 a/b:3",
		} {
			if got := strings.Join(moves(t, e.Open(t, store.Config{}), text), " "); got != want {
				t.Errorf("%s: %q, want %q", text, got, want)
			}
		}
	})
}

// The platform is asked soon after an event that does not fit, also if it has been asked just now.
func TestEventThatDoesNotFitIsAskedAbout(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		w, err := s.ClaimProject(t.Context(), sighting("acme/shop", "42"), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		moves(t, s, "a:0>1 a:1>2")
		settle := func() {
			t.Helper()
			if err := s.SettleProject(t.Context(), w, time.Hour, ""); err != nil {
				t.Fatal(err)
			}
		}
		due := func(want bool) {
			t.Helper()
			claimed, err := s.ClaimDueProject(t.Context(), github, time.Minute)
			if found := err == nil; found != want {
				t.Errorf("due: %t, %v, want %t", found, err, want)
			}
			w = claimed
		}
		settle()
		clock.advance(20 * time.Second)
		due(false)
		moves(t, s, "a:3>4")
		due(false)
		clock.advance(15 * time.Second)
		due(true)
		moves(t, s, "a:5>6") // while the question is open
		settle()
		clock.advance(15 * time.Second)
		due(true)
		seen(t, s, w, core.Ref{Name: "refs/heads/a", SHA: storetest.SHA(6)})
		settle()
		clock.advance(15 * time.Second)
		due(false)
	})
}

// Of the first push of a repository, all branches come together.
func TestManyBranchesComeTogether(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		var deliveries []core.Delivery
		for n := range 300 {
			d, p := storetest.PushOf(1+n, storetest.OnBranch(fmt.Sprintf("b%03d", n)), from(0))
			deliveries = append(deliveries, storetest.With(d, p))
		}
		if err := s.AcceptTogether(deliveries...); err != nil {
			t.Fatal(err)
		}
		refs, err := s.ListRefs(t.Context(), "github", "acme/shop", "refs/heads/b099", 1000)
		if err != nil || len(refs) != 200 || refs[0].SHA != storetest.SHA(101) || refs[0].Scan == nil {
			t.Errorf("%d refs after the hundredth, %v", len(refs), err)
		}
	})
}

// Processes that take in the events of one ref at the same time do not lose any.
func TestEventsOfOneRefComeAtTheSameTime(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		both := replicas(t, e)
		const last = 24
		moves(t, both[0], "main:0>1")
		var all sync.WaitGroup
		for n := 2; n <= last; n++ {
			all.Go(func() {
				d, p := storetest.PushOf(n)
				if _, err := both[n%2].Accept(context.Background(), storetest.With(d, p)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if stand := moves(t, both[0], ""); len(stand) != 1 || stand[0] != fmt.Sprint("main:", last) {
			t.Errorf("stands at %v, want the last of them", stand)
		}
		for _, scan := range listed(t, both[0]) {
			if want := scan.CommitSHA == storetest.SHA(last); want != (scan.SupersededBy == "") {
				t.Errorf("commit %s is superseded by %q", numberOf(scan.CommitSHA), scan.SupersededBy)
			}
		}
	})
}

// A push that waits for an answer on the refs of its project holds no scan that the answer may change.
func TestRefsAreLockedBeforeScans(t *testing.T) {
	t.Parallel()
	s := storetest.Postgres.Open(t, store.Config{})
	answer, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Rollback() }()
	run := func(statement string) {
		t.Helper()
		if _, err := answer.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	run(`COMMIT; BEGIN`)
	scan := pushed(t, s, 1)
	run(fmt.Sprintf(`SELECT pg_advisory_xact_lock(hashtextextended('refs ' || %d, current_schema()::regnamespace::oid::int))`, scan.ProjectID))
	accepted := make(chan error, 1)
	go func() {
		d, p := storetest.PushOf(1, storetest.OnBranch("side"))
		d.Key = "another"
		_, err := s.Accept(t.Context(), storetest.With(d, p))
		accepted <- err
	}()
	if err := awaitBlocked(t, answer); err != nil {
		t.Fatal(err)
	}
	run(fmt.Sprintf(`SELECT id FROM scans WHERE id = %d FOR UPDATE NOWAIT`, scan.ID))
	if err := errors.Join(answer.Commit(), <-accepted); err != nil {
		t.Error(err)
	}
}

func listed(t *testing.T, s *store.Store) []core.Scan {
	t.Helper()
	list, err := s.ListScans(t.Context(), store.ScanFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
