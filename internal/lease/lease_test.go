package lease_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/internal/poll"
)

const term = 30 * time.Second

// newWorker settles the rows of a queue after each has been in work for so long. What it logs goes to log.
func newWorker(q *queue, takes time.Duration, log *bytes.Buffer) lease.Worker[row, string] {
	return lease.Worker[row, string]{
		Name: "test", Every: time.Second, Lease: term, Log: slog.New(slog.NewTextHandler(log, nil)),
		Claim: q.claim(term), Settle: q.settle,
		Work: func(ctx context.Context, _ row) (string, error) {
			select {
			case <-ctx.Done():
				return "", context.Cause(ctx)
			case <-time.After(takes):
				return "done", nil
			}
		},
	}
}

// run runs a worker for a while of the bubble's time and tells how long it took to stop.
func run(t *testing.T, w lease.Worker[row, string], duration time.Duration) (stopped time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	start := time.Now()
	w.Run(ctx)
	return time.Since(start) - duration
}

func wantSettled(t *testing.T, q *queue, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, q.settled); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
}

func TestRunDrainsTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log := newQueue("a", "b", "c"), bytes.Buffer{}
		run(t, newWorker(q, 100*time.Millisecond, &log), 350*time.Millisecond)
		wantSettled(t, q, "a done", "b done", "c done")
	})
}

func TestWakeEndsThePause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log, bell := newQueue(), bytes.Buffer{}, poll.Bell{}
		w := newWorker(q, 0, &log)
		w.Every, w.Wake = time.Hour, &bell
		time.AfterFunc(time.Minute, func() {
			q.set(func(q *queue) { q.due = []string{"a"} })
			bell.Ring()
		})
		run(t, w, 2*time.Minute)
		wantSettled(t, q, "a done")
	})
}

func TestPacedRowsComeOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log := newQueue("a", "b", "c"), bytes.Buffer{}
		w := newWorker(q, 0, &log)
		w.Paced, w.Every = true, 5*time.Second
		run(t, w, 9*time.Second)
		wantSettled(t, q, "a done", "b done")
	})
}

// A row that hangs holds up its own place; the others are claimed in batches.
func TestParallelRows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log := newQueue("hangs", "b", "c", "d", "e"), bytes.Buffer{}
		w := newWorker(q, time.Second, &log)
		w.Parallel, w.Batch = 4, 2
		work := w.Work
		w.Work = func(ctx context.Context, r row) (string, error) {
			if r.name == "hangs" {
				<-ctx.Done()
				return "late", nil
			}
			return work(ctx, r)
		}
		var claims []int
		claim := w.Claim
		w.Claim = func(ctx context.Context, most int) ([]row, error) {
			rows, err := claim(ctx, most)
			claims = append(claims, len(rows))
			return rows, err
		}
		run(t, w, 2500*time.Millisecond)
		if diff := cmp.Diff([]int{2, 2, 1}, claims[:3]); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}
		if len(q.settled) != 5 || q.settled[4] != "hangs late" {
			t.Errorf("settled %q, want all, the one that hung last", q.settled)
		}
	})
}

func TestHeartbeatExtendsThreeTimesALease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log := newQueue("a"), bytes.Buffer{}
		w := newWorker(q, 2*term+time.Second, &log)
		var beats []time.Duration
		start := time.Now()
		w.Extend = func(context.Context, row) error {
			beats = append(beats, time.Since(start))
			if len(beats) == 2 {
				return core.ErrUnavailable // the work goes on
			}
			return nil
		}
		run(t, w, 3*term)
		if len(beats) != 6 || beats[0] != term/3 || beats[5] != 2*term {
			t.Errorf("extended at %v, want every %s", beats, term/3)
		}
		wantSettled(t, q, "a done")
		if strings.Count(log.String(), "lease not extended") != 1 {
			t.Errorf("log:\n%s", log.String())
		}
	})
}

func TestConflictEndsTheWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log := newQueue("a"), bytes.Buffer{}
		w := newWorker(q, time.Hour, &log)
		w.Attrs = func(r row) []any { return []any{"row", r.name} }
		w.Extend = func(context.Context, row) error { return core.ErrConflict }
		w.Release = func(context.Context, row) error { t.Error("a row of another worker was released"); return nil }
		done := 0
		w.Done = func(context.Context, row) { done++ }
		start := time.Now()
		if worked, err := w.Once(t.Context()); !worked || err != nil {
			t.Errorf("worked %t, %v", worked, err)
		}
		if took := time.Since(start); took != term/3 || done != 1 {
			t.Errorf("ended after %s, done %d times, want %s and once", took, done, term/3)
		}
		wantSettled(t, q)
		if !strings.Contains(log.String(), "job dropped") || !strings.Contains(log.String(), "row=a") {
			t.Errorf("log:\n%s", log.String())
		}
	})
}

// Another worker claimed the row after its lease had expired: the result of the first one is not saved.
func TestSettleIsACompareAndSet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log := newQueue("a"), bytes.Buffer{}
		w := newWorker(q, time.Minute, &log)
		time.AfterFunc(term, func() { q.set(func(q *queue) { q.leases["a"] = time.Now().Add(term) }) })
		if _, err := w.Once(t.Context()); err != nil {
			t.Error(err)
		}
		wantSettled(t, q)
		if !strings.Contains(log.String(), "job dropped") {
			t.Errorf("log:\n%s", log.String())
		}
	})
}

func TestStoppingSettlesWhatIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log := newQueue("a"), bytes.Buffer{}
		w := newWorker(q, 0, &log)
		w.Work = func(ctx context.Context, _ row) (string, error) {
			<-ctx.Done() // it ends at the same moment
			return "done", nil
		}
		run(t, w, time.Second)
		wantSettled(t, q, "a done")
	})
}

func TestStoppingReleasesWhatIsNotDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log := newQueue("a"), bytes.Buffer{}
		w := newWorker(q, time.Hour, &log)
		var released []string
		w.Release = func(_ context.Context, r row) error {
			released = append(released, r.name)
			return nil
		}
		run(t, w, time.Second)
		wantSettled(t, q)
		if len(released) != 1 || released[0] != "a" {
			t.Errorf("released %q, want a", released)
		}
	})
}

// Without Release the lease expires, which is no failure.
func TestStoppingLeavesTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log := newQueue("a"), bytes.Buffer{}
		if stopped := run(t, newWorker(q, time.Hour, &log), time.Second); stopped != 0 {
			t.Errorf("stopped after %s", stopped)
		}
		wantSettled(t, q)
		if log.Len() > 0 {
			t.Errorf("log:\n%s", log.String())
		}
	})
}

// A database that is unavailable is waited for: until the lease ends, or as long as the lease is extended.
func TestSettleWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		extend  func(context.Context, row) error
		away    time.Duration
		settled int
	}{
		"for a while":            {nil, 10 * time.Second, 1},
		"longer than the lease":  {nil, 2 * term, 0},
		"with a lease that goes": {func(context.Context, row) error { return nil }, 10 * term, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, log := newQueue("a"), bytes.Buffer{}
				w := newWorker(q, 0, &log)
				w.Extend = test.extend
				claim := w.Claim
				w.Claim = func(ctx context.Context, most int) ([]row, error) {
					rows, err := claim(ctx, most)
					q.set(func(q *queue) { q.away = true })
					return rows, err
				}
				time.AfterFunc(test.away, func() { q.set(func(q *queue) { q.away = false }) })
				_, err := w.Once(t.Context())
				if len(q.settled) != test.settled || (err == nil) != (test.settled == 1) {
					t.Errorf("settled %q, %v, want %d", q.settled, err, test.settled)
				}
			})
		})
	}
}

// A database that stays away does not hold up the end of the process for long.
func TestStoppingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log := newQueue("a"), bytes.Buffer{}
		w := newWorker(q, 500*time.Millisecond, &log)
		w.Handover = 3 * time.Second
		w.Extend = func(context.Context, row) error { return core.ErrUnavailable }
		time.AfterFunc(100*time.Millisecond, func() { q.set(func(q *queue) { q.away = true }) })
		if stopped := run(t, w, time.Second); stopped != 3*time.Second {
			t.Errorf("stopped after %s, want 3 s", stopped)
		}
		if !strings.Contains(log.String(), "not settled") {
			t.Errorf("log:\n%s", log.String())
		}
	})
}

// Failures of claims and of settlements make the loop wait longer, and are logged once.
func TestFailuresBackOff(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*lease.Worker[row, string], error){
		"claim": func(w *lease.Worker[row, string], err error) {
			w.Claim = func(context.Context, int) ([]row, error) { return nil, err }
		},
		"settle": func(w *lease.Worker[row, string], err error) {
			w.Settle = func(context.Context, row, string) error { return err }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q, log := newQueue("a", "b", "c", "d", "e", "f", "g", "h"), bytes.Buffer{}
				w := newWorker(q, 0, &log)
				fail(&w, errors.New("broken"))
				run(t, w, 5*time.Second)
				if strings.Count(log.String(), "broken") != 1 {
					t.Errorf("log:\n%s", log.String())
				}
				if name == "settle" && len(q.due) < 4 {
					t.Errorf("%d rows left, want the loop to wait", len(q.due))
				}
			})
		})
	}
}

func TestOneByOne(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		err, want error
		rows      int
	}{
		"due":         {nil, nil, 1},
		"nothing due": {core.ErrNotFound, nil, 0},
		"failed":      {broken, broken, 0},
	} {
		claim := lease.One(func(context.Context) (row, error) { return row{}, test.err })
		if rows, err := claim(t.Context(), 5); len(rows) != test.rows || !errors.Is(err, test.want) {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
	}
}
