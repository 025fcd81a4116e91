package sqldb

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite/vtab"
)

// progressEvery is after how many rows Loaded is called.
const progressEvery = 10000

// Bulk is many rows for one table.
type Bulk struct {
	Table   string // names are inserted into SQL as they are
	Columns []string
	Rows    int
	Row     func(i int, values []any) []any // appends the values of row i, in the order of Columns
	Loaded  func(rows int)                  // is told now and then how many are written; may be nil
}

// Load writes the rows by COPY on PostgreSQL, and from a virtual table on SQLite.
func (db *DB) Load(ctx context.Context, tx *sqlx.Tx, b Bulk) error {
	if b.Rows == 0 {
		return nil
	}
	if b.Loaded == nil {
		b.Loaded = func(int) {}
	}
	if db.copies {
		return b.copyIn(ctx, tx)
	}
	return b.insert(ctx, tx, db.rows)
}

func (b Bulk) into() string { return b.Table + ` (` + strings.Join(b.Columns, ", ") + `)` }

func (b Bulk) copyIn(ctx context.Context, tx *sqlx.Tx) error {
	statement, err := tx.PrepareContext(ctx, `COPY `+b.into()+` FROM STDIN`)
	if err != nil {
		return err
	}
	defer func() { _ = statement.Close() }()
	values := make([]any, 0, len(b.Columns))
	for i := range b.Rows {
		if _, err := statement.ExecContext(ctx, b.Row(i, values[:0])...); err != nil {
			return err
		}
		if (i+1)%progressEvery == 0 {
			b.Loaded(i + 1)
		}
	}
	_, err = statement.ExecContext(ctx) // without values: the end of the rows
	return err
}

// rowModule is the name of a rowSource among the modules of SQLite.
const rowModule = "scanhook_rows"

// rowSource lets SQLite read rows of this process as a virtual table. One INSERT … SELECT takes half the time of statements
// that bind the same rows as parameters, and needs no journal of its own.
type rowSource struct {
	mutex sync.Mutex
	last  int
	bulks map[string]*Bulk // by the virtual table's name
}

// offer makes the rows readable under a name, until they are withdrawn.
func (r *rowSource) offer(b *Bulk) (name string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.bulks == nil {
		r.bulks = make(map[string]*Bulk)
	}
	r.last++
	name = "rows_" + strconv.Itoa(r.last)
	r.bulks[name] = b
	return name
}

func (r *rowSource) withdraw(name string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.bulks, name)
}

// Create implements vtab.Module.
func (r *rowSource) Create(ctx vtab.Context, args []string) (vtab.Table, error) {
	return r.Connect(ctx, args)
}

// Connect implements vtab.Module; its arguments are the names of the module, the database and the table.
func (r *rowSource) Connect(ctx vtab.Context, args []string) (vtab.Table, error) {
	name := args[len(args)-1]
	r.mutex.Lock()
	defer r.mutex.Unlock()
	b := r.bulks[name]
	if b == nil {
		return nil, fmt.Errorf("no rows are offered as %s", name)
	}
	return rowTable{b}, ctx.Declare(`CREATE TABLE ` + name + ` (` + strings.Join(b.Columns, ", ") + `)`)
}

// rowTable is the virtual table of a Bulk.
type rowTable struct{ *Bulk }

func (t rowTable) BestIndex(*vtab.IndexInfo) error { return nil }

func (t rowTable) Open() (vtab.Cursor, error) { return &rowCursor{Bulk: t.Bulk}, nil }

func (t rowTable) Disconnect() error { return nil }

func (t rowTable) Destroy() error { return nil }

// rowCursor goes through the rows of a Bulk, once from the first to the last.
type rowCursor struct {
	*Bulk
	at     int
	values []any // of the row at hand
}

// Filter implements vtab.Cursor: it goes to the first row.
func (c *rowCursor) Filter(int, string, []vtab.Value) error {
	c.at = -1
	return c.Next()
}

// Next implements vtab.Cursor.
func (c *rowCursor) Next() error {
	c.at++
	if c.at%progressEvery == 0 && c.at > 0 {
		c.Loaded(c.at)
	}
	if c.Eof() {
		return nil
	}
	c.values = c.Row(c.at, c.values[:0])
	return nil
}

func (c *rowCursor) Eof() bool { return c.at >= c.Rows }

// Column implements vtab.Cursor.
func (c *rowCursor) Column(i int) (vtab.Value, error) {
	return driver.DefaultParameterConverter.ConvertValue(c.values[i])
}

func (c *rowCursor) Rowid() (int64, error) { return int64(c.at), nil }

func (c *rowCursor) Close() error { return nil }

// insert lets SQLite read the rows out of a virtual table.
func (b Bulk) insert(ctx context.Context, tx *sqlx.Tx, source *rowSource) error {
	name := source.offer(&b)
	defer source.withdraw(name)
	columns := strings.Join(b.Columns, ", ")
	for _, statement := range []string{
		`CREATE VIRTUAL TABLE temp.` + name + ` USING ` + rowModule,
		`INSERT INTO ` + b.into() + ` SELECT ` + columns + ` FROM temp.` + name,
		`DROP TABLE temp.` + name,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
