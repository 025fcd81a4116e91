package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// beginTransaction sets what holds for one transaction, in one message. A pooler may give the next transaction another
	// connection, and this connection to another program.
	//
	// The server ends a transaction whose process is stopped or cut off, and with it the locks that other replicas wait for.
	// The timeout is shorter than the one of urgent transactions, so that those who wait get through, and much longer than
	// anything that happens between two statements.
	beginTransaction = `BEGIN; SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0;
	SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_mergejoin = off;
	SET LOCAL enable_hashjoin = off; SET LOCAL idle_in_transaction_session_timeout = '5s'`

	// beginSession sets the same for statements outside of transactions. Behind a pooler it holds for whichever connection
	// the statement goes to.
	//
	// Compiling a statement or starting processes for it takes longer than running any of ours. A bitmap scan reads all rows
	// that match where the first of them are asked for, and visits the entries of all that have left an index until the
	// table is vacuumed: a claim would visit everything that was ever claimed. An index scan marks such entries and skips
	// them from then on. A table without statistics looks small for a long time, and a rare mark in it frequent, so it must
	// not be read whole either, nor to be joined: each row that is known leads to the others by a key.
	beginSession = `SET jit = off; SET max_parallel_workers_per_gather = 0; SET enable_bitmapscan = off; SET enable_seqscan = off;
	SET enable_mergejoin = off; SET enable_hashjoin = off`

	// answerTimeout is how long a server may leave data unacknowledged before the connection counts as dead. Without it the
	// system tries for a quarter of an hour.
	answerTimeout = 20 * time.Second

	// cancelGrace is how long a statement may go on after its context has ended: the driver asks the server to cancel it,
	// and a server that is alive does so at once.
	cancelGrace = time.Second
)

// sessions opens sessions of PostgreSQL. What they need is set by SQL, because poolers refuse startup parameters.
type sessions struct{ driver.Connector }

func (s sessions) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := openConn(ctx, s.Connector)
	if err != nil {
		return nil, err
	}
	if _, err := c.ExecContext(ctx, beginSession, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the session: %w", err), c.Close())
	}
	return c, nil
}

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
		Control:         setUserTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: answerTimeout / 2, Interval: answerTimeout / 8, Count: 4},
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if c, wanted := ctx.Value(connKey{}).(*deadlineConn); wanted && err == nil {
		c.attach(conn)
	}
	return conn, err
}

// deadlineConn is a connection to PostgreSQL on which nothing outlives its context for longer than cancelGrace. The driver
// alone waits for an answer as long as the server keeps the connection open. The end of a transaction has no context of
// its own: that of its last statement counts, which must not end before.
type deadlineConn struct {
	pqConn
	wire net.Conn

	mu         sync.Mutex
	statements int         // so far
	stop       func() bool // stops watching the last one
}

// pqConn is what a connection of lib/pq can do for database/sql.
type pqConn interface {
	driver.Conn
	driver.Tx
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// connKey is the context's key of the *deadlineConn for which the dialer connects.
type connKey struct{}

// openConn connects through network, which hands over the connection below the driver's.
func openConn(ctx context.Context, connector driver.Connector) (*deadlineConn, error) {
	c := &deadlineConn{stop: func() bool { return true }}
	defer context.AfterFunc(ctx, c.abort)()
	conn, err := connector.Connect(context.WithValue(ctx, connKey{}, c))
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(pqConn)
	if !ok || c.wire == nil {
		return nil, errors.Join(fmt.Errorf("connections of %T cannot be bounded", conn), conn.Close())
	}
	c.pqConn = whole
	return c, nil
}

// attach keeps the connection below. Where several servers were tried, the last one is it.
func (c *deadlineConn) attach(wire net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wire = wire
}

// abort ends the driver's handshake, which only has a timeout of its own.
func (c *deadlineConn) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wire != nil {
		_ = c.wire.SetDeadline(time.Now())
	}
}

// watch binds the connection to the context of the next statement and of the end of the transaction after it.
func (c *deadlineConn) watch(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop()
	c.statements++
	statement := c.statements
	_ = c.wire.SetDeadline(time.Time{})
	c.stop = context.AfterFunc(ctx, func() { c.expire(statement) })
}

// expire bounds a statement whose context has ended, if it is still the last one.
func (c *deadlineConn) expire(statement int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.statements == statement {
		_ = c.wire.SetDeadline(time.Now().Add(cancelGrace))
	}
}

// BeginTx and the methods below do as database/sql asks.
func (c *deadlineConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if opts != (driver.TxOptions{}) {
		return nil, fmt.Errorf("transactions with options would lack the settings of the others: %+v", opts)
	}
	c.watch(ctx)
	if _, err := c.pqConn.ExecContext(ctx, beginTransaction, nil); err != nil {
		_ = c.pqConn.Rollback()
		return nil, err
	}
	return c.pqConn, nil
}

func (c *deadlineConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.watch(ctx)
	return c.pqConn.PrepareContext(ctx, query)
}

func (c *deadlineConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.watch(ctx)
	return c.pqConn.ExecContext(ctx, query, args)
}

func (c *deadlineConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.watch(ctx)
	return c.pqConn.QueryContext(ctx, query, args)
}

func (c *deadlineConn) Ping(ctx context.Context) error {
	c.watch(ctx)
	return c.pqConn.Ping(ctx)
}

func (c *deadlineConn) ResetSession(ctx context.Context) error {
	c.watch(ctx)
	return c.pqConn.ResetSession(ctx)
}

// Close says goodbye, if the server listens.
func (c *deadlineConn) Close() error {
	c.watch(context.Background())
	_ = c.wire.SetDeadline(time.Now().Add(cancelGrace))
	return c.pqConn.Close()
}
