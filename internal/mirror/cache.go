// Package mirror keeps a bare copy of each project's repository, so that a scan fetches only what a push brings and reads
// git's objects instead of files.
//
// A mirror has the commits and directories that scans asked for, and of the contents of files those that were read. It is a
// cache: several processes share it, any of them may be killed at any time, and a mirror that is lost, truncated or damaged
// is noticed when it is read and made anew. That costs time and nothing else.
//
// In the directory of the cache, each mirror has two lock files beside it, which stay: NAME.fetch is held by the one process
// that changes it, NAME.use is shared by those that read it, and its time tells when it was used last.
package mirror

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/gitproto"
	"github.com/scanhook/scanhook/internal/runner/git"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/platforms"
)

const (
	defaultSize  = 20 << 30
	defaultLimit = 2 << 30
	defaultDepth = 1000

	maxTries  = 4 // of one use: a mirror may be damaged again while it is read
	trimEvery = time.Minute

	setting = "runner.cache" // names the directory, for advice
)

// Config says where mirrors are kept; the zero value of every field is its default.
type Config struct {
	Dir      string       // made where it does not exist; by default that of the user's caches, or see IsPrivate
	Size     int64        // bytes of all mirrors; above, those go that were not used for the longest time; 20 GiB by default
	Limit    int64        // bytes of one; 2 GiB by default
	MaxPaths int64        // files and directories that a commit may have; 2,000,000 by default
	Depth    int          // commits that are fetched before the one that is asked for; 1,000 by default
	Log      *slog.Logger // silent by default
}

// Cache is a directory of mirrors.
type Cache struct {
	Config
	mu      sync.Mutex // guards Dir until it is made, and what follows
	private sandbox.Workspace
	trimmed time.Time
}

// New returns the cache; it does nothing until Use.
func New(cfg Config) *Cache {
	cfg.Size = cmp.Or(cfg.Size, defaultSize)
	cfg.Limit = cmp.Or(cfg.Limit, defaultLimit)
	cfg.Depth = cmp.Or(cfg.Depth, defaultDepth)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Cache{Config: cfg}
}

// open makes the directory. Its error is a fault of the host.
func (c *Cache) open() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Dir == "" {
		c.Dir = ofUser()
	}
	if c.Dir == "" {
		private, err := sandbox.New(os.TempDir(), c.Size)
		if err != nil {
			return err
		}
		c.private, c.Dir = private, private.Source
	}
	return c.place().Unusable(os.MkdirAll(c.Dir, 0o700))
}

// ofUser is the directory for mirrors among the caches of the user whose process this is; empty where the user has no
// caches or may not write to them, as some services have it.
func ofUser() string {
	caches, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(caches, "scanhook", "mirrors")
	if os.MkdirAll(dir, 0o700) != nil || sandbox.Probe(sandbox.Place{Dir: dir}) != nil {
		return ""
	}
	return dir
}

// IsPrivate tells whether the mirrors are in a directory of this process, below the system's temporary one, which Close
// removes: the user has none for caches.
func (c *Cache) IsPrivate() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.private.Root != ""
}

// ScannersDir is the directory for what commands keep between their jobs. The cache is open, as in a read of Use.
func (c *Cache) ScannersDir() string { return filepath.Join(c.Dir, scannersDir) }

// Unusable turns the failure to make or lock something in the directory of the cache into a fault of the host.
func (c *Cache) Unusable(err error) error { return c.place().Unusable(err) }

func (c *Cache) place() sandbox.Place { return sandbox.Place{Dir: c.Dir, Setting: setting} }

// Probe does what every use does first: it makes the directory and writes to it. Its error says what to do.
func (c *Cache) Probe() error {
	if err := c.open(); err != nil {
		return err
	}
	return sandbox.Probe(c.place())
}

// Close removes the directory if it was private. The cache may be used again, and begins anew then.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.private.Root == "" {
		return nil
	}
	private := c.private
	c.private, c.Dir = sandbox.Workspace{}, ""
	return private.Remove()
}

// Project is what a mirror is of.
type Project struct {
	Key    string // stays the same when the project gets another name
	Remote platforms.Remote
	Ref    string // where the commit stands in the project, as the head of a request from a fork; empty for commits that branches reach
}

// ProjectOf is the project whose mirror has a scan's commit. The platform's number of it stays when its name changes, and is the
// same for all databases whose processes share a cache. They may call different platforms by the same name, so their addresses count.
func ProjectOf(scan core.Scan, remote platforms.Remote) Project {
	project := cmp.Or(scan.ProjectRef, strings.ToLower(scan.ProjectName))
	of := Project{Key: installation(scan, remote) + "/" + scan.SourcePlatform + "/" + project, Remote: remote}
	if core.IsRequestRef(scan.Ref) {
		of.Ref = scan.Ref
	}
	return of
}

// installation is the address of a platform: where a project is fetched from, without its path there.
func installation(scan core.Scan, remote platforms.Remote) string {
	address, err := url.Parse(remote.URL)
	if err != nil {
		return remote.URL
	}
	parts := strings.Split(strings.Trim(address.Path, "/"), "/")
	above := max(len(parts)-len(strings.Split(scan.ProjectName, "/")), 0)
	return strings.Join(append([]string{strings.ToLower(address.Host)}, parts[:above]...), "/")
}

// Use brings the mirror of a project up to date with a commit and the history before it, unless another job did so already,
// and calls read. A read that fails with Damaged is called again with a mirror that was made anew, so it must begin from
// the start. Other errors are those of read and of git.Fetch.
func (c *Cache) Use(ctx context.Context, p Project, sha string, read func(context.Context, *Mirror) error) error {
	if !core.IsCommitSHA(sha) {
		return fmt.Errorf("%.80q is not a full commit id", sha)
	}
	if err := c.open(); err != nil {
		return err
	}
	name := nameOf(p.Key)
	use, err := c.directory().lock(ctx, name+useLock, (*flock.Flock).TryRLockContext)
	if err != nil {
		return c.blame(ctx, err)
	}
	defer func() { _ = use.Close() }()
	c.directory().touch(name)
	defer c.trimSometimes()
	for try := 1; ; try++ {
		m, err := c.update(ctx, name, p, strings.ToLower(sha))
		if err == nil {
			err = m.lend(ctx, read)
		} else {
			err = c.blame(ctx, err)
		}
		if !errors.As(err, new(Damaged)) || ctx.Err() != nil || try == maxTries {
			return err
		}
		c.Log.Info("mirror damaged, it is made anew", "project", p.Remote.URL, "error", err)
		if m == nil {
			continue
		}
		if err := c.discard(ctx, m); err != nil {
			return c.blame(ctx, err)
		}
	}
}

// blame tells the faults of the host from other failures to change what is in the directory.
func (c *Cache) blame(ctx context.Context, err error) error {
	if fault := c.place().FaultOf(err); fault != nil {
		return fault
	}
	if ctx.Err() == nil && errors.As(err, new(syscall.Errno)) {
		return c.place().Unusable(err)
	}
	return err
}

// nameOf is a name for a project that every file system takes.
func nameOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// repoIn is a repository below a directory, with all that git needs around it.
func repoIn(dir string, remote platforms.Remote, limit, maxPaths int64) git.Repo {
	if full, err := filepath.Abs(dir); err == nil {
		dir = full
	}
	return git.Repo{Remote: remote, MaxPaths: maxPaths, Space: sandbox.Workspace{
		Root: dir, Source: filepath.Join(dir, "git"), Home: filepath.Join(dir, "home"), Temp: filepath.Join(dir, "tmp"),
		Limit: limit, Setting: setting,
	}}
}

// mirrorOf is the mirror of a name, which may not be there.
func (c *Cache) mirrorOf(name string, p Project, sha string) *Mirror {
	repo := repoIn(c.directory().path(name), p.Remote, c.Limit, c.MaxPaths)
	return &Mirror{cache: c, name: name, head: sha, at: p.Ref, repo: repo}
}

func (c *Cache) directory() directory { return directory(c.Dir) }

// lockFetch waits until no other process changes the mirror of a name.
func (c *Cache) lockFetch(ctx context.Context, name string) (*flock.Flock, error) {
	return c.directory().lock(ctx, name+fetchLock, (*flock.Flock).TryLockContext)
}

// update returns the mirror with a commit and its history. One process at a time fetches, for all that wait for it.
func (c *Cache) update(ctx context.Context, name string, p Project, sha string) (*Mirror, error) {
	lock, err := c.lockFetch(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }()
	m := c.mirrorOf(name, p, sha)
	switch {
	case !m.open(), m.worn():
		return c.renew(ctx, name, p, sha)
	case m.Has(sha):
		return m, nil
	}
	m.tidy()
	err = m.fetch(ctx, sha, leaveLarge) // what is new to a mirror is about to be read
	if err != nil && m.mayBeBlamed(ctx, err) {
		return c.renew(ctx, name, p, sha)
	}
	if err != nil {
		return nil, err
	}
	m.repack(ctx)
	return m, nil
}

// mayBeBlamed tells whether a fetch into a new mirror could succeed: git's exit code is the same for its own repository's
// damage and for what the server does.
func (m *Mirror) mayBeBlamed(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !errors.As(err, new(sandbox.HostFault)) && !gitproto.Unavailable(ctx, m.repo.Remote)
}

// renew makes a mirror beside the one that there may be, and puts it in its place when it has the commit.
func (c *Cache) renew(ctx context.Context, name string, p Project, sha string) (*Mirror, error) {
	fresh := c.mirrorOf(name+freshDir, p, sha)
	space := fresh.repo.Space
	if err := os.RemoveAll(space.Root); err != nil {
		return nil, fmt.Errorf("making a mirror: %w", err)
	}
	for _, dir := range []string{space.Source, space.Home, space.Temp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making a mirror: %w", err)
		}
	}
	err := fresh.repo.InitBare(ctx, sha)
	if err == nil {
		err = fresh.fetch(ctx, sha, leaveContents)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(space.Root))
	}
	if err := c.directory().remove(name); err != nil {
		return nil, err
	}
	if err := os.Rename(space.Root, c.directory().path(name)); err != nil {
		return nil, fmt.Errorf("making a mirror: %w", err)
	}
	m := c.mirrorOf(name, p, sha)
	if !m.open() {
		return nil, Damaged{errors.New("another program removed it")}
	}
	return m, nil
}

// discard removes a damaged mirror, unless another process has already made another one in its place. Those who still read
// the damaged one find out by themselves.
func (c *Cache) discard(ctx context.Context, m *Mirror) error {
	lock, err := c.lockFetch(ctx, m.name)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if m.replaced() {
		return nil
	}
	return c.directory().remove(m.name)
}

// Forget removes the mirror of a project that was made before a moment. It waits until nobody fetches into it; those who still read it find
// out by themselves.
func (c *Cache) Forget(ctx context.Context, key string, before time.Time) error {
	if err := c.open(); err != nil {
		return err
	}
	name := nameOf(key)
	made, err := os.Stat(filepath.Join(c.directory().path(name), "git", "HEAD"))
	if err != nil || made.ModTime().After(before) {
		return nil // there is none, or it is of another project with the name
	}
	lock, err := c.lockFetch(ctx, name)
	if err != nil {
		return c.blame(ctx, err)
	}
	defer func() { _ = lock.Close() }()
	return c.blame(ctx, c.directory().remove(name))
}

// trimSometimes trims the cache now and then.
func (c *Cache) trimSometimes() {
	c.mu.Lock()
	due := time.Since(c.trimmed) >= trimEvery
	if due {
		c.trimmed = time.Now()
	}
	c.mu.Unlock()
	if due {
		c.Trim()
	}
}

// Trim removes the mirrors that were not used for the longest time until the others fit into the size of the cache, and
// what killed processes left behind. It leaves those alone that are in use.
func (c *Cache) Trim() { c.directory().trim(c.Size, c.Log) }
