package store

import (
	"cmp"
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
	name         string // folder of the migrations
	driver       string // name in database/sql
	migrate      string // name in sql-migrate
	singleWriter bool   // one write transaction at a time: wait in Go, where waiting is fair and cheap
	forUpdate    string // locks the selected rows until the transaction ends
	skipLocked   string // the same, passing over rows that others hold
	maxConns     int
	frontConns   int        // connections kept for intake; 0 where all share one writer anyway
	file         string     // path of an embedded database
	serverTime   string     // tells the time of a server
	copies       bool       // rows in bulk come by COPY
	rows         *rowSource // where an embedded database reads rows in bulk
	beginFeed    string     // keeps other imports of lists out until the transaction ends
	stageScores  string     // makes the temporary table epss_staged
	shareProject string     // keeps triage of a scan's project out until the transaction ends
	lockProject  string     // keeps triage and reports of a scan's project out
	lockCommit   string     // keeps reports out that are to be compared with that of a scan's commit
	shareBase    string     // keeps reports out of the commit that a scan is to be compared with
	schemaParts  string     // lists columns and indexes in words
	mayPrune     string     // tells whether no other process is pruning, and keeps others out until the transaction ends
}

// projectKey is the number under which PostgreSQL locks a scan's project.
const projectKey = `hashtextextended(source_platform || '/' || project_name, 0)`

// commitKeyOf begins the number under which PostgreSQL locks a commit.
const commitKeyOf = `hashtextextended(source_platform || '/' || project_name || '@' || `

var (
	postgres = dialect{
		name: "postgres", driver: "postgres", migrate: "postgres",
		forUpdate: "FOR UPDATE", skipLocked: "FOR UPDATE SKIP LOCKED", maxConns: 14, frontConns: 2,
		copies: true, serverTime: `SELECT clock_timestamp()`,
		// A lock of the table itself would wait for autovacuum. A list is compared with all that is known.
		beginFeed: `SELECT pg_advisory_xact_lock('epss_data'::regclass::oid::bigint); SET LOCAL work_mem = '64MB';
			SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on`,
		stageScores: `CREATE TEMP TABLE epss_staged (cve_id TEXT NOT NULL, probability DOUBLE PRECISION NOT NULL,
			percentile DOUBLE PRECISION NOT NULL)`,
		shareProject: `SELECT pg_advisory_xact_lock_shared(` + projectKey + `) FROM scans WHERE id = ?`,
		lockProject:  `SELECT pg_advisory_xact_lock(` + projectKey + `) FROM scans WHERE id = ?`,
		lockCommit:   `SELECT pg_advisory_xact_lock(` + commitKeyOf + `commit_sha, 0)) FROM scans WHERE id = ?`,
		shareBase: `SELECT pg_advisory_xact_lock_shared(` + commitKeyOf + `merge_base_sha, 0)) FROM scans
			WHERE id = ? AND merge_base_sha <> '' AND merge_base_sha <> commit_sha`,
		schemaParts: `SELECT 'column ' || table_name || '.' || column_name FROM information_schema.columns
			WHERE table_schema = current_schema()
			UNION SELECT 'index ' || indexname FROM pg_indexes WHERE schemaname = current_schema()`,
		mayPrune: `SELECT pg_try_advisory_xact_lock('removed_scans'::regclass::oid::bigint)`,
	}
	sqlite = dialect{
		name: "sqlite", driver: "sqlite", migrate: "sqlite3", singleWriter: true, maxConns: 8,
		stageScores: `CREATE TEMP TABLE epss_staged (cve_id TEXT PRIMARY KEY, probability REAL NOT NULL,
			percentile REAL NOT NULL) WITHOUT ROWID`,
		schemaParts: `SELECT 'column ' || t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
			WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'
			UNION SELECT 'index ' || name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL`,
	}
)

// connect opens the pool for a database URL. It does not yet talk to the server.
func connect(rawURL string) (*sqlx.DB, dialect, error) {
	scheme, rest, _ := strings.Cut(rawURL, ":")
	switch scheme {
	case "postgres", "postgresql":
		dsn, err := postgresDSN(rawURL)
		if err != nil {
			return nil, dialect{}, err
		}
		return open(postgres, dsn)
	case "sqlite":
		embedded := sqlite
		embedded.file, embedded.rows = strings.TrimPrefix(rest, "//"), new(rowSource)
		return open(embedded, sqliteDSN(embedded.file))
	}
	return nil, dialect{}, fmt.Errorf("database.url must start with sqlite: or postgres://, not %q", scheme+":")
}

func open(d dialect, dsn string) (*sqlx.DB, dialect, error) {
	sqlx.BindDriver(sqlite.driver, sqlx.QUESTION) // sqlx does not know modernc's driver name
	db, err := pool(d, dsn)
	if err != nil {
		return nil, dialect{}, err
	}
	db.SetMaxOpenConns(d.maxConns)
	db.SetMaxIdleConns(d.maxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, d, nil
}

// keepPrivate makes the file of a new embedded database, which only its owner may read; it tells what is wrong with
// private code. One that exists keeps its mode, and what cannot be made here SQLite complains about itself.
func (d dialect) keepPrivate() {
	if d.file == "" {
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

// uriPath keeps the characters of a file's name from meaning something in SQLite's URI.
var uriPath = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")

// sqliteDSN makes every commit durable (synchronous FULL), lets BEGIN take the write lock, and stores times as sortable
// UTC text.
func sqliteDSN(path string) string {
	return "file:" + uriPath.Replace(path) + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_txlock=immediate&_timezone=UTC&_time_format=sqlite&_texttotime=1"
}

// serversOf splits h1:p1,h2:p2 as libpq does. The driver takes hosts and ports apart only, and each once.
func serversOf(list string) (hosts, ports string) {
	var names, numbers []string
	for server := range strings.SplitSeq(list, ",") {
		name, number, _ := strings.Cut(server, ":")
		names, numbers = append(names, name), append(numbers, cmp.Or(number, "5432"))
	}
	return strings.Join(names, ","), strings.Join(numbers, ",")
}

// postgresDSN bounds how long a connection attempt may take, for a receiver must answer 503 while its caller still
// waits, and lets a statement with parameters take one round trip, where the driver's own way takes two.
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
