// Package sqldb opens PostgreSQL and SQLite and hides what differs between them: dialects and connections, transactions
// and their order, bulk loading, advisory locks, the clock that replicas share, and migrations. It knows no table but
// those of the migrations themselves.
//
// Reading order: dialect.go and connect.go (from a URL to a pool), db.go (transactions), query.go (helpers for SQL),
// bulk.go and batcher.go (many rows, many writers), clock.go, then migrate.go.
package sqldb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	migrate "github.com/rubenv/sql-migrate"

	"github.com/scanhook/scanhook/core"
)

// Open connects, brings the schema up to date and returns the database. Two processes may open one database at once.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	pool, d, err := connect(cfg)
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	db := newDB(pool, d)
	d.createPrivately()
	if _, err := (migration{pool, d, cfg.Waiting}).run(ctx, migrate.Up, 0); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("migrating database: %w", Classify(err))
	}
	if err := db.reserve(cfg); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("opening database: %w", err)
	}
	return db, nil
}

// createPrivately makes the file of a new embedded database readable by its owner only. A file that exists keeps its
// mode. SQLite itself reports a file that cannot be created.
func (d dialect) createPrivately() {
	if !d.Embedded() {
		return
	}
	if file, err := os.OpenFile(d.file, os.O_CREATE|os.O_RDWR, 0o600); err == nil {
		_ = file.Close()
	}
}

// Attach opens a database as it is, for a command that reads it or does one thing; errors are those of Probe.
func Attach(ctx context.Context, url string) (*DB, error) {
	if err := Probe(ctx, url); err != nil {
		return nil, err
	}
	return AttachUnchecked(url)
}

// AttachUnchecked is Attach whatever the schema is; core.ErrNotFound for an SQLite file that Open would create.
func AttachUnchecked(url string) (*DB, error) {
	pool, d, err := connect(Config{URL: url})
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	if err := d.findFile(); err != nil {
		_ = pool.Close()
		return nil, fmt.Errorf("looking for database: %w", err)
	}
	return newDB(pool, d), nil
}

// Probe tells whether the database at url would accept writes, without touching its schema: it begins a transaction and
// rolls it back, and compares the schema with the migrations. Errors: core.ErrNotFound for an SQLite file that Open would
// create, core.ErrUnavailable when the server does not answer, and what the driver says of a wrong password or a database
// that does not exist.
func Probe(ctx context.Context, url string) error {
	db, err := AttachUnchecked(url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := db.probeWrites(ctx); err != nil {
		return err
	}
	if _, err := checkSchema(ctx, db.DB, db.dialect); err != nil {
		return fmt.Errorf("looking at the schema: %w", Classify(err))
	}
	return nil
}

func (db *DB) probeWrites(ctx context.Context) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("reaching database: %w", Classify(explainPooler(ctx, db.DB, err)))
	}
	readOnly, mayCreate := false, true
	if db.Embedded() { // a file that is write-protected lets transactions begin
		_, err = tx.ExecContext(ctx, `CREATE TABLE probe_of_scanhook (id INTEGER)`)
	} else {
		err = tx.QueryRowxContext(ctx, `SELECT current_setting('transaction_read_only')::boolean,
			to_regclass('`+MigrationsTable+`') IS NOT NULL OR COALESCE(has_schema_privilege(current_schema(), 'CREATE'), FALSE)`).
			Scan(&readOnly, &mayCreate)
	}
	if err = errors.Join(err, tx.Rollback()); err != nil {
		return fmt.Errorf("reaching database: %w", Classify(err))
	}
	if readOnly {
		return fmt.Errorf("writing to database: %w%s", core.ErrUnavailable, adviceReadOnly)
	}
	if !mayCreate {
		return fmt.Errorf("creating tables: %w%s", core.ErrConflict, adviceSchema)
	}
	return nil
}

// CheckIntegrity looks for damage in the embedded database at url; errors are those of Attach, too.
func CheckIntegrity(ctx context.Context, url string) error {
	db, err := Attach(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.CheckIntegrity(ctx)
}

// CheckIntegrity looks for damage in an embedded database.
func (db *DB) CheckIntegrity(ctx context.Context) error {
	var answer string
	if err := db.GetContext(ctx, &answer, `PRAGMA quick_check(1)`); err != nil {
		return fmt.Errorf("looking through the database: %w", Classify(err))
	}
	if answer != "ok" {
		return fmt.Errorf("looking through the database: %s%s", strings.Join(strings.Fields(answer), " "), adviceDamaged)
	}
	return nil
}

// Skew is how far the clock of the database at url is ahead of the host's, as by Sync; errors are those of Attach, too.
func Skew(ctx context.Context, url string) (time.Duration, error) {
	db, err := Attach(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	return NewClock(db, HostClock{}, nil).Sync(ctx)
}

// Volatile names the settings of the PostgreSQL server at url because of which a commit may be lost with the server, or does not
// wait for the standbys that shall have it; none on SQLite. Errors are those of Attach, too.
func Volatile(ctx context.Context, url string) (settings []string, err error) {
	db, err := Attach(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	if db.Embedded() {
		return nil, nil
	}
	err = db.SelectContext(ctx, &settings, `
		SELECT name || ' = ' || setting FROM pg_settings WHERE (name, setting) IN (('fsync', 'off'), ('synchronous_commit', 'off'))
		OR name = 'synchronous_commit' AND setting = 'local' AND current_setting('synchronous_standby_names') <> ''
		ORDER BY name`)
	return settings, Classify(err)
}
