package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
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

// shortestAsk is what a question may take however short leases are, in tests.
const shortestAsk = 5 * time.Second

// once claims one job for a worker, which has no other one, works on it while its lease holds, and settles it.
func (r *Runner) once(ctx context.Context, worker string) (worked bool, err error) {
	if !r.canWork(ctx) {
		return false, nil
	}
	job, scan, err := r.claim(ctx, worker)
	switch {
	case errors.Is(err, core.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("claiming a job: %w", err)
	}
	working, release := r.keepLease(ctx, job)
	defer release()
	var space workspace
	defer func() { r.clearAway(space) }()
	report, again := r.examine(working, job, scan, &space)
	interrupted := context.Cause(working)
	if errors.Is(interrupted, core.ErrConflict) {
		r.Log.Info("job dropped: it was handed on or ended meanwhile", about(job, scan)...)
		return true, nil
	}
	settling, cancel := outlive(ctx, settleTime)
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

func (r *Runner) claim(ctx context.Context, worker string) (job core.Job, scan core.Scan, err error) {
	by := store.Claimant{Worker: worker, Scanners: r.claimable, Lease: r.Lease, Blind: r.sight.blind()}
	err = r.briefly(ctx, func(ctx context.Context) (err error) {
		job, scan, err = r.Jobs.ClaimJob(ctx, by)
		return err
	})
	return job, scan, err
}

// briefly bounds a short question to the database: one that stands still is away, and counts as such before a lease can
// run out. An embedded one does not stand still; who asks waits behind large reports.
func (r *Runner) briefly(ctx context.Context, question func(context.Context) error) error {
	if !r.Jobs.Shared() {
		return r.observe(ctx, question)
	}
	return r.within(ctx, max(r.Lease/3, shortestAsk), question)
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
		err := r.briefly(ctx, func(ctx context.Context) error { return r.Jobs.ExtendLease(ctx, job, r.Lease) })
		switch {
		case errors.Is(err, core.ErrConflict):
			cancel(err)
			return
		case err != nil && ctx.Err() == nil:
			// The work goes on: the store may be back before the lease is over, and if not, it refuses the report.
			r.Log.Warn("lease not extended", keyJob, job.ID, keyError, err)
		}
	}
}

func about(job core.Job, scan core.Scan) []any {
	return []any{keyScan, scan.ReferenceID, keyScanner, job.Scanner, keyProject, scan.ProjectName, keySHA, scan.CommitSHA}
}
