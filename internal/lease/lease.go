// Package lease has the one loop of all background jobs. A job is a row of the database. A worker claims it with a lease,
// works on it while no transaction is open, and settles it by compare-and-set. If the worker dies, its lease expires and
// another worker claims the row: work is done at least once.
package lease

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
)

const (
	// defaultHandover is short: a database that hangs must not hold up the end of the process.
	defaultHandover = 8 * time.Second
	settlePause     = 500 * time.Millisecond // between two attempts to settle while the database is unavailable
	gather          = 20 * time.Millisecond  // how long a claim waits for a whole batch of free places: each claim is a transaction
)

// Worker does one kind of background job. T is the claimed row, R what the work on it results in.
type Worker[T, R any] struct {
	Name  string // of the loop, for the log
	Log   *slog.Logger
	Attrs func(T) []any // attributes of a row for the log; may be nil
	Wake  *poll.Bell    // announces rows that are due; may be nil

	Every    time.Duration // longest pause between two claims
	Paced    bool          // pauses after each claim, even if more rows are due
	Parallel int           // rows in work at the same time; 1 by default
	Batch    int           // rows claimed together; 1 by default
	Lease    time.Duration // how long a claim holds
	Handover time.Duration // how long settling may go on while the process stops; 8 seconds by default

	// Claim leases up to most rows that are due; none is an empty list.
	Claim func(ctx context.Context, most int) ([]T, error)
	// Extend prolongs the lease while the work goes on; core.ErrConflict if another worker has the row, which ends the
	// work. It is nil for work that takes less time than the lease.
	Extend func(context.Context, T) error
	// Work returns the result to settle, failures included. An error means that there is none: ctx has ended, or the
	// database is unavailable.
	Work func(context.Context, T) (R, error)
	// Settle saves the result, only if the lease still holds: core.ErrConflict if another worker has the row. It is called
	// again while the database is unavailable, and also while the process stops.
	Settle func(context.Context, T, R) error
	// Release gives a row back whose work has no result. It is nil for rows that are left to the end of their lease.
	Release func(context.Context, T) error
	// Done is called last for each claimed row, whether it was settled or not; may be nil. ctx may have ended.
	Done func(context.Context, T)
}

// One is the Claim of a job whose rows are claimed one by one: claim answers core.ErrNotFound if none is due.
func One[T any](claim func(context.Context) (T, error)) func(context.Context, int) ([]T, error) {
	return func(ctx context.Context, _ int) ([]T, error) {
		row, err := claim(ctx)
		if errors.Is(err, core.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return []T{row}, nil
	}
}

// Run claims rows and works on them until ctx ends, and returns when those in work are settled or released.
func (w Worker[T, R]) Run(ctx context.Context) {
	in := w.newPlaces()
	poll.Loop{
		Name: w.Name, Every: w.Every, Wake: w.Wake, Log: w.Log,
		Once: func(ctx context.Context) (bool, error) { return w.begin(ctx, in) },
	}.Run(ctx)
	in.work.Wait()
	if err := in.failure(); err != nil {
		w.Log.Error("stopped with a job that is not settled, it will be done again", "loop", w.Name, "error", err)
	}
}

// Once claims what is due, at most one batch, and returns when it is settled. worked tells whether more may be due.
func (w Worker[T, R]) Once(ctx context.Context) (worked bool, err error) {
	in := w.newPlaces()
	worked, err = w.begin(ctx, in)
	in.work.Wait()
	return worked, errors.Join(err, in.failure())
}

func (w Worker[T, R]) newPlaces() *places { return newPlaces(max(w.Parallel, 1), max(w.Batch, 1)) }

// begin claims as many rows as there are free places for and begins to work on them; where there is one place, it waits
// for the end. Errors of work are returned, of other rows too, so that the loop waits longer: the database is not well.
func (w Worker[T, R]) begin(ctx context.Context, in *places) (worked bool, err error) {
	free := in.take(ctx)
	defer func() { in.giveBack(free) }()
	if err := in.failure(); err != nil || free == 0 {
		return false, err
	}
	rows, err := w.Claim(ctx, free)
	if err != nil {
		return false, err
	}
	full := len(rows) == free
	free -= len(rows)
	for _, row := range rows {
		in.work.Go(func() {
			defer in.giveBack(1)
			_, err := w.Do(ctx, row)
			in.fail(ctx, err)
		})
	}
	if cap(in.free) == 1 {
		in.work.Wait()
		if ctx.Err() == nil { // else Run logs it
			err = in.failure()
		}
	}
	return full && !w.Paced, err
}

// Do works on a row that is claimed already and settles it. An error means that it could not be settled.
func (w Worker[T, R]) Do(ctx context.Context, row T) (result R, err error) {
	if w.Done != nil {
		defer w.Done(ctx, row)
	}
	ends := time.Now().Add(w.Lease)
	working, release := w.keepLease(ctx, row)
	defer release()
	result, err = w.Work(working, row)
	if errors.Is(context.Cause(working), core.ErrConflict) {
		w.drop(row)
		return result, nil
	}
	save := func(ctx context.Context) error { return w.Settle(ctx, row, result) }
	if err != nil {
		if w.Release == nil {
			return result, err
		}
		save = func(ctx context.Context) error { return w.Release(ctx, row) }
	}
	settling, cancel := w.settling(ctx, ends)
	defer cancel()
	err = persist(settling, save)
	if errors.Is(err, core.ErrConflict) {
		w.drop(row)
		return result, nil
	}
	return result, err
}

func (w Worker[T, R]) drop(row T) {
	w.Log.Info("job dropped: another worker has it, or it ended meanwhile", w.attrs(row)...)
}

func (w Worker[T, R]) attrs(row T) []any {
	attributes := []any{"loop", w.Name}
	if w.Attrs != nil {
		attributes = append(attributes, w.Attrs(row)...)
	}
	return attributes
}

// keepLease extends the lease of a row until release is called. The context ends with core.ErrConflict if another worker
// has the row.
func (w Worker[T, R]) keepLease(ctx context.Context, row T) (working context.Context, release func()) {
	if w.Extend == nil {
		return ctx, func() {}
	}
	working, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.heartbeat(working, cancel, row)
	}()
	return working, func() {
		cancel(nil)
		<-ended
	}
}

func (w Worker[T, R]) heartbeat(ctx context.Context, cancel context.CancelCauseFunc, row T) {
	ticker := time.NewTicker(w.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := w.Extend(ctx, row)
		switch {
		case errors.Is(err, core.ErrConflict):
			cancel(err)
			return
		case err != nil && ctx.Err() == nil:
			// The work goes on: the database may be back before the lease expires, and if not, it refuses the result.
			w.Log.Warn("lease not extended", append(w.attrs(row), "error", err)...)
		}
	}
}

// settling returns the context in which a row is settled. It outlives ctx for a while, so that a process that stops does
// not leave its rows to the end of their leases. Where the lease is not extended, it ends with it.
func (w Worker[T, R]) settling(ctx context.Context, leaseEnds time.Time) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(cmp.Or(w.Handover, defaultHandover), cancel) })
	end := func() { stop(); cancel() }
	if w.Extend != nil {
		return longer, end
	}
	if least := time.Now().Add(w.Lease / 3); leaseEnds.Before(least) {
		leaseEnds = least
	}
	bounded, release := context.WithDeadline(longer, leaseEnds)
	return bounded, func() { release(); end() }
}

// persist repeats a step while the database is unavailable: work whose result is not saved is done again.
func persist(ctx context.Context, step func(context.Context) error) error {
	for {
		err := step(ctx)
		if !errors.Is(err, core.ErrUnavailable) || !poll.Sleep(ctx, settlePause) {
			return err
		}
	}
}

// places bounds how many rows a worker has in work: one that hangs holds up its own place and not the others.
type places struct {
	free  chan struct{} // one for each
	batch int           // taken together
	work  sync.WaitGroup

	mu       sync.Mutex
	failures []error // of work that ended
}

func newPlaces(parallel, batch int) *places {
	p := &places{free: make(chan struct{}, parallel), batch: min(batch, parallel)}
	p.giveBack(parallel)
	return p
}

// take waits for a place, and a moment for more; 0 if ctx has ended.
func (p *places) take(ctx context.Context) (taken int) {
	select {
	case <-p.free:
	case <-ctx.Done():
		return 0
	}
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for taken = 1; taken < p.batch; taken++ {
		if p.takeFree() {
			continue
		}
		select {
		case <-p.free:
		case <-timer.C:
			return taken
		case <-ctx.Done():
			return taken
		}
	}
	return taken
}

// takeFree takes a place that is free already, even if the timer has run out.
func (p *places) takeFree() bool {
	select {
	case <-p.free:
		return true
	default:
		return false
	}
}

func (p *places) giveBack(taken int) {
	for range taken {
		p.free <- struct{}{}
	}
}

// fail keeps an error for the loop. Work that the end of ctx interrupted has not failed.
func (p *places) fail(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = append(p.failures, err)
}

// failure returns the errors since it was called last.
func (p *places) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := errors.Join(p.failures...)
	p.failures = nil
	return err
}
