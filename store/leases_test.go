package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

// What a dead process had leased on an embedded database is free at once for the next one.
func TestTakeOverFreesEveryLease(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), storetest.SQLiteURL(t)
	open := func() *store.Store {
		s := storetest.OpenAt(t, url, store.Config{})
		if err := s.TakeOver(ctx); err != nil {
			t.Fatal(err)
		}
		return s
	}
	project := sighting("acme/shop", "")
	claimAll := func(s *store.Store) {
		t.Helper()
		by := store.Claimant{Worker: "w", Scanners: []string{"gitleaks"}, Lease: time.Hour}
		_, _, jobErr := s.ClaimJob(ctx, by)
		statuses, statusErr := s.ClaimStatuses(ctx, []string{"github"}, 1, time.Hour)
		_, hookErr := s.ClaimHookTarget(ctx, "github", time.Hour)
		_, lookErr := s.ClaimProject(ctx, project, time.Hour)
		if err := errors.Join(jobErr, statusErr, hookErr, lookErr); err != nil || len(statuses) != 1 {
			t.Errorf("%d statuses, %v", len(statuses), err)
		}
	}
	doomed := open()
	d, p := storetest.PushOf(1)
	if _, err := doomed.Accept(ctx, storetest.With(d, p)); err != nil {
		t.Fatal(err)
	}
	place := store.HookCheck{SourcePlatform: "github", HookTarget: core.HookTarget{Scope: "project", Owner: "acme/shop"}}
	if err := doomed.PutHookTargets(ctx, []store.HookCheck{place}); err != nil {
		t.Fatal(err)
	}
	claimAll(doomed)
	if err := doomed.Close(); err != nil {
		t.Fatal(err)
	}
	claimAll(open())
}

// Processes that share an embedded database leave each other's leases alone, and keep those out that want it for themselves.
func TestTakePartLeavesLeasesAlone(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), storetest.SQLiteURL(t)
	first, second := storetest.OpenAt(t, url, store.Config{}), storetest.OpenAt(t, url, store.Config{})
	if err := first.TakePart(ctx); err != nil {
		t.Fatal(err)
	}
	d, p := storetest.PushOf(1)
	if _, err := first.Accept(ctx, storetest.With(d, p)); err != nil {
		t.Fatal(err)
	}
	by := store.Claimant{Worker: "w", Scanners: []string{"gitleaks"}, Lease: time.Hour}
	if _, _, err := first.ClaimJob(ctx, by); err != nil {
		t.Fatal(err)
	}
	if err := second.TakePart(ctx); err != nil {
		t.Fatal(err)
	}
	by.Worker = "another"
	if _, _, err := second.ClaimJob(ctx, by); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("the job of a living process: %v", err)
	}
	alone := storetest.OpenAt(t, url, store.Config{})
	impatient, cancel := context.WithCancel(ctx)
	cancel()
	if err := alone.TakeOver(impatient); err == nil {
		t.Error("a process has the database for itself beside two others")
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Fatal(err)
	}
	next := storetest.OpenAt(t, url, store.Config{})
	if err := next.TakePart(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := next.ClaimJob(ctx, by); err != nil {
		t.Errorf("the job of a process that is gone: %v", err)
	}
}

// machine is a host whose clock can be set, and the database server's with it.
type machine struct {
	began                 time.Time
	ran, wrong, wrongHost time.Duration
}

func newMachine() *machine { return &machine{began: time.Now()} }

func (m *machine) clock() sqldb.HostClock {
	return sqldb.HostClock{
		Wall: func() time.Time { return m.began.Add(m.ran + m.wrong + m.wrongHost) },
		Ran:  func() time.Duration { return m.ran },
	}
}

// pass lets time pass, in which the clocks are compared once a minute, as the server does.
func (m *machine) pass(t *testing.T, s *store.Store, d time.Duration) {
	t.Helper()
	for step := time.Duration(0); d > 0; d -= step {
		step = min(d, time.Minute)
		m.ran += step
		s.SetServerTime(m.began.Add(m.ran + m.wrong))
		if _, err := s.SyncClock(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RepairTimes(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A store that follows another one in the same process, as at a reload, goes on with its clock: it need not prove itself again.
func TestClockLastsFromStoreToStore(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		m, url := newMachine(), e.URL(t)
		host := m.clock().Lasting()
		first := storetest.OpenAt(t, url, store.Config{Host: host})
		m.pass(t, first, 10*time.Minute)
		pushed(t, first, 1)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		m.ran += 2 * time.Hour
		next := storetest.OpenAt(t, url, store.Config{Host: host})
		if n, err := next.ExpireScans(t.Context(), false); n != 1 || err != nil {
			t.Errorf("%d scans are overdue, %v", n, err)
		}
	})
}

var jumps = map[string]time.Duration{"ahead": 2 * time.Hour, "back": -2 * time.Hour}

// onMachines runs a test with each jump, of the host's clock on an embedded database, and of the server's otherwise.
func onMachines(t *testing.T, test func(t *testing.T, m *machine, s *store.Store, jump time.Duration)) {
	t.Parallel()
	for name, jump := range jumps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				m := newMachine()
				test(t, m, e.Open(t, store.Config{Host: m.clock()}), jump)
			})
		})
	}
}

func TestClockThatJumpsForAMinute(t *testing.T) {
	onMachines(t, func(t *testing.T, m *machine, s *store.Store, jump time.Duration) {
		m.pass(t, s, 10*time.Minute)
		before := pushed(t, s, 1, storetest.OnBranch("one"))
		m.wrong = jump
		m.pass(t, s, 30*time.Second)
		meanwhile := pushed(t, s, 2, storetest.OnBranch("two"))
		m.pass(t, s, 30*time.Second)
		nothingOverdue(t, s, "while the clock is wrong")
		if n := len(dueStatuses(t, s)); n != 2 {
			t.Errorf("while the clock is wrong %d of 2 statuses can be posted", n)
		}
		m.wrong = 0
		m.pass(t, s, time.Minute)
		nothingOverdue(t, s, "when it is right again")
		if off := meanwhile.Timestamp.Sub(before.Timestamp); off != 30*time.Second {
			t.Errorf("the second push came %s after the first, want 30s", off)
		}
		m.pass(t, s, time.Hour)
		if n, err := s.ExpireScans(t.Context(), false); n != 2 || err != nil {
			t.Errorf("after their hour, %d of 2 scans are overdue, %v", n, err)
		}
	})
}

// A clock that stays where it jumped was corrected, or the machine slept: it is followed, and every scan still has its
// time.
func TestClockThatStaysWhereItJumped(t *testing.T) {
	onMachines(t, func(t *testing.T, m *machine, s *store.Store, jump time.Duration) {
		m.pass(t, s, 10*time.Minute)
		began := s.Now()
		scan := pushed(t, s, 1, storetest.OnBranch("one"))
		m.wrong = jump
		m.pass(t, s, 7*time.Minute)
		if off := s.Now().Sub(began.Add(7*time.Minute + jump)).Abs(); off > time.Second {
			t.Errorf("the clock is not followed: off by %s", off)
		}
		nothingOverdue(t, s, "after a jump")
		if n := len(dueStatuses(t, s)); n != 1 {
			t.Errorf("%d of 1 statuses can be posted", n)
		}
		m.pass(t, s, 52*time.Minute)
		nothingOverdue(t, s, "before its hour is over")
		m.pass(t, s, 10*time.Minute) // a scan of the future has its time from when that is noticed
		if n, err := s.ExpireScans(t.Context(), false); n != 1 || err != nil {
			t.Errorf("after its hour, %d of 1 scans is overdue, %v", n, err)
		}
		if got := get(t, s, scan.ReferenceID); got.Status != core.ScanFailed {
			t.Errorf("the scan is %s", got.Status)
		}
	})
}

// A process that starts while the clock is wrong fails no waiting scan, and corrects what it wrote.
func TestStartWithAWrongClock(t *testing.T) {
	t.Parallel()
	for name, jump := range jumps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := storetest.SQLiteURL(t)
			acceptOn(t, newMachine(), url, 1)
			m := newMachine()
			m.wrong = jump
			s := acceptOn(t, m, url, 2)
			m.pass(t, s, 30*time.Second)
			nothingOverdue(t, s, "for a process that started with a wrong clock")
			m.wrong = 0
			m.pass(t, s, 7*time.Minute)
			nothingOverdue(t, s, "when its clock was put right")
			if n := len(dueStatuses(t, s)); n != 2 {
				t.Errorf("%d of 2 statuses can be posted", n)
			}
			m.pass(t, s, time.Hour)
			if n, err := s.ExpireScans(t.Context(), false); n != 2 || err != nil {
				t.Errorf("after their hour, %d of 2 scans are overdue, %v", n, err)
			}
		})
	}
}

// acceptOn opens a database on a machine and accepts the nth push.
func acceptOn(t *testing.T, m *machine, url string, n int) *store.Store {
	t.Helper()
	s := storetest.OpenAt(t, url, store.Config{Host: m.clock()})
	pushed(t, s, n, storetest.OnBranch(fmt.Sprint("b", n)))
	return s
}

// One replica's own clock does not matter where there is a server.
func TestReplicaWhoseClockJumps(t *testing.T) {
	t.Parallel()
	for name, jump := range jumps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := storetest.PostgresURL(t)
			right, wrong := newMachine(), newMachine()
			one, other := acceptOn(t, right, url, 1), acceptOn(t, wrong, url, 2)
			wrong.wrongHost = jump
			for range 10 {
				right.pass(t, one, time.Minute)
				wrong.pass(t, other, time.Minute)
				if off := one.Now().Sub(other.Now()).Abs(); off > 2*time.Second {
					t.Fatalf("the replicas' clocks are %s apart", off)
				}
				nothingOverdue(t, other, "on a replica whose clock is wrong")
			}
			if n := len(dueStatuses(t, one)); n != 2 {
				t.Errorf("%d of 2 statuses can be posted", n)
			}
		})
	}
}

func nothingOverdue(t *testing.T, s *store.Store, when string) {
	t.Helper()
	if n, err := s.ExpireScans(t.Context(), false); n != 0 || err != nil {
		t.Errorf("%s, %d scans were ended, %v", when, n, err)
	}
}

func dueStatuses(t *testing.T, s *store.Store) []core.Status {
	t.Helper()
	claimed, err := s.ClaimStatuses(t.Context(), []string{"github"}, 10, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return claimed
}
