package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	sqlitedriver "modernc.org/sqlite"
)

// Config says which database to open.
type Config struct {
	URL     string                                  // sqlite:FILE or postgres://…
	Waiting func(what string)                       // is told at once and then now and then what a migration waits for; may be nil
	Wrap    func(driver.Connector) driver.Connector // sees all statements, for tests; may be nil
}

// connect opens the first pool for a database URL. It does not yet talk to the server.
func connect(cfg Config) (*sqlx.DB, dialect, error) {
	d, err := dialectOf(cfg.URL)
	if err != nil {
		return nil, dialect{}, err
	}
	db, err := d.open(d.dsn, d.maxConns, cfg)
	return db, d, err
}

func dialectOf(rawURL string) (dialect, error) {
	scheme, rest, _ := strings.Cut(rawURL, ":")
	switch scheme {
	case "postgres", "postgresql":
		dsn, err := postgresDSN(rawURL)
		server := postgres
		server.dsn, server.reservedDSN = dsn, dsn
		return server, err
	case "sqlite":
		embedded := sqlite
		embedded.file, embedded.rows = strings.TrimPrefix(rest, "//"), new(rowSource)
		embedded.dsn, embedded.reservedDSN = sqliteDSN(embedded.file, readerCache), sqliteDSN(embedded.file, writerCache)+undoInMemory
		return embedded, nil
	}
	return dialect{}, fmt.Errorf("database.url must start with sqlite: or postgres://, not %q", scheme+":")
}

// open makes a pool of at most so many connections.
func (d dialect) open(dsn string, conns int, cfg Config) (*sqlx.DB, error) {
	sqlx.BindDriver(sqlite.driver, sqlx.QUESTION) // sqlx does not know modernc's driver name
	connector, err := d.connector(dsn)
	if err != nil {
		return nil, err
	}
	if cfg.Wrap != nil {
		connector = cfg.Wrap(connector)
	}
	db := sqlx.NewDb(sql.OpenDB(connector), d.driver)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, nil
}

// What a connection to SQLite keeps of the file, in kB. Rows go to random places of the indexes: the one that writes needs
// those pages again, and they stay valid as long as no other connection writes.
const (
	readerCache = 2000
	writerCache = 32000
)

// undoInMemory keeps there what a statement needs to be undone alone: the pages before its changes. A statement for many rows
// changes a page in each index for each of them, and would write all these to a file of its own.
const undoInMemory = "&_pragma=temp_store(MEMORY)"

// sqliteDSN makes every commit durable (synchronous FULL), lets BEGIN take the write lock, and stores times as sortable
// UTC text. A page is written back once for many commits.
func sqliteDSN(path string, cache int) string {
	return "file:" + uriPath.Replace(path) + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=cache_size(-" + strconv.Itoa(cache) + ")&_pragma=wal_autocheckpoint(4000)" +
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
		"connect_timeout": "5", "fallback_application_name": "scanhook",
	}
	query.Set("binary_parameters", "yes") // in whichever form the URL has it: arrays go over the wire in binary
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

// uriPath escapes the characters of a file's name that have a meaning in SQLite's URIs.
var uriPath = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")

// connector opens connections as the dialect needs them.
func (d dialect) connector(dsn string) (driver.Connector, error) {
	if d.singleWriter {
		return newEmbedded(d, dsn)
	}
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	connector.Dialer(network{})
	return sessions{connector}, nil
}

// embedded opens connections to a database file, with a driver of its own because of the module.
type embedded struct {
	engine *sqlitedriver.Driver
	dsn    string
}

func newEmbedded(d dialect, dsn string) (driver.Connector, error) {
	engine := new(sqlitedriver.Driver)
	if err := engine.RegisterModule(rowModule, d.rows); err != nil {
		return nil, err
	}
	return embedded{engine, dsn}, nil
}

func (e embedded) Driver() driver.Driver { return e.engine }

func (e embedded) Connect(context.Context) (driver.Conn, error) {
	conn, err := e.engine.Open(e.dsn)
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("connections of %T cannot keep statements", conn), conn.Close())
	}
	kept, err := simplelru.NewLRU(keptStatements, func(_ string, s *keptStmt) { s.drop() })
	return &keepingConn{whole, kept}, err
}
