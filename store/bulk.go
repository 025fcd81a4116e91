package store

import (
	"context"
	"strings"

	"github.com/jmoiron/sqlx"
)

// valuesPerInsert keeps one statement well below PostgreSQL's 65,535 and SQLite's 32,766 parameters.
const valuesPerInsert = 8000

// bulk is many rows for one table.
type bulk struct {
	table   string   // a name of ours
	columns []string // names of ours
	rows    int
	row     func(i int, values []any) []any // appends the values of row i, in the order of columns
	loaded  func(rows int)                  // is told now and then how many are in; may be nil
}

// load writes the rows by COPY on PostgreSQL, and by statements of many rows on SQLite.
func (s *Store) load(ctx context.Context, tx *sqlx.Tx, b bulk) error {
	if b.loaded == nil {
		b.loaded = func(int) {}
	}
	if s.dialect.copies {
		return b.copyIn(ctx, tx)
	}
	return b.insert(ctx, tx)
}

func (b bulk) into() string { return b.table + ` (` + strings.Join(b.columns, ", ") + `)` }

func (b bulk) copyIn(ctx context.Context, tx *sqlx.Tx) error {
	statement, err := tx.PrepareContext(ctx, `COPY `+b.into()+` FROM STDIN`)
	if err != nil {
		return err
	}
	defer func() { _ = statement.Close() }()
	values := make([]any, 0, len(b.columns))
	for i := range b.rows {
		if _, err := statement.ExecContext(ctx, b.row(i, values[:0])...); err != nil {
			return err
		}
		if (i+1)%progressEvery == 0 {
			b.loaded(i + 1)
		}
	}
	_, err = statement.ExecContext(ctx) // without values: the end of the rows
	return err
}

func (b bulk) insert(ctx context.Context, tx *sqlx.Tx) error {
	perStatement := valuesPerInsert / len(b.columns)
	values := make([]any, 0, perStatement*len(b.columns))
	statement, rows := "", 0
	for done := 0; done < b.rows; {
		values = values[:0]
		n := min(perStatement, b.rows-done)
		for i := range n {
			values = b.row(done+i, values)
		}
		if n != rows {
			statement, rows = `INSERT INTO `+b.into()+` VALUES `+tuples(n, len(b.columns)), n
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(statement), values...); err != nil {
			return err
		}
		done += n
		b.loaded(done)
	}
	return nil
}
