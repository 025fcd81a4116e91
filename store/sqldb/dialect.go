package sqldb

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// dialect is all that differs between the two engines.
type dialect struct {
	ForUpdate   string // locks the selected rows until the transaction ends; empty where one transaction writes at a time
	SkipLocked  string // the same, leaving out rows that others hold
	ForKeyShare string // keeps the selected rows from being deleted until the transaction ends

	name         string // folder of the migrations
	driver       string // name in database/sql
	migrate      string // name in sql-migrate
	singleWriter bool   // one write transaction at a time: wait in Go, where waiting is fair and cheap
	maxConns     int
	reserved     int        // connections of the second pool, see DB
	dsn          string     // of the pools' connections, for the driver
	reservedDSN  string     // the same for the second pool
	file         string     // path of an embedded database
	serverTime   string     // asks a server for its time
	copies       bool       // rows in bulk come by COPY
	rows         *rowSource // where an embedded database reads rows in bulk
	chains       bool       // a statement may insert into several tables
	tableScans   string     // permits plans that read whole tables, until the transaction ends
}

var (
	postgres = dialect{
		name: "postgres", driver: "postgres", migrate: "postgres",
		ForUpdate: "FOR UPDATE", SkipLocked: "FOR UPDATE SKIP LOCKED", ForKeyShare: "FOR KEY SHARE", maxConns: 14, reserved: 2,
		copies: true, chains: true, serverTime: `SELECT clock_timestamp()`,
		tableScans: `SET LOCAL work_mem = '64MB'; SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on;
			SET LOCAL enable_mergejoin = on; SET LOCAL enable_hashjoin = on`,
	}
	sqlite = dialect{
		name: "sqlite", driver: "sqlite", migrate: "sqlite3", singleWriter: true, maxConns: 8, reserved: 1,
	}
)

// Embedded tells whether the database is a file that one process serves.
func (d dialect) Embedded() bool { return d.file != "" }

// Chains tells whether one statement may insert into several tables, WITH … AS (INSERT …). It needs no transaction, and is one round
// trip to the server and back. An embedded database has neither.
func (d dialect) Chains() bool { return d.chains }

// LockKey takes an advisory lock until the transaction ends. key is an SQL expression for a text, over the rows that the
// clause from selects with its arguments: no row, no lock. SQLite has one writer at a time and needs none.
func (d dialect) LockKey(ctx context.Context, tx *sqlx.Tx, key, from string, args ...any) error {
	return d.lock(ctx, tx, `pg_advisory_xact_lock(hashtextextended(`+key+`, `+schemaKey+`)) `+from, args)
}

// ShareKey takes the lock of LockKey beside others that share it.
func (d dialect) ShareKey(ctx context.Context, tx *sqlx.Tx, key, from string, args ...any) error {
	return d.lock(ctx, tx, `pg_advisory_xact_lock_shared(hashtextextended(`+key+`, `+schemaKey+`)) `+from, args)
}

// TryLockKey takes the lock of a text as LockKey does, without waiting: locked is false where another transaction holds it.
func (d dialect) TryLockKey(ctx context.Context, tx *sqlx.Tx, key string) (locked bool, err error) {
	if d.singleWriter {
		return true, nil
	}
	err = tx.GetContext(ctx, &locked, `SELECT pg_try_advisory_xact_lock(hashtextextended($1, `+schemaKey+`))`, key)
	return locked, err
}

// LockTable takes a table's advisory lock until the transaction ends. A lock of the table itself would wait for
// autovacuum.
func (d dialect) LockTable(ctx context.Context, tx *sqlx.Tx, table string) error {
	return d.lock(ctx, tx, `pg_advisory_xact_lock(`+tableKey(table)+`)`, nil)
}

// TryLockTable is LockTable without waiting: locked is false where another transaction holds the lock.
func (d dialect) TryLockTable(ctx context.Context, tx *sqlx.Tx, table string) (locked bool, err error) {
	if d.singleWriter {
		return true, nil
	}
	err = tx.GetContext(ctx, &locked, `SELECT pg_try_advisory_xact_lock(`+tableKey(table)+`)`)
	return locked, err
}

// schemaKey keeps those apart who share a database in schemas of their own.
const schemaKey = `COALESCE(current_schema()::regnamespace::oid::int, 0)`

// tableKey differs between schemas.
func tableKey(table string) string { return `'` + table + `'::regclass::oid::bigint` }

func (d dialect) lock(ctx context.Context, tx *sqlx.Tx, lock string, args []any) error {
	if d.singleWriter {
		return nil
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(`SELECT `+lock), args...)
	return err
}

// AllowTableScans permits plans that read whole tables until the transaction ends; transactions forbid them otherwise.
func (d dialect) AllowTableScans(ctx context.Context, tx *sqlx.Tx) error {
	if d.tableScans == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, d.tableScans)
	return err
}
