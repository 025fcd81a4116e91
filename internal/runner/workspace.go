package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/scanhook/scanhook/core"
)

const (
	workspacePrefix = "scanhook-job-"
	blockSize       = 4096
	watchEvery      = 250 * time.Millisecond
	lockName        = "lock"
	staleAge        = time.Minute // until then a new workspace is locked
	gitPatience     = time.Minute
)

// workspace is the private directory of one job: the checkout, and beside it what git and scanners may write to.
type workspace struct {
	root    string // absolute and without symbolic links, as scanners report it
	source  string // the checkout
	home    string
	temp    string
	reports string
	limit   int64        // bytes
	lock    *flock.Flock // held for as long as the process lives

	maxPaths int64         // that a commit may have
	patience time.Duration // with a git server that says next to nothing, in whole seconds
}

// newWorkspace fails only for faults of the machine.
func newWorkspace(parent string, limit int64) (workspace, error) {
	space, err := makeWorkspace(parent, limit)
	return space, workspaceFault(err, parent)
}

func makeWorkspace(parent string, limit int64) (workspace, error) {
	root, err := os.MkdirTemp(parent, workspacePrefix)
	if err != nil {
		return workspace{}, fmt.Errorf("making a workspace: %w", err)
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	lock, err := lockDir(root)
	if err != nil {
		return workspace{}, errors.Join(fmt.Errorf("locking a workspace: %w", err), os.RemoveAll(root))
	}
	space := workspace{
		root:    root,
		lock:    lock,
		source:  filepath.Join(root, "source"),
		home:    filepath.Join(root, "home"),
		temp:    filepath.Join(root, "tmp"),
		reports: filepath.Join(root, "reports"),
		limit:   limit,

		maxPaths: defaultPaths,
		patience: gitPatience,
	}
	for _, dir := range []string{space.source, space.home, space.temp, space.reports} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return workspace{}, errors.Join(fmt.Errorf("making a workspace: %w", err), space.remove())
		}
	}
	return space, nil
}

// lockDir takes a directory for this process until it is unlocked; an error where another process has it. A lock holds
// across containers, where the numbers of processes say nothing.
func lockDir(dir string) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(dir, lockName))
	held, err := lock.TryLock()
	if err == nil && !held {
		err = fmt.Errorf("%w: another process has it", core.ErrConflict)
	}
	return lock, err
}

// remove deletes everything, directories without write permission too.
func (w workspace) remove() error {
	if w.lock != nil {
		_ = w.lock.Close() // first, for Windows removes no open files
	}
	if err := os.RemoveAll(w.root); err == nil {
		return nil
	}
	_ = filepath.WalkDir(w.root, func(path string, entry fs.DirEntry, _ error) error {
		if entry != nil && entry.IsDir() {
			_ = os.Chmod(path, 0o700) //nolint:gosec // a directory that cannot be entered cannot be removed
		}
		return nil
	})
	return os.RemoveAll(w.root)
}

// removeStale deletes the workspaces that processes which were killed left behind: nobody holds their locks.
func removeStale(parent string, before time.Time) {
	left, _ := filepath.Glob(filepath.Join(parent, workspacePrefix+"*"))
	for _, root := range left {
		info, err := os.Lstat(root)
		if err != nil || !info.IsDir() || info.ModTime().After(before) {
			continue
		}
		if lock, err := lockDir(root); err == nil {
			_ = workspace{root: root, lock: lock}.remove()
		}
	}
}

// bound makes a context that ends when the time is over, with late as its cause, or when the workspace has outgrown its
// limit, with a sentence about that.
func (w workspace) bound(ctx context.Context, timeout time.Duration, late error) (
	context.Context, context.CancelCauseFunc,
) {
	ctx, cancel := context.WithCancelCause(ctx)
	ctx, stop := context.WithTimeoutCause(ctx, timeout, late)
	go w.watch(ctx, cancel)
	return ctx, func(cause error) {
		cancel(cause)
		stop()
	}
}

func (w workspace) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		began := time.Now()
		if err := w.fits(); err != nil {
			cancel(err)
			return
		}
		// Large trees take long to walk: watching must not cost more than a tenth of the time.
		pause := max(watchEvery, 10*time.Since(began))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// overrun is the failure of a job that needs more than it may use, and would need as much the next time.
type overrun struct{ error }

func (o overrun) Unwrap() error { return o.error }

// fits says so when the workspace is larger than it may be. Every file counts for at least one block, so that millions
// of empty files do not count for nothing.
func (w workspace) fits() error {
	var used int64
	_ = filepath.WalkDir(w.root, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile
		}
		if info, err := entry.Info(); err == nil {
			used += max(info.Size(), blockSize)
		}
		if used > w.limit {
			return filepath.SkipAll
		}
		return nil
	})
	if used > w.limit {
		return overrun{fmt.Errorf("the job needs more than the %d MiB of disk that it may use", w.limit>>20)}
	}
	return nil
}
