package sqldb

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// RowsPerStatement keeps a statement below PostgreSQL's 65,535 and SQLite's 32,766 parameters.
const RowsPerStatement = 1000

// ColumnsOf lists the columns that the db tags of T name, except computed ones. Statements name their columns, because a
// newer version that shares the database may have added some.
func ColumnsOf[T any]() string {
	var names []string
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name, option, _ := strings.Cut(field.Tag.Get("db"), ",")
		if name != "" && name != "-" && option != "computed" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Qualify names the columns of one table among several, by its name or alias.
func Qualify(table, columns string) string {
	return table + "." + strings.ReplaceAll(columns, ", ", ", "+table+".")
}

// Tuples writes rows×columns placeholders for a VALUES list.
func Tuples(rows, columns int) string {
	tuple := "(" + strings.TrimSuffix(strings.Repeat("?, ", columns), ", ") + ")"
	return strings.TrimSuffix(strings.Repeat(tuple+", ", rows), ", ")
}

// SelectNamed runs one statement with :name parameters and scans all rows it returns into dest, a pointer to a slice.
func SelectNamed(ctx context.Context, tx *sqlx.Tx, dest any, query string, arg any) error {
	rows, err := sqlx.NamedQueryContext(ctx, tx, query, arg)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	if err := sqlx.StructScan(rows, dest); err != nil {
		return err
	}
	return rows.Err()
}

// SelectIn runs a query with lists among its arguments, each in IN (?), and scans all rows into dest.
func SelectIn(ctx context.Context, q sqlx.ExtContext, dest any, query string, args ...any) error {
	expanded, args, err := In(q.DriverName(), query, args)
	if err != nil {
		return err
	}
	return sqlx.SelectContext(ctx, q, dest, q.Rebind(expanded), args...)
}

// ExecIn runs a statement with lists among its arguments, each in IN (?), and returns how many rows it changed.
func ExecIn(ctx context.Context, tx *sqlx.Tx, statement string, args ...any) (int64, error) {
	expanded, args, err := In(tx.DriverName(), statement, args)
	if err != nil {
		return 0, err
	}
	return Exec(ctx, tx, expanded, args...)
}

// In expands the lists among the arguments. SQLite gets each as one argument: the statement is compiled once for lists of
// all lengths, and is planned as if every list were short. It would read a table whole rather than look up many keys in
// it, if its statistics were made when the table was small.
func In(engine, query string, args []any) (string, []any, error) {
	if engine != sqlite.driver {
		return sqlx.In(query, args...)
	}
	var expanded strings.Builder
	bound := make([]any, len(args))
	for i, arg := range args {
		before, after, found := strings.Cut(query, "?")
		if !found {
			return "", nil, fmt.Errorf("%d arguments for fewer places in %s", len(args), query)
		}
		expanded.WriteString(before)
		query, bound[i] = after, arg
		_, valuer := arg.(sqldriver.Valuer)
		if kind := reflect.ValueOf(arg); valuer || kind.Kind() != reflect.Slice || kind.Type().Elem().Kind() == reflect.Uint8 {
			expanded.WriteString("?")
			continue
		}
		list, err := json.Marshal(arg)
		if err != nil {
			return "", nil, err
		}
		expanded.WriteString("SELECT value FROM json_each(?)")
		bound[i] = string(list)
	}
	expanded.WriteString(query)
	return expanded.String(), bound, nil
}

// Exec runs a statement and returns how many rows it changed.
func Exec(ctx context.Context, q sqlx.ExtContext, statement string, args ...any) (int64, error) {
	result, err := q.ExecContext(ctx, q.Rebind(statement), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// OneRow turns the result of a compare-and-set into core.ErrConflict when nothing matched.
func OneRow(result sql.Result, err error, conflict string) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%w: %s", core.ErrConflict, conflict)
	}
	return nil
}

// IDs are ids as they stand in a list of a statement, IN (…). The id 0, which no row has, is among them: no engine takes an empty one.
func IDs(ids []int64) string {
	list := []string{`0`}
	for _, id := range ids {
		list = append(list, strconv.FormatInt(id, 10))
	}
	return strings.Join(list, `, `)
}

// Conditions collects the parts of a WHERE clause with their arguments.
type Conditions struct {
	Parts []string
	Args  []any
}

// Add appends a part if when is true.
func (c *Conditions) Add(when bool, part string, args ...any) {
	if when {
		c.Parts = append(c.Parts, part)
		c.Args = append(c.Args, args...)
	}
}

// SQL is the clause, or empty without parts.
func (c *Conditions) SQL() string {
	if len(c.Parts) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(c.Parts, " AND ")
}

// KeysetUnion answers a page of a list that any combination of filters may ask for, the newest rows first, equally fast
// where matching rows are rare and far back. No index serves all combinations, but a few indexes do if every column before
// the id has one value: where a filter leaves open a column with few values, the union reads each value along an index, no
// further than a page.
type KeysetUnion struct {
	Table         string
	Before, After int64 // exclusive ids; After reads from the oldest row on, for the previous page
	Limit         int

	parts []string
	args  []any
}

// AddTable adds the rows of the table that meet all conditions.
func (u *KeysetUnion) AddTable(where Conditions) { u.AddSource(u.Table, where) }

// AddKeyed is AddTable for conditions with a key, to which few rows belong. They are sorted by an expression: else
// PostgreSQL, which expects many, may walk through the table in the order of the ids until it has met them.
func (u *KeysetUnion) AddKeyed(where Conditions) { u.add(u.Table, where, `id + 0`) }

// AddSource adds the rows of a source, a table or a subquery with an alias, that meet all conditions.
func (u *KeysetUnion) AddSource(source string, where Conditions) { u.add(source, where, `id`) }

func (u *KeysetUnion) add(source string, where Conditions, order string) {
	where.Add(u.Before > 0, order+` < ?`, u.Before)
	where.Add(u.After > 0, order+` > ?`, u.After)
	u.parts = append(u.parts, `
		SELECT id FROM (SELECT id FROM `+source+` `+where.SQL()+` ORDER BY `+order+` `+u.direction()+` LIMIT ?) AS part`)
	u.args = append(append(u.args, where.Args...), u.Limit)
}

// Empty tells whether nothing was added: the page is empty then, too.
func (u *KeysetUnion) Empty() bool { return len(u.parts) == 0 }

// With begins a query with the ids of the page, as a table named picked.
func (u *KeysetUnion) With() (with string, args []any) {
	return `WITH picked AS MATERIALIZED (SELECT id FROM (` + strings.Join(u.parts, ` UNION ALL `) + `) AS parts
		ORDER BY id ` + u.direction() + ` LIMIT ?) `, append(u.args, u.Limit)
}

func (u *KeysetUnion) direction() string {
	if u.After > 0 {
		return `ASC`
	}
	return `DESC`
}

// DistinctValues lists the values of a column that an index begins with, if they are few: it looks each up in the index.
func (db *DB) DistinctValues(ctx context.Context, table, column string) (values []string, err error) {
	smallest := `SELECT MIN(` + column + `) FROM ` + table
	err = db.SelectContext(ctx, &values, `
		WITH RECURSIVE found (value) AS (
			`+smallest+`
			UNION ALL
			SELECT (`+smallest+` WHERE `+column+` > found.value) FROM found WHERE found.value IS NOT NULL)
		SELECT value FROM found WHERE value IS NOT NULL`)
	return values, err
}
