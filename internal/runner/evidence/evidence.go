// Package evidence gives reports from outside what a scan with a checkout has: where their files are in the repository, the code that
// their findings point at and what surrounds it, and git's diff since the baseline. It is an aid: where a repository is out of reach,
// or does not answer soon, a report is compared by what it says itself.
package evidence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/mirror"
	"github.com/scanhook/scanhook/internal/reports"
	"github.com/scanhook/scanhook/internal/runner/blobs"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/internal/runner/source"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/store"
)

const (
	defaultPatience = 15 * time.Second
	defaultAtOnce   = 2
	defaultDisk     = 2 << 30

	gatherTimeout = 10 * time.Minute
	silencePause  = time.Minute // in which no report waits for a repository that did not answer in time
)

const keyError = "error"

// Config is what Git needs; the zero value of every optional field is its default.
type Config struct {
	Jobs      *store.Store
	Platforms platforms.Set
	Mirrors   *mirror.Cache
	AtOnce    int           // reports that git is asked about at a time, 2 by default
	Patience  time.Duration // that a report waits for git, 15 seconds by default
	TempDir   string        // where files are laid out; the system's by default
	MaxDisk   int64         // bytes of them, for one report; 2 GiB by default
	Fault     func() error  // why this host cannot work at the moment, or nil; nil for a host that always can
	Log       *slog.Logger  // silent by default
}

// Git knows the repositories of projects.
type Git struct {
	Config
	places  chan struct{} // for reports that git is asked about
	working sync.WaitGroup
	silence silence
}

// New returns the Git of the repositories that the mirrors are of.
func New(cfg Config) *Git {
	cfg.Patience, cfg.AtOnce = cmp.Or(cfg.Patience, defaultPatience), cmp.Or(cfg.AtOnce, defaultAtOnce)
	cfg.TempDir, cfg.MaxDisk = cmp.Or(cfg.TempDir, os.TempDir()), cmp.Or(cfg.MaxDisk, defaultDisk)
	if cfg.Fault == nil {
		cfg.Fault = func() error { return nil }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Git{Config: cfg, places: make(chan struct{}, cfg.AtOnce), silence: silence{until: make(map[string]time.Time)}}
}

// Wait waits for all that goes on in the background.
func (g *Git) Wait() { g.working.Wait() }

// silence remembers which repositories did not answer in time.
type silence struct {
	mu    sync.Mutex
	until map[string]time.Time // by the project
}

// isSilent tells whether a repository did not answer a moment ago.
func (s *silence) isSilent(project string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.until[project])
}

func (s *silence) note(project string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for key, until := range s.until {
		if now.After(until) {
			delete(s.until, key)
		}
	}
	s.until[project] = now.Add(silencePause)
}

// upload is a report from outside.
type upload struct {
	scan core.Scan
	job  core.Job
	log  *slog.Logger
}

// AddEvidence changes the report of a scanner for a commit. What has begun goes on in the background when the time is over, so that the
// next report finds the mirror up to date. stored is to be called once the report has its job, or with none: it shows the code around
// the findings.
func (g *Git) AddEvidence(ctx context.Context, scan core.Scan, scanner string, report *core.Report) (stored func(*core.Job)) {
	project := fmt.Sprint(scan.SourcePlatform, "/", scan.ProjectID)
	if report.Len() == 0 || g.Fault() != nil || g.silence.isSilent(project) {
		return func(*core.Job) {}
	}
	u := &upload{scan, core.Job{Scanner: scanner}, g.Log.With(
		"scan", scan.ReferenceID, "scanner", scanner, "project", scan.ProjectName, "commit", scan.CommitSHA)}
	known, answered := g.await(ctx, u, source.Named(*report))
	if !answered && ctx.Err() == nil {
		g.silence.note(project)
		u.log.Info("report compared without git's diff: the repository did not answer in time")
	}
	if known == nil {
		return func(*core.Job) {}
	}
	known.addTo(report, g)
	return func(job *core.Job) {
		g.working.Go(func() {
			defer known.remove()
			if job != nil {
				ShowCode(context.WithoutCancel(ctx), g.Jobs, u.log, *job, *report, known.space.Source)
			}
		})
	}
}

// await waits for what gather finds, as long as a report may wait.
func (g *Git) await(ctx context.Context, u *upload, names []string) (found *facts, answered bool) {
	patience, cancel := context.WithTimeout(ctx, g.Patience)
	defer cancel()
	select {
	case g.places <- struct{}{}:
	case <-patience.Done():
		return nil, false
	}
	answer := make(chan *facts)
	g.working.Go(func() {
		defer func() { <-g.places }()
		found, err := g.gather(context.WithoutCancel(ctx), u, names)
		if err != nil {
			u.log.Info("report compared without git's diff", keyError, err)
		}
		select {
		case answer <- found:
		case <-patience.Done():
			found.remove()
		}
	})
	select {
	case found = <-answer:
		return found, true
	case <-patience.Done():
		return nil, false
	}
}

// facts are what git knows of the findings of a report.
type facts struct {
	space   sandbox.Workspace // with the files that have findings
	changes *core.Changes
	places  source.Places
}

// gather asks git. It returns no facts with an error.
func (g *Git) gather(ctx context.Context, u *upload, names []string) (found *facts, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, gatherTimeout, fmt.Errorf("it took more than %s", gatherTimeout))
	defer cancel()
	platform, configured := g.Platforms[u.scan.SourcePlatform]
	if !configured {
		return nil, fmt.Errorf("no platform is called %q", u.scan.SourcePlatform)
	}
	remote, err := platform.Remote(ctx, u.scan.ProjectName)
	if err != nil {
		return nil, err
	}
	base, err := g.Jobs.GetBaseline(ctx, u.scan, u.job)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return nil, err
	}
	space, err := sandbox.New(g.TempDir, g.MaxDisk)
	if err != nil {
		return nil, err
	}
	ctx, free := space.Bound(ctx, gatherTimeout, fmt.Errorf("it took more than %s", gatherTimeout))
	defer free(nil)
	found = &facts{space: space}
	if err := g.read(ctx, u, remote, base, names, found); err != nil {
		found.remove()
		return nil, err
	}
	return found, nil
}

// read reads the mirror.
func (g *Git) read(ctx context.Context, u *upload, remote platforms.Remote, base string, names []string, into *facts) error {
	sha := u.scan.CommitSHA
	return g.Mirrors.Use(ctx, mirror.ProjectOf(u.scan, remote), sha, func(ctx context.Context, m *mirror.Mirror) error {
		places, files, err := source.Locate(ctx, m, sha, names)
		if err != nil {
			return err
		}
		if err := blobs.LayOut(ctx, m, files, into.space.Source); err != nil {
			return err
		}
		into.places = places
		into.changes, err = ChangesIn(ctx, m, u.log, base, sha, func(string) bool { return true })
		return err
	})
}

// addTo adds the facts to the report.
func (f *facts) addTo(report *core.Report, g *Git) {
	f.places.MoveIn(report, f.changes)
	report.Changes = f.changes
	key := g.Jobs.SecretKey()
	source.DescribeUpload(report, key, f.space.Source)
	reports.Redact(report, key)
}

func (f *facts) remove() {
	if f != nil {
		_ = f.space.Remove() // what is left is swept away later
	}
}
