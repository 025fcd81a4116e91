// Package runner claims jobs, brings the project's mirror up to date, searches git's objects or runs a command over the files of
// the commit, and hands the report to the store.
//
// Everything that it touches is a stranger's: the repository, what the git server answers, what a scanner prints. So each job
// has a workspace of its own, bounded in time and disk, which is always removed; git and the scanners see nothing of our
// environment; and what went wrong becomes the failure of the job, a sentence for people.
package runner

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/secrets"
	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/internal/metrics"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/evidence"
	"github.com/scanhook/scanhook/internal/runner/git"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/internal/trace"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

// Keys of the log.
const (
	keyError    = "error"
	keyFindings = "findings"
)

const (
	defaultWorkers = 2
	defaultLease   = 30 * time.Second
	defaultDisk    = 2 << 30
)

const (
	claimEvery   = 2 * time.Second
	sweepEvery   = 10 * time.Second
	explainAfter = 30 * time.Second // until then another replica may have begun

	fetchTimeout = 10 * time.Minute

	retryPause        = 15 * time.Second // after the first failure, then twice as long each time
	longestRetryPause = 2 * time.Minute
	basePause         = 2 * time.Second // of a job that waits for another one

	handover    = 20 * time.Second // for a stopping process to settle or give back what it has
	stepTimeout = 2 * time.Minute  // for the store to take the largest report
	minTimeout  = 5 * time.Second  // of a short step, however short leases are, in tests
)

// crashed is the failure of a job that panicked; the log has the rest.
const crashed = "the scan crashed inside Scanhook: see the log, and please report it"

// Config is what a Runner needs; the zero value of every optional field is its default.
type Config struct {
	Jobs       *store.Store
	Platforms  platforms.Set
	Scanners   map[string]Scanner // by their key in the configuration, without those that upload their reports
	Workers    int                // jobs at a time, 2 by default
	PerProject int                // of them, those of one project, in all processes; 0 for any number
	Lease      time.Duration      // a job whose lease is not extended for so long goes to another worker; 30 seconds by default
	Policies   core.Policies      // how many commits of a push are searched
	Mirrors    *mirror.Cache      // of the projects' repositories; by default in the user's caches
	TempDir    string             // where workspaces are made; the system's by default
	MaxDisk    int64              // bytes that one job may occupy, the files of the commit included; 2 GiB by default
	Meter      *metrics.Meter     // counts jobs; nil counts none
	Trace      *trace.Tracer      // of jobs; nil for none
	Hidden     []string           // files and directories that no command may see, whatever it is granted; see cage.Hidden
	AI         *AI                // reviews new findings; none by default
	Worker     string             // names this process in the jobs it holds; by default one that no other process has
	Log        *slog.Logger       // silent by default
}

// Runner runs jobs.
type Runner struct {
	Config
	claimable []string
	reviews   chan reviewTask // wait for the AI
	database  *lease.Availability
	host      *host
	key       secrets.Key // by which secrets are masked and told apart
	claiming  sync.Mutex  // guards turn: one worker claims at a time
	turn      int64       // the project that had it last
}

// New makes a Runner; it does nothing until Run.
func New(cfg Config) *Runner {
	cfg.Workers = cmp.Or(cfg.Workers, defaultWorkers)
	cfg.Lease = cmp.Or(cfg.Lease, defaultLease)
	cfg.TempDir = cmp.Or(cfg.TempDir, os.TempDir())
	cfg.MaxDisk = cmp.Or(cfg.MaxDisk, defaultDisk)
	cfg.Mirrors = cmp.Or(cfg.Mirrors, mirror.New(mirror.Config{}))
	if cfg.Worker == "" {
		cfg.Worker = processName()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner{
		Config: cfg, claimable: slices.Sorted(maps.Keys(cfg.Scanners)), reviews: make(chan reviewTask, maxWaiting),
		database: lease.NewAvailability(cfg.Lease, cfg.Jobs.Shared()), host: &host{log: cfg.Log, mirrors: cfg.Mirrors},
		key: cfg.Jobs.SecretKey(),
	}
}

// Run works on jobs until ctx ends. Jobs in flight are then given back, to be run elsewhere or after the restart.
func (r *Runner) Run(ctx context.Context) {
	if len(r.claimable) > 0 {
		r.host.Probe(ctx, r.TempDir)
	}
	var loops sync.WaitGroup
	for n := range r.Workers {
		loops.Go(func() { r.jobs(fmt.Sprintf("%s/%d", r.Worker, n+1)).Run(ctx) })
	}
	if r.AI != nil {
		for range r.Workers {
			loops.Go(func() { r.reviewAll(ctx) })
		}
	}
	sweep := poll.Loop{Name: "sweep", Every: sweepEvery, Once: r.sweep, Log: r.Log}
	loops.Go(func() { sweep.Run(ctx) })
	loops.Wait()
}

// Fault is why no job starts on this host; nil while jobs do.
func (r *Runner) Fault() error { return r.host.Fault() }

// processName is different for each process, also on one host and in containers of one name.
func processName() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:8])
}

// task is a claimed job.
type task struct {
	job   core.Job
	scan  core.Scan
	space sandbox.Workspace // zero before it is made
	saved *core.Report      // nil before the store has it
	began time.Time         // that it works

	searched *search // what was searched, for later scans; nil before, and of commands that always look at everything
}

func (t *task) attrs() []any {
	return []any{
		"job", t.job.ID, "scan", t.scan.ReferenceID, "scanner", t.job.Scanner,
		"project", t.scan.ProjectName, "commit", t.scan.CommitSHA,
	}
}

// outcome is what a job comes to.
type outcome struct {
	report core.Report
	retry  *store.Retry // instead of the report, as long as there are tries left; nil if another try cannot help
	level  slog.Level   // at which the retry is logged
}

// jobs is a worker that has one job at a time.
func (r *Runner) jobs(worker string) lease.Worker[*task, outcome] {
	return lease.Worker[*task, outcome]{
		Name: "runner", Log: r.Log, Attrs: (*task).attrs, Wake: r.Jobs.Changed(),
		Every: claimEvery, Lease: r.Lease, Handover: handover,
		Claim:  lease.One(func(ctx context.Context) (*task, error) { return r.claim(ctx, worker) }),
		Extend: r.extend, Work: r.work, Settle: r.settle, Release: r.giveBack, Done: r.done,
	}
}

// claim returns core.ErrNotFound if there is no job, or this host cannot run any.
func (r *Runner) claim(ctx context.Context, worker string) (*task, error) {
	if !r.host.CanWork(ctx, r.TempDir) {
		return nil, core.ErrNotFound
	}
	r.claiming.Lock()
	defer r.claiming.Unlock()
	by := store.Claimant{
		Worker: worker, Scanners: r.claimable, Lease: r.Lease, InGrace: r.database.InGrace(), After: r.turn, PerProject: r.PerProject,
	}
	t := new(task)
	err := r.shortStep(ctx, func(ctx context.Context) (err error) {
		t.job, t.scan, err = r.Jobs.ClaimJob(ctx, by)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claiming a job: %w", err)
	}
	r.turn = t.scan.ProjectID
	return t, nil
}

func (r *Runner) extend(ctx context.Context, t *task) error {
	return r.shortStep(ctx, func(ctx context.Context) error { return r.Jobs.ExtendLease(ctx, t.job, r.Lease) })
}

// shortStep is a step that is over at once unless the database hangs, which counts as an outage before a lease can expire.
// An embedded database does not hang: a step that takes long waits behind large reports.
func (r *Runner) shortStep(ctx context.Context, step func(context.Context) error) error {
	if !r.Jobs.Shared() {
		return r.database.Observe(ctx, step)
	}
	return r.database.Within(ctx, max(r.Lease/3, minTimeout), step)
}

func (r *Runner) step(ctx context.Context, step func(context.Context) error) error {
	return r.database.Within(ctx, stepTimeout, step)
}

// work scans the commit. An interrupted job has no outcome: its report may be about the interruption.
func (r *Runner) work(ctx context.Context, t *task) (outcome, error) {
	t.began = time.Now()
	report, again := r.examine(ctx, t)
	if ctx.Err() != nil {
		return outcome{}, context.Cause(ctx)
	}
	return r.decide(ctx, t, report, again), nil
}

// retryable is a failure that may be gone at the next try.
type retryable struct {
	error
	untilDeadline bool // tries are made as long as the scan has time: this host or the platform will recover
}

func (f retryable) Unwrap() error { return f.error }

// errBaseFirst makes a job wait for another one.
var errBaseFirst = errors.New("the commit where the branch left the default branch is scanned first")

// examine makes the report of a job. Whatever goes wrong is the report's Failure, including a panic in a scanner's library;
// again is not nil if another try may succeed.
func (r *Runner) examine(ctx context.Context, t *task) (report core.Report, again *retryable) {
	defer func() {
		if cause := recover(); cause != nil {
			r.Log.Error("scan panicked", "scanner", t.job.Scanner, keyError, cause, "stack", string(debug.Stack()))
			report, again = core.Report{Failure: crashed}, nil
		}
	}()
	report, err := r.scanCommit(ctx, t)
	if err != nil {
		if fault := (sandbox.Place{Dir: r.TempDir}).FaultOf(err); fault != nil {
			err = retryable{fault, true}
		} else if errors.As(err, new(mirror.Damaged)) {
			err = retryable{err, true}
		} else if fetch := new(git.FetchError); errors.As(err, fetch) {
			err = retryable{err, fetch.Unreachable}
		}
		report.Failure = err.Error()
	}
	reports.Redact(&report, r.key) // once, after git, the scanner and the files have added to it
	if may := new(retryable); errors.As(err, may) {
		again = may
	}
	return report, again
}

// scanCommit returns findings even if it returns an error. It makes the workspace of the task.
func (r *Runner) scanCommit(ctx context.Context, t *task) (core.Report, error) {
	scanner, configured := r.Scanners[t.job.Scanner]
	if !configured {
		return core.Report{}, fmt.Errorf("no scanner called %q is configured: add it to scanners", t.job.Scanner)
	}
	if left := r.notOnForks(t, scanner); left != nil {
		return core.Report{Coverage: left}, nil
	}
	space, err := sandbox.New(r.TempDir, r.MaxDisk)
	if err != nil {
		return core.Report{}, err
	}
	t.space = space
	remote, err := r.remoteOf(ctx, t.scan)
	if err != nil {
		return core.Report{}, err
	}
	switch {
	case len(scanner.Command) > 0:
		return r.runOverFiles(ctx, t, scanner, remote)
	case scanner.Builtin == gitleaks.Name:
		return r.searchObjects(ctx, t, scanner, remote)
	}
	return core.Report{}, fmt.Errorf("scanners.%s has neither a command nor a known builtin: the one there is is %s",
		t.job.Scanner, gitleaks.Name)
}

// notOnForks is what a command leaves out that does not run on code from forks: all; nil for others. Such a job is there only where the
// configuration has changed since.
func (r *Runner) notOnForks(t *task, scanner Scanner) *core.Coverage {
	policy, _ := r.Policies.For(t.scan.SourcePlatform, t.scan.ProjectName)
	if !t.scan.Fork || len(scanner.Command) == 0 || policy.Forks == core.ForksAll {
		return nil
	}
	return core.ForeignJob(t.scan, t.job.Scanner).Coverage()
}

func (r *Runner) remoteOf(ctx context.Context, scan core.Scan) (platforms.Remote, error) {
	platform, configured := r.Platforms[scan.SourcePlatform]
	if !configured {
		return platforms.Remote{}, fmt.Errorf("no platform called %q is configured: add it to platforms", scan.SourcePlatform)
	}
	remote, err := platform.Remote(ctx, scan.ProjectName)
	if err != nil {
		return platforms.Remote{}, retryable{fmt.Errorf("asking platforms.%s how to fetch %s: %w",
			scan.SourcePlatform, scan.ProjectName, err), false}
	}
	return remote, nil
}

// anyFile is for changesIn where it is not known which files matter.
func anyFile(string) bool { return true }

// changesIn compares the commit of a task with its baseline.
func (r *Runner) changesIn(
	ctx context.Context, m *mirror.Mirror, t *task, base string, matters func(path string) bool,
) (*core.Changes, error) {
	return evidence.ChangesIn(ctx, m, r.Log.With(t.attrs()...), base, t.scan.CommitSHA, matters)
}

// withMergeBase is the scan of a task with the commit where its branch left the default branch, if anybody knows it. A job waits
// where the platform may know it in a moment, and until that commit is scanned.
func (r *Runner) withMergeBase(ctx context.Context, t *task) (core.Scan, error) {
	scan, err := r.Platforms.FindMergeBase(ctx, t.scan, r.Jobs.RecordMergeBase)
	switch {
	case platforms.Passing(err) && r.Jobs.MayWait(scan):
		return scan, retryable{fmt.Errorf("it is not known what the branch is to be compared with: %w", err), true}
	case err != nil:
		r.Log.Info("merge base not known, compared with the default branch", append(t.attrs(), keyError, err)...)
	}
	return scan, r.awaitBase(ctx, t, scan)
}

// awaitBase makes a job wait until the commit where its branch left the default branch is scanned. Without an answer of the database
// the job goes on: its findings are compared again when that commit's come.
func (r *Runner) awaitBase(ctx context.Context, t *task, scan core.Scan) error {
	waits := false
	err := r.step(ctx, func(ctx context.Context) (err error) {
		waits, err = r.Jobs.WaitsForBase(ctx, scan, t.job)
		return err
	})
	if err != nil {
		r.Log.Warn("merge base not scanned first", append(t.attrs(), keyError, err)...)
	}
	if waits {
		return retryable{errBaseFirst, true}
	}
	return nil
}

// baselineOf is the commit that the findings of a job will be compared with, or empty, and the scan with its merge base.
func (r *Runner) baselineOf(ctx context.Context, t *task) (scan core.Scan, base string, err error) {
	if scan, err = r.withMergeBase(ctx, t); err != nil {
		return scan, "", err
	}
	base, err = r.Jobs.GetBaseline(ctx, scan, t.job)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		r.Log.Warn("baseline not known", append(t.attrs(), keyError, err)...)
	}
	return scan, base, nil
}

// decide turns a failure that may pass into a retry. Faults of the host are logged once, not for each job.
func (r *Runner) decide(ctx context.Context, t *task, report core.Report, again *retryable) outcome {
	if again == nil {
		return outcome{report: report}
	}
	retry := &store.Retry{Pause: poll.Backoff(retryPause, t.job.Failures, longestRetryPause), Reason: again.Error()}
	if again.untilDeadline {
		retry.Pause = poll.Backoff(retryPause, t.job.Attempt-1, longestRetryPause)
		retry.Until = r.Jobs.DeadlineOf(t.scan)
	}
	level := slog.LevelWarn
	if errors.Is(again.error, errBaseFirst) {
		retry.Pause, level = basePause, slog.LevelDebug
	}
	if errors.As(again.error, new(sandbox.HostFault)) {
		level = slog.LevelDebug
		if r.host.AllFail(ctx, r.TempDir, again.error) {
			retry.Pause = probeEvery // then it runs here or on another host, or is not claimed
		}
	}
	return outcome{report, retry, level}
}

// settle gives the job back for another try, or else hands its report over.
func (r *Runner) settle(ctx context.Context, t *task, end outcome) error {
	if end.retry != nil {
		err := r.step(ctx, func(ctx context.Context) error { return r.Jobs.RetryJob(ctx, t.job, *end.retry) })
		if err == nil {
			r.ended(t, metrics.JobRetried, end.retry.Reason)
			r.Log.Log(ctx, end.level, "job failed, it will be tried again", append(t.attrs(), keyError, end.retry.Reason)...)
			return nil
		}
		if !errors.Is(err, core.ErrConflict) {
			return fmt.Errorf("retrying job %d: %w", t.job.ID, err)
		}
		// There is no try left, or another worker has the job, which the next step finds out.
	}
	return r.finish(ctx, t, end.report)
}

// finish hands the report over. A report that the store can never take fails the job: another scan would make the same one.
func (r *Runner) finish(ctx context.Context, t *task, report core.Report) error {
	job := t.job
	if t.searched != nil && t.searched.baseline.ScanID > 0 { // what it was searched against, though there may be a nearer one now
		job.BaselineScanID = &t.searched.baseline.ScanID
	}
	err := r.step(ctx, func(ctx context.Context) error { return r.Jobs.FinishJob(ctx, job, report) })
	if err != nil {
		err = fmt.Errorf("settling job %d: %w", t.job.ID, err)
	}
	switch {
	case errors.Is(err, core.ErrConflict), errors.Is(err, core.ErrUnavailable):
		return err
	case err != nil:
		failed := core.Report{Failure: "its report could not be stored: see the log, and please report it"}
		return errors.Join(err, r.step(ctx, func(ctx context.Context) error { return r.Jobs.FinishJob(ctx, t.job, failed) }))
	case report.Failure != "":
		r.ended(t, metrics.JobFailed, report.Failure)
		r.Log.Warn("job failed", append(t.attrs(), keyError, report.Failure)...)
	default:
		r.ended(t, metrics.JobDone, "")
		r.Log.Info("job done", append(t.attrs(), keyFindings, len(report.Findings))...)
	}
	t.saved = &report
	return nil
}

// ended measures a job.
func (r *Runner) ended(t *task, outcome metrics.JobOutcome, failure string) {
	r.Meter.JobEnded(t.job.Scanner, outcome, time.Since(t.began))
	r.Trace.Record(trace.Span{
		Name: "scan " + t.job.Scanner, Ref: t.scan.ReferenceID, Start: t.began, End: time.Now(), Failure: failure,
		Attributes: map[string]string{"scanhook.outcome": string(outcome), "scanhook.project": t.scan.ProjectName, "scanhook.commit": t.scan.CommitSHA},
	})
}

// giveBack returns a job that a stopping process could not finish.
func (r *Runner) giveBack(ctx context.Context, t *task) error {
	err := r.step(ctx, func(ctx context.Context) error { return r.Jobs.ReturnJob(ctx, t.job) })
	if err != nil {
		return fmt.Errorf("giving job %d back: %w", t.job.ID, err)
	}
	r.Log.Info("job given back", t.attrs()...)
	return nil
}

// done takes out of the workspace what is needed later, and removes it.
func (r *Runner) done(ctx context.Context, t *task) {
	if t.space.Root == "" {
		return
	}
	if t.saved != nil {
		if t.searched != nil && t.saved.Failure == "" {
			r.recordSearch(ctx, t.searched)
		}
		evidence.ShowCode(ctx, r.Jobs, r.Log.With(t.attrs()...), t.job, *t.saved, t.space.Source)
		r.askLater(ctx, t.job, t.scan, t.saved.Findings, t.space.Source)
	}
	if err := t.space.Remove(); err != nil {
		r.Log.Error("workspace not removed, remove it by hand", "dir", t.space.Root, keyError, err)
	}
}

// sweep removes the workspaces of processes that were killed, and tells people of jobs that wait because this host cannot run them.
func (r *Runner) sweep(ctx context.Context) (bool, error) {
	sandbox.RemoveStale(r.TempDir, time.Now().Add(-sandbox.StaleAge))
	fault := r.Fault()
	if fault == nil {
		return false, nil
	}
	since := r.Jobs.Now().Add(-explainAfter)
	return false, r.step(ctx, func(ctx context.Context) error {
		return r.Jobs.ExplainJobs(ctx, r.claimable, since, fault.Error())
	})
}

// EndOverdue ends the scans whose deadline has passed until ctx ends, whoever was to bring their reports. It needs no runner beside it.
func (r *Runner) EndOverdue(ctx context.Context) {
	poll.Loop{Name: "overdue scans", Every: sweepEvery, Once: r.endOverdue, Log: r.Log}.Run(ctx)
}

func (r *Runner) endOverdue(ctx context.Context) (bool, error) {
	ended, inGrace := 0, r.database.InGrace()
	err := r.step(ctx, func(ctx context.Context) (err error) {
		ended, err = r.Jobs.ExpireScans(ctx, inGrace)
		return err
	})
	if ended > 0 {
		r.Log.Info("overdue scans ended", "scans", ended)
	}
	return false, err
}
