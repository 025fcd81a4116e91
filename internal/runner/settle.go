package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/store"
)

const (
	settleTime  = 20 * time.Second // for a stopping process to hand over what it has
	settlePause = 500 * time.Millisecond
	stepTime    = 2 * time.Minute // for the store to take the largest report
)

// settle hands the report over, or lets the job be tried again when its failure may pass. It tells whether the store
// has the report now.
func (r *Runner) settle(
	ctx context.Context, job core.Job, scan core.Scan, report core.Report, again *passing,
) (settled bool, err error) {
	log := r.Log.With(about(job, scan)...)
	if again != nil {
		err := r.retry(ctx, job, scan, again)
		if err == nil {
			return false, nil
		}
		if !errors.Is(err, core.ErrConflict) {
			return false, fmt.Errorf("retrying job %d: %w", job.ID, err)
		}
	}
	err = r.insist(ctx, func(ctx context.Context) error { return r.Jobs.FinishJob(ctx, job, report) })
	switch {
	case errors.Is(err, core.ErrConflict):
		log.Info("report dropped: the job was handed on or ended meanwhile")
		return false, nil
	case err != nil && !errors.Is(err, core.ErrUnavailable):
		return false, errors.Join(fmt.Errorf("settling job %d: %w", job.ID, err), r.finishWithout(ctx, job))
	case err != nil:
		return false, fmt.Errorf("settling job %d: %w", job.ID, err)
	case report.Failure != "":
		log.Warn("job failed", keyError, report.Failure)
	default:
		log.Info("job done", keyFindings, len(report.Findings))
	}
	return true, nil
}

// retry gives the job back, to be tried again. Each fault of the machine is in the log once, not for each job.
func (r *Runner) retry(ctx context.Context, job core.Job, scan core.Scan, again *passing) error {
	retry := store.Retry{Pause: poll.Backoff(retryPause, job.Failures, longestRetryPause), Reason: again.Error()}
	if again.away {
		retry.Pause = poll.Backoff(retryPause, job.Attempt-1, longestRetryPause)
		retry.Until = r.Jobs.DeadlineOf(scan)
	}
	level := slog.LevelWarn
	if errors.As(again.error, new(machineFault)) {
		level = slog.LevelDebug
		if r.blame(ctx, again.error) {
			retry.Pause = probeEvery // by then it goes on here or elsewhere, or is not claimed
		}
	}
	err := r.insist(ctx, func(ctx context.Context) error { return r.Jobs.RetryJob(ctx, job, retry) })
	if err == nil {
		r.Log.With(about(job, scan)...).Log(ctx, level, "job failed, it will be tried again", keyError, retry.Reason)
	}
	return err
}

// giveBack returns a job that a stopping process could not end.
func (r *Runner) giveBack(ctx context.Context, job core.Job, scan core.Scan) error {
	err := r.insist(ctx, func(ctx context.Context) error { return r.Jobs.ReturnJob(ctx, job) })
	if err != nil && !errors.Is(err, core.ErrConflict) {
		return fmt.Errorf("giving job %d back: %w", job.ID, err)
	}
	r.Log.Info("job given back", about(job, scan)...)
	return nil
}

// finishWithout ends a job whose report the store cannot take: the same scan would only make the same report again.
func (r *Runner) finishWithout(ctx context.Context, job core.Job) error {
	report := core.Report{Failure: "its report could not be stored: see the log, and please report it"}
	return r.insist(ctx, func(ctx context.Context) error { return r.Jobs.FinishJob(ctx, job, report) })
}

// outlive returns a context that ends some time after ctx: a stopping process leaves nothing behind for a lease to run
// out, and one that goes on keeps a report for as long as the database is away.
func outlive(ctx context.Context, more time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(more, cancel) })
	return longer, func() { stop(); cancel() }
}

// insist repeats a step while the database is away: a report that is not taken means that the work is done again.
func (r *Runner) insist(ctx context.Context, step func(context.Context) error) error {
	for {
		err := r.within(ctx, stepTime, step)
		if !errors.Is(err, core.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(settlePause):
		}
	}
}

// within bounds a step: what takes longer stands still, behind a lock or on the way.
func (r *Runner) within(ctx context.Context, limit time.Duration, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return r.observe(ctx, step)
}

// observe takes a step on the database, and learns from how it ends.
func (r *Runner) observe(ctx context.Context, step func(context.Context) error) error {
	began := time.Now()
	err := step(ctx)
	r.sight.note(began, err)
	return err
}
