package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	sqlitedriver "modernc.org/sqlite"
)

// noJIT spares the compilation of statements, which takes longer than any of ours. Behind a pooler it counts for the
// connection that the statement happens to go to, so transactions say it again.
const noJIT = `SET jit = off`

// beginTransaction also lets the server end a transaction that its process has left alone, and with it the locks that
// other replicas wait for: the process is stopped, or the network has cut it off. Shorter than intakeTimeout, so that
// those who wait get through; much longer than anything that we do between two statements. All of it is one message and
// ends with the transaction: a pooler may give the next one another connection, and this connection to somebody else.
//
// A bitmap of rows takes the entries of all rows that have left an index, until the table is vacuumed: whoever claims would
// read everything that was ever claimed. Walking the index marks such entries, and passes over them from then on. Nor may
// a table that looks small be read whole: without statistics it looks small for long.
const beginTransaction = `BEGIN; SET LOCAL jit = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off;
	SET LOCAL idle_in_transaction_session_timeout = '5s'`

func pool(d dialect, dsn string) (*sqlx.DB, error) {
	connector, err := connectorFor(d, dsn)
	if err != nil {
		return nil, err
	}
	return sqlx.NewDb(sql.OpenDB(connector), d.driver), nil
}

func connectorFor(d dialect, dsn string) (driver.Connector, error) {
	if d.driver == sqlite.driver {
		return embeddedConnector(d, dsn)
	}
	connector, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	connector.Dialer(network{})
	return sessions{connector}, nil
}

// silence is how long a server may leave unanswered what was sent to it before the connection counts as dead: without
// it the system goes on for a quarter of an hour, and whoever asked waits with it.
const silence = 20 * time.Second

// network dials PostgreSQL.
type network struct{}

func (n network) Dial(network, address string) (net.Conn, error) {
	return n.DialContext(context.Background(), network, address)
}

func (n network) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return n.DialContext(ctx, network, address)
}

func (network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		Control:         boundSilence,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 2, Interval: silence / 8, Count: 4},
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if l, wanted := ctx.Value(lineKey{}).(*line); wanted && err == nil {
		l.attach(conn)
	}
	return conn, err
}

// sessions opens sessions of PostgreSQL. What they need is said in SQL: poolers refuse startup parameters.
type sessions struct{ driver.Connector }

func (s sessions) Connect(ctx context.Context) (driver.Conn, error) {
	l, err := openLine(ctx, s.Connector)
	if err != nil {
		return nil, err
	}
	if _, err := l.ExecContext(ctx, noJIT, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the session: %w", err), l.Close())
	}
	return l, nil
}

func embeddedConnector(d dialect, dsn string) (driver.Connector, error) {
	engine := new(sqlitedriver.Driver)
	if err := engine.RegisterModule(rowModule, d.rows); err != nil {
		return nil, err
	}
	return embedded{engine, dsn}, nil
}

// embedded opens connections to a database file, with a driver of its own because of the module.
type embedded struct {
	engine *sqlitedriver.Driver
	dsn    string
}

func (e embedded) Driver() driver.Driver                        { return e.engine }
func (e embedded) Connect(context.Context) (driver.Conn, error) { return e.engine.Open(e.dsn) }
