package sqldb

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/jmoiron/sqlx/reflectx"
	"modernc.org/sqlite/vtab"

	"github.com/scanhook/scanhook/core"
)

// progressEvery is after how many rows Loaded is called.
const progressEvery = 10000

// Bulk is many rows for one table.
type Bulk struct {
	Table   string   // names are inserted into SQL as they are
	Columns []string // always the same ones of a table
	Rows    int
	Row     func(i int, values []any) []any // appends the values of row i, in the order of Columns; nil ends Load with ErrNoRow
	Loaded  func(rows int)                  // is told now and then how many are written; may be nil
}

// ErrNoRow is the error of Load where Bulk.Row has no row to give.
var ErrNoRow = errors.New("a row to load is missing")

// Load writes the rows by COPY on PostgreSQL, and from a virtual table on SQLite.
func (db *DB) Load(ctx context.Context, tx *sqlx.Tx, b Bulk) error {
	if b.Rows == 0 {
		return nil
	}
	if db.copies {
		return b.copyIn(ctx, tx)
	}
	return b.insert(ctx, tx, db.rows)
}

// tell says now and then how many rows are written.
func (b Bulk) tell(rows int) {
	if b.Loaded != nil && rows > 0 && rows%progressEvery == 0 {
		b.Loaded(rows)
	}
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
		row := b.Row(i, values[:0])
		if row == nil {
			return ErrNoRow
		}
		if _, err := statement.ExecContext(ctx, row...); err != nil {
			return err
		}
		b.tell(i + 1)
	}
	_, err = statement.ExecContext(ctx) // without values: the end of the rows
	return err
}

// Given are rows of this process that a statement reads as a table. The text of the statement is the same for any number of
// rows, so that an engine has compiled it already.
type Given struct {
	Name    string // of the table
	Columns string // their names with PostgreSQL's types, of those that binaryTypes has: "id BIGINT, commit_sha TEXT"
	Rows    [][]any
}

// byTag finds the fields of a type by their db tags, and remembers where they are.
var byTag = reflectx.NewMapper("db")

// GivenOf are the fields of structs that the columns name by their db tags.
func GivenOf[T any](name, columns string, list []T) Given {
	given := Given{Name: name, Columns: columns, Rows: make([][]any, len(list))}
	names, _ := given.columns()
	fields := byTag.TraversalsByName(reflect.TypeFor[T](), names)
	for n := range list {
		value := reflect.ValueOf(&list[n]).Elem()
		given.Rows[n] = make([]any, len(fields))
		for i, field := range fields {
			given.Rows[n][i] = value.FieldByIndex(field).Interface()
		}
	}
	return given
}

func (g Given) columns() (names, types []string) {
	for column := range strings.SplitSeq(g.Columns, ", ") {
		name, kind, _ := strings.Cut(column, " ")
		names, types = append(names, name), append(types, kind)
	}
	return names, types
}

// Insert begins a statement that inserts all columns of given into a table, and that may go on with ON CONFLICT.
func (g Given) Insert(table string) string {
	names, _ := g.columns()
	list := strings.Join(names, ", ")
	return `INSERT INTO ` + table + ` (` + list + `) SELECT ` + list + ` FROM ` + g.Name + ` WHERE TRUE `
}

// SelectGiven runs a query that reads given, and scans all rows into dest.
func (db *DB) SelectGiven(ctx context.Context, q sqlx.ExtContext, given Given, dest any, query string, args ...any) error {
	with, all, done, err := db.give(ctx, q, given, args)
	if err != nil {
		return err
	}
	defer done()
	return sqlx.SelectContext(ctx, q, dest, q.Rebind(with+query), all...)
}

// ExecGiven runs a statement that reads given, and returns how many rows it changed.
func (db *DB) ExecGiven(ctx context.Context, q sqlx.ExtContext, given Given, statement string, args ...any) (int64, error) {
	with, all, done, err := db.give(ctx, q, given, args)
	if err != nil {
		return 0, err
	}
	defer done()
	return Exec(ctx, q, with+statement, all...)
}

// give begins a statement with the given rows: PostgreSQL gets an array for each column, SQLite reads a virtual table.
func (db *DB) give(ctx context.Context, q sqlx.ExtContext, given Given, args []any) (with string, all []any, done func(), err error) {
	names, types := given.columns()
	list := strings.Join(names, ", ")
	head := `WITH ` + given.Name + ` (` + list + `) AS (SELECT `
	if !db.copies {
		table := `temp.given_` + given.Name + `_` + strings.Join(names, `_`)
		done, err := db.rows.serve(ctx, q, table, &Bulk{Columns: names, Rows: len(given.Rows), Row: given.row})
		return head + list + ` FROM ` + table + `) `, args, done, err
	}
	arrays := make([]string, len(names))
	for i := range names {
		array, err := binaryArray(types[i], given.Rows, i)
		if err != nil {
			return "", nil, nil, err
		}
		arrays[i], all = `CAST(? AS `+types[i]+`[])`, append(all, array)
	}
	return head + `* FROM unnest(` + strings.Join(arrays, ", ") + `) AS rows) `, append(all, args...), func() {}, nil
}

func (g Given) row(i int, values []any) []any { return append(values, g.Rows[i]...) }

// binaryTypes are the numbers of PostgreSQL's types that Given knows.
var binaryTypes = map[string]uint32{
	"BOOLEAN": 16, "BYTEA": 17, "BIGINT": 20, "TEXT": 25, "TIMESTAMPTZ": 1184, "UUID": 2950,
}

// binaryArray is a column of rows as PostgreSQL reads an array. Text and bytes go over the wire as they are.
func binaryArray(kind string, rows [][]any, column int) ([]byte, error) {
	number := binaryTypes[kind]
	array := binary.BigEndian.AppendUint32(nil, 1)  // dimensions
	array = binary.BigEndian.AppendUint32(array, 1) // there may be nulls
	array = binary.BigEndian.AppendUint32(array, number)
	array = binary.BigEndian.AppendUint32(array, uint32(len(rows)))
	array = binary.BigEndian.AppendUint32(array, 1) // the first index
	for _, row := range rows {
		value, err := driver.DefaultParameterConverter.ConvertValue(row[column])
		if err != nil {
			return nil, err
		}
		at := len(array)
		array = binary.BigEndian.AppendUint32(array, 0)
		if array, err = appendBinary(array, number, value); err != nil {
			return nil, fmt.Errorf("giving %v as %s: %w", value, kind, err)
		}
		length := uint32(len(array) - at - 4)
		if value == nil {
			length = math.MaxUint32
		}
		binary.BigEndian.PutUint32(array[at:], length)
	}
	return array, nil
}

// epoch is from where PostgreSQL counts microseconds.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func appendBinary(array []byte, kind uint32, value driver.Value) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return array, nil
	case string:
		switch kind {
		case binaryTypes["TEXT"]:
			return append(array, v...), nil
		case binaryTypes["UUID"]:
			id, err := uuid.Parse(v)
			return append(array, id[:]...), err
		}
	case []byte:
		if kind == binaryTypes["BYTEA"] {
			return append(array, v...), nil
		}
	case int64:
		if kind == binaryTypes["BIGINT"] {
			return binary.BigEndian.AppendUint64(array, uint64(v)), nil
		}
	case time.Time:
		if kind == binaryTypes["TIMESTAMPTZ"] {
			return binary.BigEndian.AppendUint64(array, uint64(v.Sub(epoch).Microseconds())), nil
		}
	case bool:
		if kind == binaryTypes["BOOLEAN"] {
			if v {
				return append(array, 1), nil
			}
			return append(array, 0), nil
		}
	}
	return nil, fmt.Errorf("%w: a value of another type", core.ErrInvalid)
}

// rowModule is the name of a rowSource among the modules of SQLite.
const rowModule = "scanhook_rows"

// rowSource lets SQLite read rows of this process as a virtual table. One INSERT … SELECT takes half the time of statements
// that bind the same rows as parameters, and needs no journal of its own. One transaction writes at a time, so there is one
// Bulk. A connection keeps the virtual table: making one would let all its compiled statements expire.
type rowSource struct {
	mutex sync.Mutex
	bulk  *Bulk // nil unless rows are being loaded
}

// serve makes a virtual table where the connection has none yet, from which the rows are read until they are done with.
func (r *rowSource) serve(ctx context.Context, q sqlx.ExtContext, table string, b *Bulk) (done func(), err error) {
	columns := strings.Join(b.Columns, ", ")
	_, err = q.ExecContext(ctx, `CREATE VIRTUAL TABLE IF NOT EXISTS `+table+` USING `+rowModule+`(`+columns+`)`)
	if err != nil {
		return nil, err
	}
	r.offer(b)
	return func() { r.offer(nil) }, nil
}

func (r *rowSource) offer(b *Bulk) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.bulk = b
}

// Create implements vtab.Module.
func (r *rowSource) Create(ctx vtab.Context, args []string) (vtab.Table, error) {
	return r.Connect(ctx, args)
}

// Connect implements vtab.Module; its arguments are the names of the module, the database, the table and the columns.
func (r *rowSource) Connect(ctx vtab.Context, args []string) (vtab.Table, error) {
	return r, ctx.Declare(`CREATE TABLE x (` + strings.Join(args[3:], ", ") + `)`)
}

// BestIndex implements vtab.Table.
func (r *rowSource) BestIndex(*vtab.IndexInfo) error { return nil }

// Open implements vtab.Table.
func (r *rowSource) Open() (vtab.Cursor, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.bulk == nil {
		return nil, errors.New("no rows are being loaded")
	}
	return &rowCursor{Bulk: r.bulk}, nil
}

// Disconnect implements vtab.Table.
func (r *rowSource) Disconnect() error { return nil }

// Destroy implements vtab.Table.
func (r *rowSource) Destroy() error { return nil }

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
	c.tell(c.at)
	if c.Eof() {
		return nil
	}
	if c.values = c.Row(c.at, c.values[:0]); c.values == nil {
		return ErrNoRow
	}
	return nil
}

func (c *rowCursor) Eof() bool { return c.at >= c.Rows }

// Column implements vtab.Cursor.
func (c *rowCursor) Column(i int) (vtab.Value, error) {
	value, err := driver.DefaultParameterConverter.ConvertValue(c.values[i])
	if at, isTime := value.(time.Time); isTime {
		value = at.UTC().Format(timeFormat)
	}
	return value, err
}

// timeFormat is the text in which SQLite keeps times.
const timeFormat = "2006-01-02 15:04:05.999999999-07:00"

func (c *rowCursor) Rowid() (int64, error) { return int64(c.at), nil }

func (c *rowCursor) Close() error { return nil }

// insert lets SQLite read the rows out of a virtual table.
func (b Bulk) insert(ctx context.Context, tx *sqlx.Tx, source *rowSource) error {
	table := `temp.rows_of_` + b.Table
	done, err := source.serve(ctx, tx, table, &b)
	if err != nil {
		return err
	}
	defer done()
	_, err = tx.ExecContext(ctx, `INSERT INTO `+b.into()+` SELECT `+strings.Join(b.Columns, ", ")+` FROM `+table)
	return err
}
