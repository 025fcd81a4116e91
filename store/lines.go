package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// grace is how long a statement may go on after its context has ended: the driver asks the server to give it up, and
// one that is alive does so at once.
const grace = time.Second

// line is a connection to PostgreSQL on which nothing outlives its context for longer than grace. The driver alone
// waits for the server's answer as long as the server keeps the connection, even if it does nothing else any more. The
// end of a transaction has no context of its own: that of the last statement counts, which must not end before.
type line struct {
	pqConn
	wire net.Conn

	mu    sync.Mutex
	asked int         // statements so far
	stop  func() bool // ends watching over the last one
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

// lineKey is the context's key of the *line for which the dialer shall connect.
type lineKey struct{}

// openLine connects by way of network, which tells what lies below the driver's connection.
func openLine(ctx context.Context, connector driver.Connector) (*line, error) {
	l := &line{stop: func() bool { return true }}
	defer context.AfterFunc(ctx, l.abandon)()
	conn, err := connector.Connect(context.WithValue(ctx, lineKey{}, l))
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(pqConn)
	if !ok || l.wire == nil {
		return nil, errors.Join(fmt.Errorf("connections of %T cannot be bounded", conn), conn.Close())
	}
	l.pqConn = whole
	return l, nil
}

// attach notes what the line goes over. Of several servers the last one that was tried is it.
func (l *line) attach(over net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wire = over
}

// abandon ends the driver's talk to a server before there is a connection: it has a timeout of its own only.
func (l *line) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wire != nil {
		_ = l.wire.SetDeadline(time.Now())
	}
}

// heed binds the line to the context of what comes now: a statement, and the end of the transaction after it.
func (l *line) heed(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stop()
	l.asked++
	asked := l.asked
	_ = l.wire.SetDeadline(time.Time{})
	l.stop = context.AfterFunc(ctx, func() { l.hurry(asked) })
}

// hurry leaves a statement that has lost its context the grace, if it is still the last one.
func (l *line) hurry(asked int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked == asked {
		_ = l.wire.SetDeadline(time.Now().Add(grace))
	}
}

// BeginTx and the methods below do as database/sql asks.
func (l *line) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if opts != (driver.TxOptions{}) {
		return nil, fmt.Errorf("transactions with options are begun without the settings of the others: %+v", opts)
	}
	l.heed(ctx)
	if _, err := l.pqConn.ExecContext(ctx, beginTransaction, nil); err != nil {
		_ = l.pqConn.Rollback()
		return nil, err
	}
	return l.pqConn, nil
}

func (l *line) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	l.heed(ctx)
	return l.pqConn.PrepareContext(ctx, query)
}

func (l *line) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	l.heed(ctx)
	return l.pqConn.ExecContext(ctx, query, args)
}

func (l *line) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	l.heed(ctx)
	return l.pqConn.QueryContext(ctx, query, args)
}

func (l *line) Ping(ctx context.Context) error {
	l.heed(ctx)
	return l.pqConn.Ping(ctx)
}

func (l *line) ResetSession(ctx context.Context) error {
	l.heed(ctx)
	return l.pqConn.ResetSession(ctx)
}

// Close says goodbye, if the server listens.
func (l *line) Close() error {
	l.heed(context.Background())
	_ = l.wire.SetDeadline(time.Now().Add(grace))
	return l.pqConn.Close()
}
