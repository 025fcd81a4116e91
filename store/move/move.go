// Package move copies an embedded database to PostgreSQL. It takes tables, columns and their order from the schema, and knows
// none of them by its name.
//
// Reading order: move.go (what happens in which order), rows.go (values, and the checksum that is equal on both engines).
package move

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Config says what is moved where.
type Config struct {
	From     string                  // sqlite:FILE, which nobody serves
	To       string                  // postgres://…, which holds nothing yet
	Waiting  func(what string)       // is told what a migration waits for; may be nil
	Progress func(done, total int64) // is told now and then how many rows were copied and read again; may be nil
}

// Table is what was moved of a table.
type Table struct {
	Name     string `json:"name"`
	Rows     int64  `json:"rows"`
	Checksum string `json:"checksum"` // of all rows in any order
}

// Database copies all rows in one transaction, reads them back, and commits when they are equal: a move that fails leaves
// nothing behind but empty tables. Rows are streamed. No other process can change the source meanwhile, and those that open
// the target wait. Errors: core.ErrNotFound where the source does not exist, core.ErrUnavailable where the target does not
// answer, and core.ErrConflict where somebody serves the source, a schema is not the one of this binary, the target is not
// empty, or the copy is not equal.
func Database(ctx context.Context, cfg Config) ([]Table, error) {
	source, names, err := openSource(ctx, cfg.From)
	if err != nil {
		return nil, fmt.Errorf("reading the SQLite database: %w", err)
	}
	defer func() { _ = source.Close() }()
	target, err := openTarget(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("preparing the PostgreSQL database: %w", err)
	}
	defer func() { _ = target.Close() }()
	moved, err := copyAll(ctx, cfg, source, target, names)
	if err != nil {
		return nil, fmt.Errorf("moving: %w", err)
	}
	return moved, nil
}

// openSource makes this process the one that serves the database, looks through that for damage, and lists its tables.
func openSource(ctx context.Context, url string) (source *sqldb.DB, names []string, err error) {
	if source, err = sqldb.AttachUnchecked(url); err != nil {
		return nil, nil, err
	}
	if !source.Embedded() {
		err = fmt.Errorf("%w: it is not a file", core.ErrInvalid)
	}
	if err == nil {
		err = source.ServeNow()
	}
	if err == nil {
		names, err = source.Tables(ctx)
	}
	if err == nil {
		err = source.CheckIntegrity(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, source.Close())
	}
	return source, names, nil
}

// openTarget makes the tables where there are none.
func openTarget(ctx context.Context, cfg Config) (*sqldb.DB, error) {
	target, err := sqldb.Attach(ctx, cfg.To)
	if err != nil {
		return nil, err
	}
	if target.Embedded() {
		return nil, errors.Join(fmt.Errorf("%w: it is not on a server", core.ErrInvalid), target.Close())
	}
	err = target.CheckComplete(ctx)
	if errors.Is(err, core.ErrNotFound) {
		if _, err = sqldb.Migrate(ctx, sqldb.Config{URL: cfg.To, Waiting: cfg.Waiting}, sqldb.Up, 0); err == nil {
			err = target.CheckComplete(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(err, target.Close())
	}
	return target, nil
}

// copyAll copies in one transaction of each database. That of the source keeps others from writing, and changes nothing.
func copyAll(ctx context.Context, cfg Config, source, target *sqldb.DB, names []string) (moved []Table, err error) {
	from, err := source.BeginTxx(ctx, nil)
	if err != nil {
		return nil, sqldb.Classify(err)
	}
	defer func() { _ = from.Rollback() }()
	if names, err = parentsFirst(ctx, from, names); err != nil {
		return nil, err
	}
	err = target.Transact(ctx, func(to *sqlx.Tx) error {
		moved, err = mover{from: from, to: to, target: target, progress: &progress{tell: cfg.Progress}}.move(ctx, names)
		return err
	})
	return moved, err
}

// progress counts rows that were copied, and again when they were read back.
type progress struct {
	tell        func(done, total int64) // may be nil
	done, total int64
}

func (p *progress) add(rows int64) {
	p.done += rows
	if p.tell != nil {
		p.tell(p.done, p.total)
	}
}

// mover copies between two transactions.
type mover struct {
	from, to *sqlx.Tx
	target   *sqldb.DB
	rows     map[string]int64 // of each table of the source
	progress *progress
}

// noTimeouts lets a transaction take as long as it needs, whatever the role or the server says.
const noTimeouts = `SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0`

// move copies tables, in this order, and compares what has arrived.
func (m mover) move(ctx context.Context, names []string) (moved []Table, err error) {
	if _, err := m.to.ExecContext(ctx, noTimeouts); err != nil {
		return nil, err
	}
	tables, err := readTables(ctx, m.to, names)
	if err == nil {
		err = checkColumns(ctx, m.from, tables)
	}
	if err == nil {
		err = reserve(ctx, m.to, names)
	}
	if err == nil {
		err = m.target.AllowTableScans(ctx, m.to)
	}
	if err == nil {
		m.rows, err = countRows(ctx, m.from, names)
	}
	if err != nil {
		return nil, err
	}
	for _, rows := range m.rows {
		m.progress.total += 2 * rows // they are copied and read back
	}
	for _, t := range tables {
		sent, err := m.copyRows(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("copying %s: %w", t.name, err)
		}
		if err := m.compare(ctx, t, sent); err != nil {
			return nil, err
		}
		if err := m.numberOn(ctx, t); err != nil {
			return nil, fmt.Errorf("setting the next number of %s: %w", t.name, err)
		}
		moved = append(moved, Table{t.name, sent.rows, sent.String()})
	}
	return moved, nil
}

// copyRows sends the rows of a table while it reads them.
func (m mover) copyRows(ctx context.Context, t table) (checksum, error) {
	count := m.rows[t.name]
	reading, err := readRows(ctx, m.from, t)
	if err != nil {
		return checksum{}, err
	}
	defer reading.close()
	told := 0
	var unread error
	if err := m.setTriggers(ctx, t, "DISABLE"); err != nil { // what they would write is copied, too
		return checksum{}, err
	}
	err = m.target.Load(ctx, m.to, sqldb.Bulk{
		Table: t.name, Columns: t.columnNames(), Rows: int(count),
		Row: func(_ int, values []any) []any {
			values, unread = reading.next(values)
			return values
		},
		Loaded: func(n int) { m.progress.add(int64(n - told)); told = n },
	})
	m.progress.add(count - int64(told))
	switch {
	case unread != nil: // because of which a row was missing
		err = unread
	case err == nil && reading.rows.Next():
		err = fmt.Errorf("%w: SQLite counts %d rows and has more: the file is damaged", core.ErrConflict, count)
	case err == nil:
		err = m.setTriggers(ctx, t, "ENABLE")
	}
	return reading.sum, err
}

// setTriggers turns those triggers of a table on or off that run after rows have come, and write to other tables that are copied. Those
// that begin with index_ write what only PostgreSQL has.
func (m mover) setTriggers(ctx context.Context, t table, state string) error {
	var names []string
	err := m.to.SelectContext(ctx, &names, `
		SELECT tgname FROM pg_trigger WHERE tgrelid = CAST($1 AS REGCLASS) AND NOT tgisinternal AND tgtype & 2 = 0
			AND tgname NOT LIKE 'index\_%' ORDER BY tgname`, t.name)
	for _, name := range names {
		if err == nil {
			_, err = m.to.ExecContext(ctx, `ALTER TABLE `+t.name+` `+state+` TRIGGER `+name)
		}
	}
	return err
}

// compare reads the copy of a table.
func (m mover) compare(ctx context.Context, t table, sent checksum) error {
	reading, err := readRows(ctx, m.to, t)
	if err != nil {
		return err
	}
	defer reading.close()
	for values := make([]any, 0, len(t.columns)); ; {
		row, err := reading.next(values[:0])
		if err != nil {
			return fmt.Errorf("reading the copy of %s: %w", t.name, err)
		}
		if row == nil {
			break
		}
		if reading.sum.rows%progressEvery == 0 {
			m.progress.add(progressEvery)
		}
	}
	m.progress.add(reading.sum.rows % progressEvery)
	if arrived := reading.sum; arrived != sent {
		return fmt.Errorf("%w: the copy of %s is not equal: %d rows with the checksum %s were sent, and %d with %s have arrived; nothing"+
			" was kept of them", core.ErrConflict, t.name, sent.rows, &sent, arrived.rows, &arrived)
	}
	return nil
}

// progressEvery is after how many rows of a copy progress is told.
const progressEvery = 10000

// numberOn has PostgreSQL go on where SQLite stopped, which gives no number twice, also where the last rows were deleted.
func (m mover) numberOn(ctx context.Context, t table) error {
	if t.identity == "" {
		return nil
	}
	var last int64
	err := m.from.GetContext(ctx, &last, m.from.Rebind(`
		SELECT MAX(COALESCE((SELECT MAX(`+t.identity+`) FROM `+t.name+`), 0), COALESCE((SELECT seq FROM sqlite_sequence WHERE name = ?), 0))`),
		t.name)
	if err != nil {
		return err
	}
	next := min(last, math.MaxInt64-1) + 1
	_, err = m.to.ExecContext(ctx, fmt.Sprintf(`ALTER TABLE %s ALTER COLUMN %s RESTART WITH %d`, t.name, t.identity, next))
	return err
}

// readTables reads what PostgreSQL says about tables.
func readTables(ctx context.Context, tx *sqlx.Tx, names []string) ([]table, error) {
	var found []struct {
		Table    string `db:"table_name"`
		Column   string `db:"column_name"`
		Type     string `db:"data_type"`
		Identity bool   `db:"numbered"`
	}
	err := tx.SelectContext(ctx, &found, `
		SELECT table_name, column_name, data_type, is_identity = 'YES' AS numbered FROM information_schema.columns
		WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position`)
	if err != nil {
		return nil, err
	}
	byName := map[string]*table{}
	tables := make([]table, len(names))
	for i, name := range names {
		tables[i].name, byName[name] = name, &tables[i]
	}
	for _, c := range found {
		t, ours := byName[c.Table]
		if !ours {
			continue
		}
		kind, known := kinds[c.Type]
		if !known {
			return nil, fmt.Errorf("no way is known to copy %s.%s, a %s", c.Table, c.Column, c.Type)
		}
		t.columns = append(t.columns, column{c.Column, kind})
		if c.Identity {
			t.identity = c.Column
		}
	}
	return tables, nil
}

// checkColumns wants SQLite's tables to have the columns of PostgreSQL's, in whichever order.
func checkColumns(ctx context.Context, from *sqlx.Tx, tables []table) error {
	for _, t := range tables {
		var columns []string
		if err := from.SelectContext(ctx, &columns, `SELECT name FROM pragma_table_info(?) ORDER BY name`, t.name); err != nil {
			return err
		}
		if there := slices.Sorted(slices.Values(t.columnNames())); !slices.Equal(columns, there) || len(there) == 0 {
			return fmt.Errorf("%w: somebody has changed the table %s: it has the columns %q on SQLite and %q on PostgreSQL",
				core.ErrConflict, t.name, columns, there)
		}
	}
	return nil
}

// parentsFirst sorts tables so that each comes after those that its foreign keys lead to.
func parentsFirst(ctx context.Context, from *sqlx.Tx, names []string) ([]string, error) {
	var keys []struct {
		Child  string `db:"child"`
		Parent string `db:"parent"`
	}
	err := from.SelectContext(ctx, &keys, `
		SELECT s.name AS child, f."table" AS parent FROM sqlite_schema s JOIN pragma_foreign_key_list(s.name) f WHERE s.type = 'table'`)
	if err != nil {
		return nil, err
	}
	parents := map[string][]string{}
	for _, name := range names {
		parents[name] = nil
	}
	for _, key := range keys {
		if _, ours := parents[key.Child]; ours && key.Child != key.Parent { // a whole table is checked at once
			parents[key.Child] = append(parents[key.Child], key.Parent)
		}
	}
	return inOrder(parents)
}

// inOrder lists the keys of a map, each after its values.
func inOrder(parents map[string][]string) (sorted []string, err error) {
	for len(sorted) < len(parents) {
		before := len(sorted)
		for _, name := range slices.Sorted(maps.Keys(parents)) {
			missing := func(parent string) bool { return !slices.Contains(sorted, parent) }
			if missing(name) && !slices.ContainsFunc(parents[name], missing) {
				sorted = append(sorted, name)
			}
		}
		if len(sorted) == before {
			return nil, fmt.Errorf("the foreign keys of some tables lead in a circle: only %s can be sorted", strings.Join(sorted, ", "))
		}
	}
	return sorted, nil
}

// countRows counts the rows of tables.
func countRows(ctx context.Context, from *sqlx.Tx, names []string) (rows map[string]int64, err error) {
	rows = map[string]int64{}
	for _, name := range names {
		if rows[name], err = rowsOf(ctx, from, name); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func rowsOf(ctx context.Context, tx *sqlx.Tx, table string) (rows int64, err error) {
	err = tx.GetContext(ctx, &rows, `SELECT COUNT(*) FROM `+table)
	return rows, err
}

// reserve has others that use the tables wait until the transaction ends, and wants them empty.
func reserve(ctx context.Context, tx *sqlx.Tx, names []string) error {
	_, err := tx.ExecContext(ctx, `SET LOCAL lock_timeout = '15s'; LOCK TABLE `+strings.Join(names, ", ")+` IN ACCESS EXCLUSIVE MODE`)
	if err != nil {
		return fmt.Errorf("locking the tables of the PostgreSQL database, as nobody may use it meanwhile: %w", err)
	}
	for _, name := range names {
		rows, err := rowsOf(ctx, tx, name)
		if err != nil {
			return err
		}
		if rows > 0 {
			return fmt.Errorf("%w: the PostgreSQL database is not empty, %s has %s: stop the scanhook that serves it, and let a new"+
				" database take the rows; if nothing of it is needed, scanhook migrate down --yes deletes what it holds", core.ErrConflict,
				name, core.Plural(int(rows), "row"))
		}
	}
	return nil
}
