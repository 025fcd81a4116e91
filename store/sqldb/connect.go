package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"strings"
	"time"

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

// uriPath escapes the characters of a file's name that have a meaning in SQLite's URIs.
var uriPath = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")

// newPool opens connections as the dialect needs them.
func newPool(d dialect, dsn string, cfg Config) (*sqlx.DB, error) {
	connector, err := connectorFor(d, dsn)
	if err != nil {
		return nil, err
	}
	if cfg.Wrap != nil {
		connector = cfg.Wrap(connector)
	}
	return sqlx.NewDb(sql.OpenDB(connector), d.driver), nil
}

func connectorFor(d dialect, dsn string) (driver.Connector, error) {
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

func (e embedded) Connect(context.Context) (driver.Conn, error) { return e.engine.Open(e.dsn) }
