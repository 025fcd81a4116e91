// Package sandbox bounds what a job of the runner can do. A job has a private directory, bounded in disk and time. Its
// processes see nothing of our environment and end with the job. A fault of the host is told apart from a fault of the
// commit or the scanner.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

const (
	dirPrefix  = "scanhook-job-"
	probeSize  = 1 << 20 // bytes that must fit into a workspace
	blockSize  = 4096
	watchEvery = 250 * time.Millisecond
	lockName   = "lock"
	StaleAge   = time.Minute // a younger workspace may not be locked yet
)

// Workspace is the private directory of one job: files of the commit, and beside it what git and scanners may write to.
type Workspace struct {
	Root    string // absolute and without symbolic links, as scanners report it
	Source  string // the files
	Home    string
	Temp    string
	Reports string
	View    string // empty: a command's own view of the files is mounted there
	Limit   int64  // bytes
	Setting string // that names the place where it is; TMPDIR by default

	lock *flock.Flock // held as long as the process lives
}

// New makes a workspace below a directory. It fails for faults of the host only.
func New(parent string, limit int64) (Workspace, error) {
	space, err := makeWorkspace(parent, limit)
	return space, Place{Dir: parent}.Unusable(err)
}

// Place is where the workspace is.
func (w Workspace) Place() Place { return Place{filepath.Dir(w.Root), w.Setting} }

func makeWorkspace(parent string, limit int64) (Workspace, error) {
	root, err := os.MkdirTemp(parent, dirPrefix)
	if err != nil {
		return Workspace{}, fmt.Errorf("making a workspace: %w", err)
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	lock, err := lockDir(root)
	if err != nil {
		return Workspace{}, errors.Join(fmt.Errorf("locking a workspace: %w", err), os.RemoveAll(root))
	}
	space := Workspace{
		Root:    root,
		lock:    lock,
		Source:  filepath.Join(root, "source"),
		Home:    filepath.Join(root, "home"),
		Temp:    filepath.Join(root, "tmp"),
		Reports: filepath.Join(root, "reports"),
		View:    filepath.Join(root, "view"),
		Limit:   limit,
	}
	for _, dir := range []string{space.Source, space.Home, space.Temp, space.Reports, space.View} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return Workspace{}, errors.Join(fmt.Errorf("making a workspace: %w", err), space.Remove())
		}
	}
	return space, nil
}

// Probe makes a workspace in a place, writes to it and removes it. Its error says what to do.
func Probe(place Place) error {
	space, err := makeWorkspace(place.Dir, 2*probeSize)
	if err != nil {
		return place.Unusable(err)
	}
	err = os.WriteFile(filepath.Join(space.Source, "probe"), make([]byte, probeSize), 0o600)
	return place.Unusable(errors.Join(err, space.Remove()))
}

// lockDir locks a directory for this process; an error if another process has it. A lock also holds across containers,
// where process ids mean nothing.
func lockDir(dir string) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(dir, lockName))
	held, err := lock.TryLock()
	if err == nil && !held {
		err = errors.New("another process has it")
	}
	return lock, err
}

// Remove deletes everything, including directories without write permission.
func (w Workspace) Remove() error {
	if w.lock != nil {
		_ = w.lock.Close() // first: Windows removes no open files
	}
	if err := os.RemoveAll(w.Root); err == nil {
		return nil
	}
	_ = filepath.WalkDir(w.Root, func(path string, entry fs.DirEntry, _ error) error {
		if entry != nil && entry.IsDir() {
			_ = os.Chmod(path, 0o700) //nolint:gosec // a directory that cannot be entered cannot be removed
		}
		return nil
	})
	return os.RemoveAll(w.Root)
}

// RemoveStale deletes the workspaces of killed processes, whose locks nobody holds.
func RemoveStale(parent string, before time.Time) {
	left, _ := filepath.Glob(filepath.Join(parent, dirPrefix+"*"))
	for _, root := range left {
		info, err := os.Lstat(root)
		if err != nil || !info.IsDir() || info.ModTime().After(before) {
			continue
		}
		if lock, err := lockDir(root); err == nil {
			_ = Workspace{Root: root, lock: lock}.Remove()
		}
	}
}

// Bound returns a context that ends after the timeout, with late as its cause, or when the workspace exceeds its limit.
func (w Workspace) Bound(ctx context.Context, timeout time.Duration, late error) (
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

func (w Workspace) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		began := time.Now()
		if err := w.Fits(); err != nil {
			cancel(err)
			return
		}
		// Large trees take long to walk: that must not cost more than a tenth of the time.
		pause := max(watchEvery, 10*time.Since(began))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// LimitExceeded is the failure of a job that needs more than it may use. It would need as much the next time.
type LimitExceeded struct{ Err error }

func (e LimitExceeded) Error() string { return e.Err.Error() }
func (e LimitExceeded) Unwrap() error { return e.Err }

// Fits returns LimitExceeded if the workspace is larger than it may be. Every file counts for at least one block, so that
// millions of empty files count too.
func (w Workspace) Fits() error {
	var used int64
	_ = filepath.WalkDir(w.Root, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile
		}
		if info, err := entry.Info(); err == nil {
			used += max(info.Size(), blockSize)
		}
		if used > w.Limit {
			return filepath.SkipAll
		}
		return nil
	})
	if used > w.Limit {
		return LimitExceeded{fmt.Errorf("the job needs more than the %d MiB of disk that it may use", w.Limit>>20)}
	}
	return nil
}
