package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const lockEvery = 20 * time.Millisecond // how often a lock is tried that another process has

// What stands behind the name of a mirror.
const (
	fetchLock = ".fetch"
	useLock   = ".use"
	freshDir  = ".new"   // being made
	goneDir   = ".gone-" // being removed
)

// scannersDir stands beside the mirrors: in it is what commands keep between their jobs.
const scannersDir = "scanners"

// directory holds mirrors and their locks.
type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

// lock waits for a lock file. Locks hold across processes and containers, and end with their process.
func (d directory) lock(
	ctx context.Context, name string, take func(*flock.Flock, context.Context, time.Duration) (bool, error),
) (*flock.Flock, error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of mirrors: %w", err)
	}
	lock := flock.New(d.path(name))
	held, err := take(lock, ctx, lockEvery)
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err == nil && !held:
		err = errors.New("another process has it")
	}
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("locking a mirror: %w", err)
	}
	return lock, nil
}

// try takes a lock file at once, or returns nil.
func (d directory) try(name string) *flock.Flock {
	lock := flock.New(d.path(name))
	if held, err := lock.TryLock(); err != nil || !held {
		_ = lock.Close()
		return nil
	}
	return lock
}

// touch notes that a mirror is used now. Without the note it only goes earlier.
func (d directory) touch(name string) {
	now := time.Now()
	_ = os.Chtimes(d.path(name+useLock), now, now)
}

// remove takes a mirror away at once, however long its files take to go. The caller holds the fetch lock.
func (d directory) remove(name string) error {
	gone, err := os.MkdirTemp(string(d), name+goneDir)
	if err == nil {
		err = os.Rename(d.path(name), filepath.Join(gone, "mirror"))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing a mirror: %w", err)
	}
	if err := os.RemoveAll(gone); err != nil {
		return fmt.Errorf("removing a mirror: %w", err)
	}
	return nil
}

// stored is a mirror on disk.
type stored struct {
	name string
	size int64
	used time.Time
}

// trim is Cache.Trim. Only one process at a time does it.
func (d directory) trim(size int64, log *slog.Logger) {
	one := d.try("trim.lock")
	if one == nil {
		return
	}
	defer func() { _ = one.Close() }()
	mirrors, total := d.list()
	for _, oldest := range mirrors {
		if total <= size {
			return
		}
		if d.evict(oldest.name) {
			total -= oldest.size
			log.Info("mirror removed to make room", "mirror", oldest.name, "bytes", oldest.size)
		}
	}
}

// list returns the mirrors, the one that was not used for the longest time first, and how many bytes they have together.
func (d directory) list() (mirrors []stored, total int64) {
	entries, _ := os.ReadDir(string(d))
	for _, entry := range entries {
		if !entry.IsDir() || entry.Name() == scannersDir {
			continue
		}
		name, _, left := strings.Cut(entry.Name(), ".")
		if left {
			d.sweep(name, entry.Name())
			continue
		}
		m := stored{name: name, size: sizeOf(d.path(name))}
		if info, err := os.Stat(d.path(name + useLock)); err == nil {
			m.used = info.ModTime()
		}
		mirrors, total = append(mirrors, m), total+m.size
	}
	slices.SortFunc(mirrors, func(a, b stored) int { return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.name, b.name)) })
	return mirrors, total
}

// sweep removes what a killed process left of making or removing a mirror.
func (d directory) sweep(name, left string) {
	if lock := d.try(name + fetchLock); lock != nil {
		_ = os.RemoveAll(d.path(left))
		_ = lock.Close()
	}
}

// evict removes a mirror unless it is in use.
func (d directory) evict(name string) bool {
	for _, kind := range []string{fetchLock, useLock} {
		lock := d.try(name + kind)
		if lock == nil {
			return false
		}
		defer func() { _ = lock.Close() }()
	}
	return d.remove(name) == nil
}

func sizeOf(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile
		}
		if info, err := entry.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
