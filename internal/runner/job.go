package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/platforms"
)

// crashed is the failure of a job that panicked; the log has the rest.
const crashed = "the scan crashed inside Scanhook: see the log, and please report it"

// passing is a failure that may be gone at the next try: a fresh commit that has not reached every replica of the
// platform or, away then, a platform that is out of reach.
type passing struct {
	error
	away bool
}

func (p passing) Unwrap() error { return p.error }

// examine does the work of one job. Whatever goes wrong is the report's Failure, a panic in a scanner's library too;
// again says so where another try may succeed.
func (r *Runner) examine(
	ctx context.Context, job core.Job, scan core.Scan, space *workspace,
) (report core.Report, again *passing) {
	defer func() {
		if cause := recover(); cause != nil {
			r.Log.Error("scan panicked", keyScanner, job.Scanner, keyError, cause, "stack", string(debug.Stack()))
			report, again = core.Report{Failure: crashed}, nil
		}
	}()
	report, err := r.scanCommit(ctx, job, scan, space)
	if err != nil {
		if fault := faultOf(err, r.TempDir); fault != nil {
			err = passing{fault, true}
		}
		report.Failure = err.Error()
	}
	reports.Redact(&report) // the one place behind git, scanners and the checkout
	if may := new(passing); errors.As(err, may) {
		again = may
	}
	return report, again
}

// scanCommit returns the findings that it has even where it returns an error. It makes the workspace, which the caller
// clears away.
func (r *Runner) scanCommit(ctx context.Context, job core.Job, scan core.Scan, made *workspace) (core.Report, error) {
	scanner, configured := r.Scanners[job.Scanner]
	if !configured {
		return core.Report{}, fmt.Errorf("no scanner called %q is configured: add it to scanners", job.Scanner)
	}
	space, err := newWorkspace(r.TempDir, r.MaxDisk)
	if err != nil {
		return core.Report{}, err
	}
	space.maxPaths = r.MaxPaths
	*made = space
	remote, err := r.remoteOf(ctx, scan)
	if err != nil {
		return core.Report{}, err
	}
	if err := checkOut(ctx, space, remote, scan); err != nil {
		return core.Report{}, err
	}
	report, err := r.runScanner(ctx, job.Scanner, scanner, space)
	lookAround(report.Findings, space.source)
	report.Changes = r.changesSince(ctx, space, remote, job, scan)
	return report, err
}

func (r *Runner) remoteOf(ctx context.Context, scan core.Scan) (platforms.Remote, error) {
	platform, configured := r.Platforms[scan.SourcePlatform]
	if !configured {
		return platforms.Remote{}, fmt.Errorf("no platform called %q is configured: add it to platforms", scan.SourcePlatform)
	}
	remote, err := platform.Remote(ctx, scan.ProjectName)
	if err != nil {
		return platforms.Remote{}, passing{fmt.Errorf("asking platforms.%s how to fetch %s: %w",
			scan.SourcePlatform, scan.ProjectName, err), false}
	}
	return remote, nil
}

func checkOut(ctx context.Context, space workspace, remote platforms.Remote, scan core.Scan) error {
	ctx, cancel := space.bound(ctx, fetchTimeout, fmt.Errorf("the commit could not be fetched within %s: "+
		"the platform is too slow or the repository too large", fetchTimeout))
	defer cancel(nil)
	return fetchCommit(ctx, space, remote, scan.CommitSHA)
}

func (r *Runner) runScanner(ctx context.Context, name string, scanner Scanner, space workspace) (core.Report, error) {
	timeout := cmp.Or(scanner.Timeout, defaultTimeout)
	ctx, cancel := space.bound(ctx, timeout, fmt.Errorf("%s did not end within %s and was stopped: "+
		"raise scanners.%s.timeout or let it look at less", name, timeout, name))
	defer cancel(nil)
	switch {
	case len(scanner.Command) > 0:
		report, err := runCommand(ctx, cancel, name, scanner.Command, space)
		tidy(&report, space.source)
		return report, err
	case scanner.Builtin == builtinGitleaks:
		return findSecrets(ctx, space.source)
	}
	return core.Report{}, fmt.Errorf("scanners.%s has neither a command nor a known builtin: the one there is is %s",
		name, builtinGitleaks)
}
