package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"
	migrate "github.com/rubenv/sql-migrate"

	"github.com/scanhook/scanhook/migrations"
)

const (
	schemaTable  = "schema_migrations"
	advisoryLock = 0x5ca_4400_c // any number that all replicas agree on
	lockPause    = 200 * time.Millisecond
	unlockTime   = 2 * time.Second
)

// Migrate moves the schema of the database at url: up as far as it goes, or down by steps. It returns how many
// migrations were applied.
func Migrate(ctx context.Context, url string, direction Direction, steps int) (int, error) {
	db, d, err := connect(url)
	if err != nil {
		return 0, fmt.Errorf("opening database: %w", err)
	}
	defer func() { _ = db.Close() }()
	n, err := migrateLocked(ctx, db, d, migrate.MigrationDirection(direction), steps)
	if err != nil {
		return n, fmt.Errorf("migrating database: %w", classify(err))
	}
	return n, nil
}

// Direction of a migration.
type Direction int

// The directions.
const (
	Up   = Direction(migrate.Up)
	Down = Direction(migrate.Down)
)

func migrateUp(ctx context.Context, db *sqlx.DB, d dialect) error {
	_, err := migrateLocked(ctx, db, d, migrate.Up, 0)
	return err
}

func migrateLocked(ctx context.Context, db *sqlx.DB, d dialect, to migrate.MigrationDirection, steps int) (int, error) {
	unlock, err := lockSchema(ctx, db, d)
	if err != nil {
		return 0, err
	}
	defer unlock()
	set := migrate.MigrationSet{TableName: schemaTable}
	source := migrate.EmbedFileSystemMigrationSource{FileSystem: migrations.Files, Root: d.name}
	n, err := set.ExecMaxContext(ctx, db.DB, d.migrate, source, to, steps)
	var plan *migrate.PlanError
	var failed *migrate.TxError // which hides what went wrong from errors.Is
	switch {
	case errors.As(err, &plan):
		return n, fmt.Errorf("the database is newer than this scanhook, install the newer version: %w", err)
	case errors.As(err, &failed):
		return n, fmt.Errorf("applying %s: %w", failed.Migration.Id, failed.Err)
	}
	return n, err
}

// lockSchema keeps other processes from migrating meanwhile.
func lockSchema(ctx context.Context, db *sqlx.DB, d dialect) (unlock func(), err error) {
	if d.file == "" {
		return lockAdvisory(ctx, db)
	}
	lock := flock.New(d.beside(".lock"))
	if _, err := lock.TryLockContext(ctx, lockPause); err != nil {
		return nil, fmt.Errorf("locking %s: %w: the database's folder must exist and be writable", lock.Path(), err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// lockAdvisory polls: a session that waits inside pg_advisory_lock holds a snapshot, for which CREATE INDEX
// CONCURRENTLY in the winner's migration would wait for ever.
func lockAdvisory(ctx context.Context, db *sqlx.DB) (unlock func(), err error) {
	conn, err := db.Connx(ctx)
	if err != nil {
		return nil, err
	}
	for locked := false; !locked; {
		if err := conn.GetContext(ctx, &locked, `SELECT pg_try_advisory_lock($1)`, advisoryLock); err != nil {
			_ = conn.Close()
			return nil, err
		}
		if !locked {
			pause(ctx, lockPause)
		}
	}
	return func() {
		unlocking, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTime)
		defer cancel()
		_, _ = conn.ExecContext(unlocking, `SELECT pg_advisory_unlock($1)`, advisoryLock) // or the session ends
		_ = conn.Close()
	}, nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
