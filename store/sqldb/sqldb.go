// Package sqldb opens PostgreSQL and SQLite and hides what differs between them: dialects and connections, transactions
// and their order, bulk loading, advisory locks, the clock that replicas share, and migrations. It knows no table but
// those of the migrations themselves.
//
// Reading order: dialect.go and connect.go (from a URL to a pool), tx.go (transactions), query.go (helpers for SQL),
// bulk.go and batcher.go (many rows, many writers), clock.go, then migrate.go with schema.go.
package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"
	migrate "github.com/rubenv/sql-migrate"

	"github.com/scanhook/scanhook/core"
)

// Config says which database to open.
type Config struct {
	URL     string                                  // sqlite:FILE or postgres://…
	Waiting func(what string)                       // is told at once and then now and then what a migration waits for; may be nil
	Wrap    func(driver.Connector) driver.Connector // sees all statements, for tests; may be nil
}

// DB is an open database with the rules of its engine.
type DB struct {
	*sqlx.DB
	dialect
	urgent  *sqlx.DB // connections for urgent transactions alone; DB itself where all share one writer
	writing *writer
	serving *flock.Flock // of an embedded database, held by the process that serves it
}

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
	if d.urgentConns > 0 {
		if db.urgent, _, err = connect(cfg); err != nil {
			_ = pool.Close()
			return nil, fmt.Errorf("opening database: %w", err)
		}
		db.urgent.SetMaxOpenConns(d.urgentConns)
	}
	return db, nil
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

func newDB(pool *sqlx.DB, d dialect) *DB {
	return &DB{DB: pool, dialect: d, urgent: pool, writing: newWriter(d)}
}

// Close closes all connections.
func (db *DB) Close() error {
	err := db.DB.Close()
	if db.urgent != db.DB {
		err = errors.Join(db.urgent.Close(), err)
	}
	if db.serving != nil {
		err = errors.Join(err, db.serving.Unlock())
	}
	return err
}

// Ping tells whether the database answers; core.ErrUnavailable when it does not.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return Classify(db.GetContext(ctx, &one, `SELECT 1`))
}

// Urgent are the connections for reads that an urgent transaction depends on.
func (db *DB) Urgent() *sqlx.DB { return db.urgent }

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
	if err := checkSchema(ctx, db.DB, db.dialect); err != nil {
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
