package sqldb

import (
	"context"
	"errors"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"
)

// DB is an open database with the rules of its engine. Its second pool serves urgent transactions and their reads on a
// server. On an embedded database it is one connection for all transactions: compiled statements and pages in memory
// are of use to the next one.
type DB struct {
	*sqlx.DB
	dialect
	transactions [2]*sqlx.DB // by priority
	urgent       *sqlx.DB    // for reads that urgent transactions depend on
	second       *sqlx.DB    // nil for a command that does one thing
	writing      *writer
	serving      *flock.Flock // of an embedded database, held by the process that serves it
}

func newDB(pool *sqlx.DB, d dialect) *DB {
	return &DB{
		DB: pool, dialect: d, transactions: [...]*sqlx.DB{normal: pool, urgent: pool}, urgent: pool, writing: newWriter(d),
	}
}

// reserve opens the second pool.
func (db *DB) reserve(cfg Config) (err error) {
	if db.second, err = db.open(db.reservedDSN, db.reserved, cfg); err != nil {
		return err
	}
	db.transactions[urgent] = db.second
	if db.singleWriter {
		db.transactions[normal] = db.second
	} else {
		db.urgent = db.second
	}
	return nil
}

// Close closes all connections.
func (db *DB) Close() error {
	err := db.DB.Close()
	if db.second != nil {
		err = errors.Join(db.second.Close(), err)
	}
	if db.serving != nil {
		err = errors.Join(err, db.serving.Unlock())
	}
	return err
}

// Pools are the pools of connections.
func (db *DB) Pools() []*sqlx.DB {
	if db.second == nil {
		return []*sqlx.DB{db.DB}
	}
	return []*sqlx.DB{db.DB, db.second}
}

// Ping tells whether the database answers; core.ErrUnavailable when it does not.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return Classify(db.GetContext(ctx, &one, `SELECT 1`))
}

// Urgent are the connections for reads that an urgent transaction depends on.
func (db *DB) Urgent() *sqlx.DB { return db.urgent }

// maxDeadlocks is how often a transaction may be chosen to break a deadlock.
const maxDeadlocks = 3

// Transact runs work in one transaction. Errors are classified.
func (db *DB) Transact(ctx context.Context, work func(*sqlx.Tx) error) error {
	return db.transactAs(ctx, normal, work)
}

// TransactUrgent is Transact for callers who hang up after a few seconds: it goes before others that wait to write, and has
// connections of its own.
func (db *DB) TransactUrgent(ctx context.Context, work func(*sqlx.Tx) error) error {
	return db.transactAs(ctx, urgent, work)
}

func (db *DB) transactAs(ctx context.Context, as priority, work func(*sqlx.Tx) error) error {
	release, err := db.writing.take(ctx, as)
	if err != nil {
		return Classify(err)
	}
	defer release()
	tx, err := db.transactions[as].BeginTxx(ctx, nil)
	if err != nil {
		return Classify(err)
	}
	defer func() { _ = tx.Rollback() }() // also where work panics: somebody may recover, and the connection must be free
	if err := work(tx); err != nil {
		return Classify(err)
	}
	return Classify(tx.Commit())
}

// Retry runs a transaction again when PostgreSQL ended it to break a deadlock: it ends one of two transactions, and the
// other one is finished by then.
func Retry(transact func() error) (err error) {
	for range maxDeadlocks {
		if err = transact(); !isDeadlock(err) {
			return err
		}
	}
	return err
}

// priority is a transaction's place among those that wait to write.
type priority int

const (
	normal priority = iota
	urgent
)

// writer lets one transaction write at a time, on an engine that cannot have two: waiting here is fair, cheap and ends
// with its context. At most one normal writer queues for the slot, so an urgent one waits for at most two transactions.
// A nil writer does not wait.
type writer struct{ queue, slot Slots }

func newWriter(d dialect) *writer {
	if !d.singleWriter {
		return nil
	}
	return &writer{queue: NewSlots(1), slot: NewSlots(1)}
}

// take waits for the right to write, which release gives back. The error is that of ctx.
func (w *writer) take(ctx context.Context, as priority) (release func(), err error) {
	if w == nil {
		return func() {}, nil
	}
	if as != urgent {
		leave, err := w.queue.Take(ctx)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	return w.slot.Take(ctx)
}

// Slots bounds how many do the same thing at a time.
type Slots chan struct{}

// NewSlots returns n free slots.
func NewSlots(n int) Slots { return make(Slots, n) }

// Take waits for a slot, which release gives back. The error is that of ctx.
func (s Slots) Take(ctx context.Context) (release func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
