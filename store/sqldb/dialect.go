package sqldb

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// dialect is all that differs between the two engines.
type dialect struct {
	ForUpdate  string // locks the selected rows until the transaction ends; empty where one transaction writes at a time
	SkipLocked string // the same, leaving out rows that others hold

	name         string // folder of the migrations
	driver       string // name in database/sql
	migrate      string // name in sql-migrate
	singleWriter bool   // one write transaction at a time: wait in Go, where waiting is fair and cheap
	maxConns     int
	urgentConns  int        // connections for urgent transactions; 0 where all share one writer anyway
	file         string     // path of an embedded database
	serverTime   string     // asks a server for its time
	copies       bool       // rows in bulk come by COPY
	rows         *rowSource // where an embedded database reads rows in bulk
	tableScans   string     // permits plans that read whole tables, until the transaction ends
	schemaParts  string     // lists columns and indexes as text
}

var (
	postgres = dialect{
		name: "postgres", driver: "postgres", migrate: "postgres",
		ForUpdate: "FOR UPDATE", SkipLocked: "FOR UPDATE SKIP LOCKED", maxConns: 14, urgentConns: 2,
		copies: true, serverTime: `SELECT clock_timestamp()`,
		tableScans: `SET LOCAL work_mem = '64MB'; SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on`,
		schemaParts: `SELECT 'column ' || table_name || '.' || column_name FROM information_schema.columns
			WHERE table_schema = current_schema()
			UNION SELECT 'index ' || indexname FROM pg_indexes WHERE schemaname = current_schema()`,
	}
	sqlite = dialect{
		name: "sqlite", driver: "sqlite", migrate: "sqlite3", singleWriter: true, maxConns: 8,
		schemaParts: `SELECT 'column ' || t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
			WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
			UNION SELECT 'index ' || name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL`,
	}
)

// Embedded tells whether the database is a file that one process serves.
func (d dialect) Embedded() bool { return d.file != "" }

// LockKey takes an advisory lock until the transaction ends. key is an SQL expression for a text, over the rows that the
// clause from selects with its arguments: no row, no lock. SQLite has one writer at a time and needs none.
func (d dialect) LockKey(ctx context.Context, tx *sqlx.Tx, key, from string, args ...any) error {
	return d.lock(ctx, tx, `pg_advisory_xact_lock(hashtextextended(`+key+`, 0)) `+from, args)
}

// ShareKey takes the lock of LockKey beside others that share it.
func (d dialect) ShareKey(ctx context.Context, tx *sqlx.Tx, key, from string, args ...any) error {
	return d.lock(ctx, tx, `pg_advisory_xact_lock_shared(hashtextextended(`+key+`, 0)) `+from, args)
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

// connect opens the pool for a database URL. It does not yet talk to the server.
func connect(cfg Config) (*sqlx.DB, dialect, error) {
	scheme, rest, _ := strings.Cut(cfg.URL, ":")
	switch scheme {
	case "postgres", "postgresql":
		dsn, err := postgresDSN(cfg.URL)
		if err != nil {
			return nil, dialect{}, err
		}
		return open(postgres, dsn, cfg)
	case "sqlite":
		embedded := sqlite
		embedded.file, embedded.rows = strings.TrimPrefix(rest, "//"), new(rowSource)
		return open(embedded, sqliteDSN(embedded.file), cfg)
	}
	return nil, dialect{}, fmt.Errorf("database.url must start with sqlite: or postgres://, not %q", scheme+":")
}

func open(d dialect, dsn string, cfg Config) (*sqlx.DB, dialect, error) {
	sqlx.BindDriver(sqlite.driver, sqlx.QUESTION) // sqlx does not know modernc's driver name
	db, err := newPool(d, dsn, cfg)
	if err != nil {
		return nil, dialect{}, err
	}
	db.SetMaxOpenConns(d.maxConns)
	db.SetMaxIdleConns(d.maxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, d, nil
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

// beside names a file that belongs to an embedded database, whichever link leads to that.
func (d dialect) beside(suffix string) string {
	if real, err := filepath.EvalSymlinks(d.file); err == nil {
		return real + suffix
	}
	return d.file + suffix
}

// uriPath escapes the characters of a file's name that have a meaning in SQLite's URIs.
var uriPath = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")

// sqliteDSN makes every commit durable (synchronous FULL), lets BEGIN take the write lock, and stores times as sortable
// UTC text. Rows go to random places of the indexes: 8 MB hold the pages that a large load fills, and a page is written
// back once for many commits.
func sqliteDSN(path string) string {
	return "file:" + uriPath.Replace(path) + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=cache_size(-8000)&_pragma=wal_autocheckpoint(4000)" +
		"&_pragma=foreign_keys(1)&_txlock=immediate&_timezone=UTC&_time_format=sqlite&_texttotime=1"
}

// postgresDSN bounds how long a connection attempt may take, because a receiver must answer 503 while its caller still
// waits, and lets a statement with parameters take one round trip instead of two.
func postgresDSN(rawURL string) (string, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", fmt.Errorf("database.url is not a URL: check the characters in user name and password")
	}
	query := u.Query()
	defaults := map[string]string{
		"connect_timeout": "5", "binary_parameters": "yes", "fallback_application_name": "scanhook",
	}
	if strings.Contains(u.Host, ",") {
		hosts, ports := serversOf(u.Host)
		defaults["host"], defaults["port"], u.Host = hosts, ports, ""
	}
	if strings.Contains(cmp.Or(query.Get("host"), defaults["host"]), ",") {
		defaults["target_session_attrs"] = "read-write" // the others are standbys
	}
	for key, value := range defaults {
		if !query.Has(key) {
			query.Set(key, value)
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// serversOf splits h1:p1,h2:p2 as libpq does. The driver takes one list of hosts and one of ports.
func serversOf(list string) (hosts, ports string) {
	var names, numbers []string
	for server := range strings.SplitSeq(list, ",") {
		name, number, _ := strings.Cut(server, ":")
		names, numbers = append(names, name), append(numbers, cmp.Or(number, "5432"))
	}
	return strings.Join(names, ","), strings.Join(numbers, ",")
}
