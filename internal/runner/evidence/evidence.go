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
	"maps"
	"os"
	"slices"
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
	AtOnce    int           // uploads about which git is asked at a time, 2 by default
	Patience  time.Duration // that an upload waits for git, 15 seconds by default
	TempDir   string        // where files are laid out; the system's by default
	MaxDisk   int64         // bytes of them, for one upload; 2 GiB by default
	Fault     func() error  // why this host cannot work at the moment, or nil; nil for a host that always can
	Log       *slog.Logger  // silent by default
}

// Git knows the repositories of projects.
type Git struct {
	Config
	places  chan struct{} // for uploads about which git is asked
	silence silence

	mu      sync.Mutex
	working sync.WaitGroup  // what goes on in the background
	closing context.Context // ends when nothing more is to begin
	stop    context.CancelFunc
}

// New returns the Git of the repositories that the mirrors are of. Close it after use.
func New(cfg Config) *Git {
	cfg.Patience, cfg.AtOnce = cmp.Or(cfg.Patience, defaultPatience), cmp.Or(cfg.AtOnce, defaultAtOnce)
	cfg.TempDir, cfg.MaxDisk = cmp.Or(cfg.TempDir, os.TempDir()), cmp.Or(cfg.MaxDisk, defaultDisk)
	if cfg.Fault == nil {
		cfg.Fault = func() error { return nil }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	g := &Git{Config: cfg, places: make(chan struct{}, cfg.AtOnce), silence: silence{until: make(map[string]time.Time)}}
	g.closing, g.stop = context.WithCancel(context.Background())
	return g
}

// Close breaks off what git is asked, lets code be stored that was found, and returns when nothing goes on in the background any more.
// Reports that come later are left as they are.
func (g *Git) Close() {
	g.mu.Lock()
	g.stop()
	g.mu.Unlock()
	g.working.Wait()
}

// background does work beside its caller; false after Close.
func (g *Git) background(work func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing.Err() != nil {
		return false
	}
	g.working.Go(work)
	return true
}

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

// upload is what one call brings: the reports of a scanner for a commit.
type upload struct {
	scan  core.Scan
	named map[string][]string // the files that each report names, by the report's job; without those that have no findings
	log   *slog.Logger
}

func (g *Git) newUpload(scan core.Scan, reports map[string]*core.Report) *upload {
	u := &upload{scan, map[string][]string{}, g.Log.With(
		"scan", scan.ReferenceID, "project", scan.ProjectName, "commit", scan.CommitSHA)}
	for job, report := range reports {
		if report.Len() > 0 {
			u.named[job] = source.Named(*report)
		}
	}
	return u
}

// AddEvidence changes reports for a commit, by the names of their jobs. Git is asked once for all of them. What has begun goes on in the
// background when the time is over, so that the next upload finds the mirror up to date. stored is to be called once the reports have
// their jobs, with these, or with none: it shows the code around the findings.
func (g *Git) AddEvidence(ctx context.Context, scan core.Scan, reports map[string]*core.Report) (stored func(map[string]*core.Job)) {
	u := g.newUpload(scan, reports)
	project := fmt.Sprint(scan.SourcePlatform, "/", scan.ProjectID)
	if len(u.named) == 0 || g.Fault() != nil || g.silence.isSilent(project) {
		return func(map[string]*core.Job) {}
	}
	known, err := g.await(ctx, u)
	if errors.Is(err, errSilent) {
		g.silence.note(project)
	}
	if err != nil {
		u.log.Info("report compared without git's diff", keyError, err)
		return func(map[string]*core.Job) {}
	}
	for job := range u.named {
		known.addTo(job, reports[job], g)
	}
	return func(jobs map[string]*core.Job) {
		ctx := context.WithoutCancel(ctx)
		if !g.background(func() { g.show(ctx, u, known, jobs, reports) }) {
			known.remove()
		}
	}
}

// show stores the code around the findings of jobs.
func (g *Git) show(ctx context.Context, u *upload, known *facts, jobs map[string]*core.Job, reports map[string]*core.Report) {
	defer known.remove()
	for name := range u.named {
		if job := jobs[name]; job != nil {
			ShowCode(ctx, g.Jobs, u.log.With("scanner", name), *job, *reports[name], known.space.Source)
		}
	}
}

var (
	errBusy   = errors.New("git is being asked about other reports")
	errSilent = errors.New("the repository did not answer in time")
	errClosed = errors.New("scanhook is stopping")
)

// await waits for what gather finds, as long as a report may wait: errBusy where git was not even asked until then, errSilent where it did
// not answer.
func (g *Git) await(ctx context.Context, u *upload) (*facts, error) {
	patience, cancel := context.WithTimeout(ctx, g.Patience)
	defer cancel()
	over := func(because error) error { return cmp.Or(ctx.Err(), because) }
	select {
	case g.places <- struct{}{}:
	case <-patience.Done():
		return nil, over(errBusy)
	}
	type answer struct {
		found *facts
		err   error
	}
	answers := make(chan answer)
	if !g.background(func() {
		defer func() { <-g.places }()
		found, err := g.gather(context.WithoutCancel(ctx), u)
		select {
		case answers <- answer{found, err}:
		case <-patience.Done():
			found.remove()
			if err != nil {
				u.log.Info("the next report will not find git's diff either", keyError, err)
			}
		}
	}) {
		<-g.places
		return nil, errClosed
	}
	select {
	case a := <-answers:
		return a.found, a.err
	case <-patience.Done():
		return nil, over(errSilent)
	}
}

// facts are what git knows of the findings of reports.
type facts struct {
	space sandbox.Workspace // with the files that have findings
	of    map[string]known  // by the job of a report
}

type known struct {
	places  source.Places
	changes *core.Changes // since the baseline; nil where that is not known
}

// gather asks git. It returns no facts with an error.
func (g *Git) gather(ctx context.Context, u *upload) (found *facts, err error) {
	platform, configured := g.Platforms[u.scan.SourcePlatform]
	if !configured {
		return nil, fmt.Errorf("no platform is called %q", u.scan.SourcePlatform)
	}
	space, err := sandbox.New(g.TempDir, g.MaxDisk)
	if err != nil {
		return nil, err
	}
	ctx, free := space.Bound(ctx, gatherTimeout, fmt.Errorf("it took more than %s", gatherTimeout))
	defer free(nil)
	defer context.AfterFunc(g.closing, func() { free(errClosed) })()
	found = &facts{space: space, of: map[string]known{}}
	remote, err := platform.Remote(ctx, u.scan.ProjectName)
	if err == nil {
		err = g.Mirrors.Use(ctx, mirror.ProjectOf(u.scan, remote), u.scan.CommitSHA, func(ctx context.Context, m *mirror.Mirror) error {
			return g.read(ctx, m, u, found)
		})
	}
	if err != nil {
		found.remove()
		return nil, err
	}
	return found, nil
}

// read reads the mirror. Reports that are compared with the same commit have one diff.
func (g *Git) read(ctx context.Context, m *mirror.Mirror, u *upload, into *facts) error {
	jobs, sha := slices.Sorted(maps.Keys(u.named)), u.scan.CommitSHA
	lists := make([][]string, len(jobs))
	for i, job := range jobs {
		lists[i] = u.named[job]
	}
	places, files, err := source.Locate(ctx, m, sha, lists...)
	if err != nil {
		return err
	}
	if err := blobs.LayOut(ctx, m, files, into.space.Source); err != nil {
		return err
	}
	since := map[string]*core.Changes{}
	for i, job := range jobs {
		base, err := g.Jobs.GetBaseline(ctx, u.scan, core.Job{Scanner: job})
		if err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}
		changes, compared := since[base]
		if !compared {
			if changes, err = ChangesIn(ctx, m, u.log, base, sha, func(string) bool { return true }); err != nil {
				return err
			}
			since[base] = changes
		}
		into.of[job] = known{places[i], ownCopy(changes)}
	}
	return nil
}

// ownCopy lets a report add files to changes that others have too.
func ownCopy(changes *core.Changes) *core.Changes {
	if changes == nil {
		return nil
	}
	own := *changes
	own.Files = slices.Clip(own.Files)
	return &own
}

// addTo adds the facts to the report of a job.
func (f *facts) addTo(job string, report *core.Report, g *Git) {
	known := f.of[job]
	known.places.MoveIn(report, known.changes)
	report.Changes = known.changes
	key := g.Jobs.SecretKey()
	source.DescribeUpload(report, key, f.space.Source)
	reports.Redact(report, key)
}

func (f *facts) remove() {
	if f != nil {
		_ = f.space.Remove() // what is left is swept away later
	}
}
