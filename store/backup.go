package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// Backup writes a copy of the embedded database at url to file, as it was at one moment, while others go on reading and
// writing it. The copy has been read through and is on disk when its size in bytes is returned; only its owner may read
// it. core.ErrConflict where the file exists, core.ErrInvalid for a database that is not embedded, core.ErrNotFound for
// one that does not exist.
func Backup(ctx context.Context, url, file string) (size int64, err error) {
	db, d, err := connect(url)
	if err != nil {
		return 0, fmt.Errorf("opening database: %w", err)
	}
	defer func() { _ = db.Close() }()
	if d.file == "" {
		return 0, fmt.Errorf("backing up: %w: only an embedded database is a file", core.ErrInvalid)
	}
	if err := probeFile(d.file); err != nil {
		return 0, fmt.Errorf("looking for database: %w", err)
	}
	if size, err = backUp(ctx, db, file); err != nil {
		return 0, fmt.Errorf("backing up: %w", classify(err))
	}
	return size, nil
}

// backUp fills a file beside the wanted one, which takes its name when it is whole.
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

// checkCopy reads a copy through.
func checkCopy(ctx context.Context, path string) error {
	copied, _, err := open(sqlite, "file:"+uriPath.Replace(path)+"?mode=ro&immutable=1")
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
