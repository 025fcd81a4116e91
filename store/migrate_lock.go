package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

const (
	advisoryLock = 0x5ca_4400_c // any number that all replicas agree on
	lockPause    = 200 * time.Millisecond
	sayAgain     = 15 * time.Second // how often is told what a process waits for
	lockSign     = 10 * time.Second // how often the one that holds the lock gives a sign of life
)

// lock keeps other processes from migrating until unlock. The context that it returns ends when the lock is lost.
func (m migration) lock(ctx context.Context) (locked context.Context, unlock func(), err error) {
	if m.dialect.file != "" {
		unlock, err = m.lockFile(ctx)
		return ctx, unlock, err
	}
	tx, err := m.lockAdvisory(ctx)
	if err != nil {
		return ctx, nil, err
	}
	locked, lose := context.WithCancelCause(ctx)
	stop := keepAlive(locked, tx, func(err error) { lose(fmt.Errorf("losing the migration lock: %w", err)) })
	return locked, func() {
		stop()
		_ = tx.Rollback()
		lose(nil)
	}, nil
}

func (m migration) lockFile(ctx context.Context) (unlock func(), err error) {
	lock := flock.New(m.dialect.beside(".lock"))
	for told := m.teller(); ; pause(ctx, lockPause) {
		locked, err := lock.TryLock()
		if err == nil && !locked {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w: the database's folder must exist and be writable", lock.Path(), err)
		}
		if locked {
			return func() { _ = lock.Unlock() }, nil
		}
		told(func() string { return "another process migrates the database, and holds " + lock.Path() + " meanwhile" })
	}
}

// lockAdvisory takes a lock that ends with a transaction of its own: a session's would stay behind at a pooler. It
// polls, for one that waits in the server holds a snapshot, for which CREATE INDEX CONCURRENTLY in the winner's
// migration would wait for ever.
func (m migration) lockAdvisory(ctx context.Context) (*sqlx.Tx, error) {
	for told := m.teller(); ; pause(ctx, lockPause) {
		tx, err := m.db.BeginTxx(ctx, nil)
		if err != nil {
			return nil, explainPooler(ctx, m.db, err)
		}
		locked := false
		err = tx.GetContext(ctx, &locked, `SELECT pg_try_advisory_xact_lock($1)`, advisoryLock)
		if err == nil && locked {
			// Longer than between two signs of life, and not for ever, for the process may be cut off.
			_, err = tx.ExecContext(ctx, `SET LOCAL idle_in_transaction_session_timeout = '1min'`)
		}
		if err == nil && locked {
			return tx, nil
		}
		_ = tx.Rollback()
		if err != nil {
			return nil, err
		}
		told(func() string { return m.holder(ctx) })
	}
}

// holder tells who migrates.
func (m migration) holder(ctx context.Context) string {
	var who struct {
		PID         int       `db:"pid"`
		Application string    `db:"application"`
		Address     string    `db:"address"`
		Since       time.Time `db:"since"`
	}
	err := m.db.GetContext(ctx, &who, `
		SELECT a.pid, COALESCE(a.application_name, '') AS application, COALESCE(host(a.client_addr), 'its own machine') AS address,
			COALESCE(a.xact_start, a.backend_start) AS since
		FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND l.classid = 0 AND l.objid = $1 AND l.objsubid = 1 LIMIT 1`, advisoryLock)
	if err != nil {
		return "another process migrates the database"
	}
	return fmt.Sprintf("another process migrates the database, or holds its migration lock: PostgreSQL's session %d %q from %s,"+
		" since %s; should that one be dead, end it with SELECT pg_terminate_backend(%d)",
		who.PID, who.Application, who.Address, who.Since.UTC().Format(time.DateTime), who.PID)
}

// teller tells at once, and then now and then, what is waited for.
func (m migration) teller() func(what func() string) {
	var next time.Time
	return func(what func() string) {
		if now := time.Now(); m.waiting != nil && !now.Before(next) {
			m.waiting(what())
			next = now.Add(sayAgain)
		}
	}
}

// keepAlive gives signs of life in a transaction until stop: the server ends one that is idle, and so may what lies
// between.
func keepAlive(ctx context.Context, tx *sqlx.Tx, lost func(error)) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(lockSign)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := tx.ExecContext(ctx, `SELECT 1`); err != nil {
				lost(err)
				return
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}

// errPooler is what a pooler in statement mode does, which hangs up without a word that the driver would hand on.
var errPooler = fmt.Errorf("%w: the server answers statements and hangs up when a transaction begins, as PgBouncer does with"+
	" pool_mode = statement: set pool_mode to transaction or session, or let database.url name PostgreSQL itself",
	core.ErrConflict)

// explainPooler is err, why no transaction began, or errPooler where single statements before and after it are answered.
func explainPooler(ctx context.Context, db *sqlx.DB, err error) error {
	for range 2 {
		if !errors.Is(err, driver.ErrBadConn) {
			return err
		}
		if _, answers := db.ExecContext(ctx, `SELECT 1`); answers != nil {
			return err
		}
		var tx *sql.Tx
		if tx, err = db.BeginTx(ctx, nil); err == nil {
			_ = tx.Rollback()
			return fmt.Errorf("beginning a transaction: %w", driver.ErrBadConn)
		}
	}
	if errors.Is(err, driver.ErrBadConn) {
		return errPooler
	}
	return err
}
