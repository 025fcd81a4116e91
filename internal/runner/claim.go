package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scanhook/scanhook/core"
)

// Keys of the log.
const (
	keyError    = "error"
	keyFindings = "findings"
	keyJob      = "job"
	keyProject  = "project"
	keyScan     = "scan"
	keyScanner  = "scanner"
	keySHA      = "commit"
)

const (
	// settleTime is how long the store has to take a job back or its report, also while the process is stopping. The lease
	// outlasts it.
	settleTime  = 20 * time.Second
	settlePause = 500 * time.Millisecond
)

// once claims one job, works on it while its lease holds, and settles it.
func (r *Runner) once(ctx context.Context) (worked bool, err error) {
	job, scan, err := r.Jobs.ClaimJob(ctx, r.claimable, r.Worker, r.Lease)
	switch {
	case errors.Is(err, core.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("claiming a job: %w", err)
	}
	working, release := r.keepLease(ctx, job)
	var space workspace
	defer func() { r.clearAway(space) }()
	report, again := r.examine(working, job, scan, &space)
	interrupted := context.Cause(working)
	release()
	if errors.Is(interrupted, core.ErrConflict) {
		r.Log.Info("job dropped: it was handed on or ended meanwhile", about(job, scan)...)
		return true, nil
	}
	// Settling outlives ctx, so that a stopping process leaves nothing behind for a lease to run out.
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if interrupted != nil {
		return true, r.giveBack(settling, job, scan)
	}
	settled, err := r.settle(settling, job, scan, report, again)
	if settled {
		r.showCode(ctx, job, scan, report.Findings, space)
		r.askLater(settling, job, scan, report, space)
	}
	return true, err
}

// clearAway removes a job's workspace, if it came to have one.
func (r *Runner) clearAway(space workspace) {
	if space.root == "" {
		return
	}
	if err := space.remove(); err != nil {
		r.Log.Error("workspace not removed, remove it by hand", "dir", space.root, keyError, err)
	}
}

// keepLease extends the job's lease until release is called. The context ends with core.ErrConflict when the job was
// handed on.
func (r *Runner) keepLease(ctx context.Context, job core.Job) (working context.Context, release func()) {
	working, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.beat(working, cancel, job)
	}()
	return working, func() {
		cancel(nil)
		<-ended
	}
}

func (r *Runner) beat(ctx context.Context, cancel context.CancelCauseFunc, job core.Job) {
	ticker := time.NewTicker(r.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch err := r.Jobs.ExtendLease(ctx, job, r.Lease); {
		case errors.Is(err, core.ErrConflict):
			cancel(err)
			return
		case err != nil && ctx.Err() == nil:
			// The work goes on: the store may be back before the lease is over, and if not, it refuses the report.
			r.Log.Warn("lease not extended", keyJob, job.ID, keyError, err)
		}
	}
}

// settle hands the report over, or lets the job be tried again when its failure may pass. It tells whether the store
// has the report now.
func (r *Runner) settle(
	ctx context.Context, job core.Job, scan core.Scan, report core.Report, again bool,
) (settled bool, err error) {
	log := r.Log.With(about(job, scan)...)
	if again {
		err := insist(ctx, func() error { return r.Jobs.RetryJob(ctx, job, time.Duration(job.Attempt)*retryPause) })
		if err == nil {
			log.Warn("job failed, it will be tried again", keyError, report.Failure)
			return false, nil
		}
		if !errors.Is(err, core.ErrConflict) {
			return false, fmt.Errorf("retrying job %d: %w", job.ID, err)
		}
	}
	switch err := insist(ctx, func() error { return r.Jobs.FinishJob(ctx, job, report) }); {
	case errors.Is(err, core.ErrConflict):
		log.Info("report dropped: the job was handed on or ended meanwhile")
		return false, nil
	case err != nil:
		return false, fmt.Errorf("settling job %d: %w", job.ID, err)
	case report.Failure != "":
		log.Warn("job failed", keyError, report.Failure)
	default:
		log.Info("job done", keyFindings, len(report.Findings))
	}
	return true, nil
}

// giveBack returns a job that a stopping process could not end.
func (r *Runner) giveBack(ctx context.Context, job core.Job, scan core.Scan) error {
	err := insist(ctx, func() error { return r.Jobs.ReturnJob(ctx, job) })
	if err != nil && !errors.Is(err, core.ErrConflict) {
		return fmt.Errorf("giving job %d back: %w", job.ID, err)
	}
	r.Log.Info("job given back", about(job, scan)...)
	return nil
}

// insist repeats a step while the database is away: a report that is not taken means that the work is done again.
func insist(ctx context.Context, step func() error) error {
	for {
		err := step()
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

func about(job core.Job, scan core.Scan) []any {
	return []any{keyScan, scan.ReferenceID, keyScanner, job.Scanner, keyProject, scan.ProjectName, keySHA, scan.CommitSHA}
}
