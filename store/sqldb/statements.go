package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	keptStatements = 256     // of a connection; the largest take 50 kB each
	keptLength     = 4 << 10 // bytes; longer ones are lists of values, whose lengths vary
)

// keepingConn is a connection to SQLite that keeps the statements that it has compiled: compiling one takes longer than
// most of ours take to run. SQLite itself compiles one again when the schema has changed.
type keepingConn struct {
	sqliteConn
	kept *simplelru.LRU[string, *keptStmt]
}

// keptStmt is a compiled statement. A second caller of one that is running, whose rows are still being read, gets another.
type keptStmt struct {
	sqliteStmt
	running bool
	dropped bool // is closed when it has run
}

func (s *keptStmt) done() {
	s.running = false
	if s.dropped {
		_ = s.Close()
	}
}

func (s *keptStmt) drop() {
	s.dropped = true
	if !s.running {
		_ = s.Close()
	}
}

// sqliteConn is what a connection of the driver can do for database/sql.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// ExecContext and the methods below do as database/sql asks.
func (c *keepingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	defer s.done()
	return s.ExecContext(ctx, args)
}

func (c *keepingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		s.done()
		return nil, err
	}
	return &keptRows{rows, s}, nil
}

func (c *keepingConn) Close() error {
	c.kept.Purge()
	return c.sqliteConn.Close()
}

// take returns a statement that nobody else runs until it is done.
func (c *keepingConn) take(ctx context.Context, query string) (*keptStmt, error) {
	s, known := c.kept.Get(query)
	if known && !s.running {
		s.running = true
		return s, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	compiled, ok := prepared.(sqliteStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("statements of %T cannot be kept", prepared), prepared.Close())
	}
	s = &keptStmt{sqliteStmt: compiled, running: true, dropped: known || len(query) > keptLength}
	if !s.dropped {
		c.kept.Add(query, s)
	}
	return s, nil
}

// keptRows are the rows of a statement, which is kept when they have been read.
type keptRows struct {
	driver.Rows
	statement *keptStmt
}

func (r *keptRows) Close() error {
	defer r.statement.done()
	return r.Rows.Close()
}
