package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/scanhook/scanhook/core"
)

// crashed is the failure of a job that panicked; the log has the rest.
const crashed = "the scan crashed inside Scanhook: see the log, and please report it"

// passing is a failure that may be gone at the next try: the network, or a fresh commit that has not reached every
// replica of the platform.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }

// examine does the work of one job. Whatever goes wrong is the report's Failure, a panic in a scanner's library too;
// again tells that another try may succeed.
func (r *Runner) examine(ctx context.Context, job core.Job, scan core.Scan) (report core.Report, again bool) {
	defer func() {
		if cause := recover(); cause != nil {
			r.Log.Error("scan panicked", keyScanner, job.Scanner, keyError, cause, "stack", string(debug.Stack()))
			report, again = core.Report{Failure: crashed}, false
		}
	}()
	report, err := r.scanCommit(ctx, job, scan)
	if err != nil {
		report.Failure = err.Error()
	}
	return report, errors.As(err, new(passing))
}

// scanCommit returns the findings that it has even where it returns an error.
func (r *Runner) scanCommit(ctx context.Context, job core.Job, scan core.Scan) (core.Report, error) {
	scanner, configured := r.Scanners[job.Scanner]
	if !configured {
		return core.Report{}, fmt.Errorf("no scanner called %q is configured: add it to scanners", job.Scanner)
	}
	space, err := newWorkspace(r.TempDir, r.MaxDisk)
	if err != nil {
		return core.Report{}, err
	}
	defer func() {
		if err := space.remove(); err != nil {
			r.Log.Error("workspace not removed, remove it by hand", "dir", space.root, keyError, err)
		}
	}()
	if err := r.checkOut(ctx, space, scan); err != nil {
		return core.Report{}, err
	}
	return r.runScanner(ctx, job.Scanner, scanner, space)
}

func (r *Runner) checkOut(ctx context.Context, space workspace, scan core.Scan) error {
	platform, configured := r.Platforms[scan.SourcePlatform]
	if !configured {
		return fmt.Errorf("no platform called %q is configured: add it to platforms", scan.SourcePlatform)
	}
	remote, err := platform.Remote(ctx, scan.ProjectName)
	if err != nil {
		return passing{fmt.Errorf("asking platforms.%s how to fetch %s: %w", scan.SourcePlatform, scan.ProjectName, err)}
	}
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
