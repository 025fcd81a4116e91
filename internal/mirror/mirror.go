package mirror

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/gofrs/flock"

	"github.com/scanhook/scanhook/internal/runner/git"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

// Damaged is what reading fails with where the mirror does not hold what it should.
type Damaged struct{ Err error }

func (d Damaged) Error() string { return "the mirror is damaged: " + d.Err.Error() }
func (d Damaged) Unwrap() error { return d.Err }

// Mirror is the mirror of a project as long as a read of Use runs. It is for one goroutine.
type Mirror struct {
	cache *Cache
	repo  git.Repo
	name  string
	head  string      // the commit that it was brought up to date for
	at    string      // the ref of the project where that stands, if it is the head of a request
	dir   os.FileInfo // tells it from the one that is made in its place

	objects *Objects            // what reads, once it was needed
	sizes   map[string]int64    // of the contents of files that Ensure has found
	trees   map[string][]byte   // directories that were read, by their ids
	kept    int64               // bytes of them
	extents map[string][2]int64 // paths below directories that were measured, and their bytes, by the ids of these
	absent  map[string]Absence
}

// open tells whether there is a mirror, and remembers which.
func (m *Mirror) open() bool {
	info, err := os.Stat(m.repo.Space.Source)
	m.dir = info
	return err == nil && info.IsDir()
}

// replaced tells whether there is another mirror in its place, or none.
func (m *Mirror) replaced() bool {
	now, err := os.Stat(m.repo.Space.Source)
	return err != nil || !os.SameFile(now, m.dir)
}

// PathLimit is how many paths a commit may have.
func (m *Mirror) PathLimit() int64 { return m.repo.PathLimit() }

// depth is how many commits are fetched before the one that is asked for.
func (m *Mirror) depth() int { return m.cache.Depth }

func (m *Mirror) log() *slog.Logger { return m.cache.Log }

func (m *Mirror) holdLock(ctx context.Context) (*flock.Flock, error) {
	return m.cache.lockFetch(ctx, m.name)
}

// judge tells a damaged mirror from the faults of the host, the limits of a job and its end.
func (m *Mirror) judge(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || errors.As(err, new(sandbox.HostFault)) || errors.As(err, new(sandbox.LimitExceeded)) ||
		errors.As(err, new(git.FetchError)) || errors.As(err, new(Damaged)) {
		return err
	}
	return Damaged{err}
}

// reader is the git process that reads what the goroutine of the mirror asks for, one for all of that.
func (m *Mirror) reader(ctx context.Context) (*Objects, error) {
	if m.objects != nil && !m.objects.over.Load() {
		return m.objects, nil
	}
	m.close()
	objects, err := m.Objects(ctx)
	if err != nil {
		return nil, err
	}
	m.objects = objects
	return objects, nil
}

// Blob returns the contents of a file, as that of Objects.
func (m *Mirror) Blob(ctx context.Context, id string, most int64) (data []byte, size int64, err error) {
	objects, err := m.reader(ctx)
	if err != nil {
		return nil, 0, err
	}
	return objects.Blob(ctx, id, most)
}

// lend calls read, and ends the process that it let read.
func (m *Mirror) lend(ctx context.Context, read func(context.Context, *Mirror) error) error {
	defer m.close()
	return read(ctx, m)
}

func (m *Mirror) close() {
	if m.objects != nil {
		m.objects.Close()
	}
}
