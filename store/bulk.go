package store

import (
	"context"
	"strings"

	"github.com/jmoiron/sqlx"
)

// bulk is many rows for one table.
type bulk struct {
	table   string   // a name of ours
	columns []string // names of ours
	rows    int
	row     func(i int, values []any) []any // appends the values of row i, in the order of columns
	loaded  func(rows int)                  // is told now and then how many are in; may be nil
}

// load writes the rows by COPY on PostgreSQL, and out of a virtual table on SQLite.
func (s *Store) load(ctx context.Context, tx *sqlx.Tx, b bulk) error {
	if b.rows == 0 {
		return nil
	}
	if b.loaded == nil {
		b.loaded = func(int) {}
	}
	if s.dialect.copies {
		return b.copyIn(ctx, tx)
	}
	return b.insert(ctx, tx, s.dialect.rows)
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
