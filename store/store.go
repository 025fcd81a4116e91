// Package store is the stair that all rooms share: every SQL statement and every transaction of Scanhook, on PostgreSQL
// and on the embedded SQLite, with one SQL text for both.
//
// Verbs: Accept takes from outside, Claim, Finish and Settle move work along, Record keeps facts, Put is idempotent,
// Get answers core.ErrNotFound, List never does. Each method is one transaction. Reading order: intake.go, jobs.go,
// verdict.go, statuses.go with settle.go (the way of a push); walks.go (how lists page); watched.go and hooks.go (what
// is looked after now and then); retention.go.
package store

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"
	migrate "github.com/rubenv/sql-migrate"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
)

// Config says where the data lives and what the transactions need to know.
type Config struct {
	URL       string            // sqlite:FILE or postgres://…
	PublicURL string            // what the links in commit statuses start with, without a trailing slash; may be empty
	Policies  core.Policies     // what to do for which repository
	Scanners  core.Scanners     // all that are configured: whose reports are taken from outside
	Now       func() time.Time  // for tests that set the time; nil for what the clocks of database and host tell
	Host      HostClock         // the machine's when zero
	Waiting   func(what string) // told at once and then now and then what the migration waits for; may be nil
}

// Store is a migrated database.
type Store struct {
	db        *sqlx.DB
	front     *sqlx.DB // for intake alone: large reports and many readers hold up no webhook
	dialect   dialect
	given     func() time.Time // a test's time in place of the clocks; nil otherwise
	steady    *steadyClock
	policies  core.Policies
	scanners  core.Scanners
	publicURL string
	intake    batcher
	writing   *writer
	triaging  chan struct{}           // has room for those who triage
	reporting chan struct{}           // has room for those who deliver reports
	noted     notebook                // what intake need not write again
	spelt     spellings               // of projects' names
	refused   atomic.Pointer[refusal] // nil when the last deliveries were written
	claims    atomic.Int64            // of statuses
	skew      atomic.Int64            // how far the database's clock was ahead of the host's when last asked, in nanoseconds
	serving   *flock.Flock            // of an embedded database, held by the process that serves it

	changed poll.Bell
}

// Open connects, brings the schema up to date and returns the store. Two processes may open one database at once.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	db, d, err := connect(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	s := &Store{
		db: db, front: db, dialect: d, given: cfg.Now, policies: cfg.Policies, scanners: cfg.Scanners,
		publicURL: cfg.PublicURL,
	}
	if cfg.Host.Wall == nil {
		cfg.Host = machineClock()
	}
	s.steady = newSteadyClock(cfg.Host)
	s.writing = newWriter(d)
	s.triaging, s.reporting = make(chan struct{}, maxTriaging), make(chan struct{}, maxReporting)
	s.intake.commit = s.commitIntake
	d.keepPrivate()
	if _, err := (migration{db, d, cfg.Waiting}).run(ctx, migrate.Up, 0); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("migrating database: %w", classify(err))
	}
	if d.frontConns > 0 {
		if s.front, _, err = connect(cfg.URL); err != nil {
			_ = db.Close()
			return nil, fmt.Errorf("opening database: %w", err)
		}
		s.front.SetMaxOpenConns(d.frontConns)
	}
	if err := s.beginClock(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close waits for the deliveries being committed and closes all connections.
func (s *Store) Close() error {
	s.intake.wait()
	err := errors.Join(s.front.Close(), s.db.Close())
	if s.serving != nil {
		err = errors.Join(err, s.serving.Unlock())
	}
	return err
}

// Ping tells whether the database answers; core.ErrUnavailable when it does not.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return classify(s.db.GetContext(ctx, &one, `SELECT 1`))
}

// Shared tells whether other processes may serve the same database; nobody shares a nil Store.
func (s *Store) Shared() bool { return s != nil && s.dialect.file == "" }

// Changed rings when jobs may have become claimable or statuses due through this process. Other processes' changes are
// found by looking now and then.
func (s *Store) Changed() *poll.Bell { return &s.changed }

// change runs work in one transaction and tells the loops that there may be something to do.
func (s *Store) change(ctx context.Context, work func(*sqlx.Tx) error) error {
	return s.changeAs(ctx, inTurn, work)
}

func (s *Store) changeAs(ctx context.Context, as rank, work func(*sqlx.Tx) error) error {
	err := s.transactAs(ctx, as, work)
	if err == nil {
		s.changed.Ring()
	}
	return err
}

// transact runs work in one transaction.
func (s *Store) transact(ctx context.Context, work func(*sqlx.Tx) error) error {
	return s.transactAs(ctx, inTurn, work)
}

func (s *Store) transactAs(ctx context.Context, as rank, work func(*sqlx.Tx) error) error {
	release, err := s.writing.take(ctx, as)
	if err != nil {
		return classify(err)
	}
	defer release()
	db := s.db
	if as == first {
		db = s.front
	}
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return classify(err)
	}
	if err := work(tx); err != nil {
		_ = tx.Rollback()
		return classify(err)
	}
	return classify(tx.Commit())
}

// named runs one statement with :name parameters and scans all rows it returns into dest, a pointer to a slice.
func named(ctx context.Context, tx *sqlx.Tx, dest any, query string, arg any) error {
	rows, err := sqlx.NamedQueryContext(ctx, tx, query, arg)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	if err := sqlx.StructScan(rows, dest); err != nil {
		return err
	}
	return rows.Err()
}
