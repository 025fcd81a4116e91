package move

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"
)

// table is one of PostgreSQL's.
type table struct {
	name     string
	columns  []column
	identity string // the column that PostgreSQL numbers; empty where there is none
}

type column struct {
	name string
	kind kind
}

func (t table) columnNames() (names []string) {
	for _, c := range t.columns {
		names = append(names, c.name)
	}
	return names
}

// kind is what the values of a column are, on both engines.
type kind int

const (
	text kind = iota
	integer
	float
	boolean
	moment
	identifier // a UUID
	octets
)

// kinds are the types of PostgreSQL that columns may have.
var kinds = map[string]kind{
	"text": text, "bigint": integer, "integer": integer, "smallint": integer, "double precision": float, "boolean": boolean,
	"timestamp with time zone": moment, "uuid": identifier, "bytea": octets,
}

// value turns what a driver read into one Go type for each kind, which PostgreSQL's driver takes too: string, int64, float64,
// bool, []byte, a time of UTC in whole microseconds, or nil.
func (k kind) value(read any) (any, error) {
	if read == nil {
		return nil, nil
	}
	switch k {
	case text, identifier, octets:
		return k.characters(read)
	case moment:
		if t, ok := read.(time.Time); ok {
			return t.UTC().Truncate(time.Microsecond), nil
		}
	case boolean:
		switch v := read.(type) {
		case bool:
			return v, nil
		case int64:
			return v != 0, nil
		}
	case integer:
		if v, ok := read.(int64); ok {
			return v, nil
		}
	case float:
		switch v := read.(type) {
		case float64:
			return v, nil
		case int64:
			return float64(v), nil
		}
	}
	return nil, fmt.Errorf("a value is a %T: %.40v", read, read)
}

// characters is value for text and bytes: SQLite keeps whichever of both was written.
func (k kind) characters(read any) (any, error) {
	var characters string
	switch v := read.(type) {
	case string:
		characters = v
	case []byte:
		characters = string(v)
	default:
		return nil, fmt.Errorf("a value is a %T: %.40v", read, read)
	}
	switch k {
	case octets:
		return []byte(characters), nil
	case identifier:
		return strings.ToLower(characters), nil
	}
	if !utf8.ValidString(characters) || strings.Contains(characters, "\x00") {
		return nil, fmt.Errorf("PostgreSQL takes no NUL, and nothing but UTF-8: %.40q", characters)
	}
	return characters, nil
}

// appendValue writes a value so that no two lists of values look alike: how long it is, and its bytes.
func appendValue(row []byte, value any) []byte {
	sized := func(n int) []byte { return binary.AppendVarint(row, int64(n)) }
	switch v := value.(type) {
	case string:
		return append(sized(len(v)), v...)
	case []byte:
		return append(sized(len(v)), v...)
	case int64:
		return binary.AppendVarint(sized(8), v)
	case float64:
		return binary.BigEndian.AppendUint64(sized(8), math.Float64bits(v))
	case time.Time:
		return binary.AppendVarint(sized(8), v.UnixMicro())
	case bool:
		if v {
			return append(sized(1), 1)
		}
		return append(sized(1), 0)
	}
	return sized(-1)
}

// checksum tells sets of rows apart, in whichever order they come: the sum of the rows' hashes.
type checksum struct {
	rows  int64
	lanes [sha256.Size / 8]uint64
}

func (c *checksum) add(row []byte) {
	hash := sha256.Sum256(row)
	for i := range c.lanes {
		c.lanes[i] += binary.BigEndian.Uint64(hash[8*i:])
	}
	c.rows++
}

func (c *checksum) String() string {
	return fmt.Sprintf("%016x%016x%016x%016x", c.lanes[0], c.lanes[1], c.lanes[2], c.lanes[3])
}

// reader reads the rows of a table one after the other, and sums them up.
type reader struct {
	table
	rows  *sqlx.Rows
	read  []any // of the row at hand, as the driver gave them
	into  []any // pointers to them
	bytes []byte
	sum   checksum
}

// readRows names all columns, so that both engines have them in one order.
func readRows(ctx context.Context, tx *sqlx.Tx, t table) (*reader, error) {
	rows, err := tx.QueryxContext(ctx, `SELECT `+strings.Join(t.columnNames(), ", ")+` FROM `+t.name)
	if err != nil {
		return nil, err
	}
	r := &reader{table: t, rows: rows, read: make([]any, len(t.columns)), into: make([]any, len(t.columns))}
	for i := range r.read {
		r.into[i] = &r.read[i]
	}
	return r, nil
}

func (r *reader) close() { _ = r.rows.Close() }

// next appends the values of the next row to a list; nil where none is left.
func (r *reader) next(values []any) ([]any, error) {
	if !r.rows.Next() {
		return nil, r.rows.Err()
	}
	if err := r.rows.Scan(r.into...); err != nil {
		return nil, err
	}
	r.bytes = r.bytes[:0]
	for i, column := range r.columns {
		value, err := column.kind.value(r.read[i])
		if err != nil {
			return nil, fmt.Errorf("reading %s.%s of row %d: %w", r.name, column.name, r.sum.rows+1, err)
		}
		values, r.bytes = append(values, value), appendValue(r.bytes, value)
	}
	r.sum.add(r.bytes)
	return values, nil
}
