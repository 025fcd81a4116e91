package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// handover is how long the process that serves an embedded database may take to end when another one wants to follow.
const handover = 40 * time.Second

// lockPause is how often a lock is tried.
const lockPause = 200 * time.Millisecond

// Serve makes this process the one that serves an embedded database until Close; it waits for a process that is still
// ending. core.ErrConflict when that goes on. The system frees the lock when a process dies.
func (db *DB) Serve(ctx context.Context) error {
	db.serving = flock.New(db.beside(".serve"))
	return db.await(ctx, db.serving.TryLockContext)
}

// ServeFirst is Serve for a process that lets others serve beside it, unless one does already. It does not wait; first
// tells that nobody serves the database. Call ServeBeside then.
func (db *DB) ServeFirst() (first bool, err error) {
	db.serving = flock.New(db.beside(".serve"))
	return db.serving.TryLock()
}

// ServeBeside makes this process one of several that serve an embedded database, each a part of it, until Close. It waits
// for a process that serves it alone; core.ErrConflict when that goes on.
func (db *DB) ServeBeside(ctx context.Context) error {
	if err := db.serving.Unlock(); err != nil { // locks cannot be exchanged on every system
		return err
	}
	return db.await(ctx, db.serving.TryRLockContext)
}

// await tries for a lock for as long as the process that holds it may take to end.
func (db *DB) await(ctx context.Context, try func(context.Context, time.Duration) (bool, error)) error {
	waiting, cancel := context.WithTimeout(ctx, handover)
	defer cancel()
	_, err := try(waiting, lockPause)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%w; or give each of them its parts (serve --only), or use PostgreSQL, which several can serve", db.errServed())
	}
	return err
}

// ServeNow is Serve without waiting, for a command beside which nobody may serve.
func (db *DB) ServeNow() error {
	locked, err := db.ServeFirst()
	if err == nil && !locked {
		err = db.errServed()
	}
	return err
}

func (db *DB) errServed() error {
	return fmt.Errorf("%w: another scanhook serves %s; stop it first", core.ErrConflict, db.file)
}

// beside names a file that belongs to an embedded database, whichever link leads to that.
func (d dialect) beside(suffix string) string {
	if real, err := filepath.EvalSymlinks(d.file); err == nil {
		return real + suffix
	}
	return d.file + suffix
}

// findFile keeps SQLite from creating a file that is not there.
func (d dialect) findFile() error {
	if !d.Embedded() {
		return nil
	}
	_, err := os.Stat(d.file)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	trial, err := os.CreateTemp(filepath.Dir(d.file), ".scanhook-probe-")
	if err != nil {
		return fmt.Errorf("%w: make the folder, and let the user that scanhook runs as write to it", err)
	}
	if err := errors.Join(trial.Close(), os.Remove(trial.Name())); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s is created at the first start", core.ErrNotFound, d.file)
}

// Backup writes a copy of the embedded database at url to file, as it was at one moment, while other processes go on
// reading and writing it. The copy has been checked and is on disk when its size in bytes is returned; only its owner may
// read it. core.ErrConflict where the file exists, core.ErrInvalid for a database that is not embedded, core.ErrNotFound
// for one that does not exist.
func Backup(ctx context.Context, url, file string) (size int64, err error) {
	db, d, err := connect(Config{URL: url})
	if err != nil {
		return 0, fmt.Errorf("opening database: %w", err)
	}
	defer func() { _ = db.Close() }()
	if !d.Embedded() {
		return 0, fmt.Errorf("backing up: %w: only an embedded database is a file", core.ErrInvalid)
	}
	if err := d.findFile(); err != nil {
		return 0, fmt.Errorf("looking for database: %w", err)
	}
	if size, err = backUp(ctx, db, file); err != nil {
		return 0, fmt.Errorf("backing up: %w", Classify(err))
	}
	return size, nil
}

// backUp fills a file beside the wanted one, which takes its name when it is complete.
func backUp(ctx context.Context, db *sqlx.DB, file string) (size int64, err error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return 0, errors.Join(fmt.Errorf("%w: %s exists and is not overwritten", core.ErrConflict, file), err)
	}
	partial, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".partial-*") // readable by its owner only
	if err != nil {
		return 0, fmt.Errorf("%w: its folder must exist and be writable", err)
	}
	defer func() { _ = os.Remove(partial.Name()) }()
	defer partial.Close()
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, partial.Name()); err != nil {
		return 0, err
	}
	if err := checkCopy(ctx, partial.Name()); err != nil {
		return 0, err
	}
	if err := partial.Sync(); err != nil {
		return 0, err
	}
	info, err := partial.Stat()
	if err != nil {
		return 0, err
	}
	if err := os.Rename(partial.Name(), file); err != nil {
		return 0, err
	}
	return info.Size(), syncDirectory(filepath.Dir(file))
}

// checkCopy reads all of a copy.
func checkCopy(ctx context.Context, path string) error {
	copied, err := sqlite.open("file:"+uriPath.Replace(path)+"?mode=ro&immutable=1", 1, Config{})
	if err != nil {
		return err
	}
	defer func() { _ = copied.Close() }()
	var found string
	if err := copied.GetContext(ctx, &found, `PRAGMA integrity_check(1)`); err != nil {
		return fmt.Errorf("checking the copy: %w", err)
	}
	if found != "ok" {
		return fmt.Errorf("the copy is broken, and so may be the database: %s", found)
	}
	return nil
}

// syncDirectory makes the name of a new file durable.
func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}
