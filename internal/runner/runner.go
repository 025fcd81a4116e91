// Package runner claims jobs, checks the commit out, runs the scanner and hands its report to the store.
//
// Everything that it touches is a stranger's: the repository, what the git server answers, what a scanner prints. So each job
// has a workspace of its own, bounded in time and disk, which is always removed; git and the scanners see nothing of our
// environment; and what went wrong becomes the failure of the job, a sentence for people.
package runner

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/scanhook/scanhook/internal/lease"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	defaultWorkers = 2
	defaultLease   = 30 * time.Second
	defaultDisk    = 2 << 30

	sweepEvery   = 10 * time.Second
	explainAfter = 30 * time.Second // until then another replica may have begun
)

// Keys of the log.
const (
	keyError    = "error"
	keyFindings = "findings"
)

// Config is what a Runner needs; the zero value of every optional field is its default.
type Config struct {
	Jobs      *store.Store
	Platforms platforms.Set
	Scanners  map[string]Scanner // by their key in the configuration, without those that upload their reports
	Workers   int                // jobs at a time, 2 by default
	Lease     time.Duration      // a job whose lease is not extended for so long goes to another worker; 30 seconds by default
	TempDir   string             // where workspaces are made; the system's by default
	MaxDisk   int64              // bytes that one job may occupy, checkout included; 2 GiB by default
	MaxPaths  int64              // files and directories that a commit may have; 2,000,000 by default
	AI        *AI                // reviews new findings; none by default
	Worker    string             // names this process in the jobs it holds; by default one that no other process has
	Log       *slog.Logger       // silent by default
}

// Runner works on jobs until it is told to stop.
type Runner struct {
	Config
	claimable []string
	reviews   chan reviewTask // wait for the AI
	database  *lease.Availability
	host      *host
}

// New makes a Runner; it does nothing until Run.
func New(cfg Config) *Runner {
	cfg.Workers = cmp.Or(cfg.Workers, defaultWorkers)
	cfg.Lease = cmp.Or(cfg.Lease, defaultLease)
	cfg.TempDir = cmp.Or(cfg.TempDir, os.TempDir())
	cfg.MaxDisk = cmp.Or(cfg.MaxDisk, defaultDisk)
	if cfg.Worker == "" {
		cfg.Worker = processName()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner{
		host:   &host{log: cfg.Log},
		Config: cfg, claimable: slices.Sorted(maps.Keys(cfg.Scanners)), reviews: make(chan reviewTask, maxWaiting),
		database: lease.NewAvailability(cfg.Lease, cfg.Jobs.Shared()),
	}
}

// Run works on jobs and ends overdue scans until ctx ends. Jobs in flight are then given back, to be run elsewhere or
// after the restart.
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

// sweep ends the scans whose deadline has passed and removes the workspaces of processes that were killed.
func (r *Runner) sweep(ctx context.Context) (bool, error) {
	sandbox.RemoveStale(r.TempDir, time.Now().Add(-sandbox.StaleAge))
	ended, inGrace := 0, r.database.InGrace()
	if fault := r.Fault(); fault != nil {
		since := r.Jobs.Now().Add(-explainAfter)
		err := r.step(ctx, func(ctx context.Context) error {
			return r.Jobs.ExplainJobs(ctx, r.claimable, since, fault.Error())
		})
		if err != nil {
			return false, err
		}
	}
	err := r.step(ctx, func(ctx context.Context) (err error) {
		ended, err = r.Jobs.ExpireScans(ctx, inGrace)
		return err
	})
	if ended > 0 {
		r.Log.Info("overdue scans ended", "scans", ended)
	}
	return false, err
}
