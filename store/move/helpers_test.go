package move_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

// row is a row by its columns.
type row map[string]any

// sample makes rows for every table that there is, by what PostgreSQL says about the columns.
type sample struct {
	columns []struct {
		Table    string `db:"table_name"`
		Column   string `db:"column_name"`
		Type     string `db:"data_type"`
		Nullable bool   `db:"nullable"`
		Identity bool   `db:"numbered"`
	}
	parents map[string][2]string // table and column that a column refers to, by table.column
	allowed map[string]string    // a value that a constraint permits, by table.column
	rows    map[string][]row
}

// newSample makes so many rows for each table of the migrated PostgreSQL database at url.
func newSample(t testing.TB, url string, perTable int) *sample {
	t.Helper()
	db, err := sqldb.AttachUnchecked(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s := &sample{parents: map[string][2]string{}, allowed: map[string]string{}, rows: map[string][]row{}}
	if err := s.readSchema(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	for len(s.rows) < len(s.tables()) {
		before := len(s.rows)
		for _, table := range s.tables() {
			if s.rows[table] == nil && s.ready(table) {
				s.fill(table, perTable)
			}
		}
		if len(s.rows) == before {
			t.Fatalf("only %v can be filled", slices.Sorted(maps.Keys(s.rows)))
		}
	}
	return s
}

var permitted = regexp.MustCompile(`\((\w+) = ANY \(ARRAY\['([^']*)'`)

func (s *sample) readSchema(ctx context.Context, db *sqldb.DB) error {
	err := db.SelectContext(ctx, &s.columns, `
		SELECT table_name, column_name, data_type, is_nullable = 'YES' AS nullable, is_identity = 'YES' AS numbered
		FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name NOT LIKE 'schema\_%' AND table_name <> 'alert_words' -- which triggers fill
		ORDER BY table_name, ordinal_position`)
	if err != nil {
		return err
	}
	var constraints []struct {
		Table        string  `db:"child"`
		Column       string  `db:"column_name"`
		Parent       *string `db:"parent"`
		ParentColumn *string `db:"parent_column"`
		Text         string  `db:"text"`
	}
	err = db.SelectContext(ctx, &constraints, `
		SELECT c.conrelid::regclass::text AS child, a.attname AS column_name, p.oid::regclass::text AS parent,
			pa.attname AS parent_column, pg_get_constraintdef(c.oid) AS text
		FROM pg_constraint c
		JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
		LEFT JOIN pg_class p ON p.oid = c.confrelid
		LEFT JOIN pg_attribute pa ON pa.attrelid = c.confrelid AND pa.attnum = c.confkey[1]
		WHERE c.connamespace = current_schema()::regnamespace AND c.contype IN ('f', 'c')`)
	for _, c := range constraints {
		if c.Parent != nil {
			s.parents[c.Table+"."+c.Column] = [2]string{*c.Parent, *c.ParentColumn}
		} else if found := permitted.FindStringSubmatch(c.Text); found != nil {
			s.allowed[c.Table+"."+found[1]] = found[2]
		}
	}
	return err
}

func (s *sample) tables() (names []string) {
	for _, c := range s.columns {
		names = append(names, c.Table)
	}
	return slices.Compact(names)
}

// ready tells whether all tables that a table refers to are filled.
func (s *sample) ready(table string) bool {
	for column, parent := range s.parents {
		if strings.HasPrefix(column, table+".") && parent[0] != table && s.rows[parent[0]] == nil {
			return false
		}
	}
	return true
}

func (s *sample) fill(table string, n int) {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{}
	}
	for _, c := range s.columns {
		for i := range rows {
			if c.Table == table {
				rows[i][c.Column] = s.value(rows, i, c.Column, table, c.Type, c.Nullable, c.Identity)
			}
		}
	}
	s.rows[table] = rows
}

// value is an odd value of the type, another one for each row. Keys lead to later rows of the same table, too.
func (s *sample) value(rows []row, i int, column, table, kind string, nullable, identity bool) any {
	if parent, key := s.parents[table+"."+column]; key {
		if parent[0] == table {
			return rows[(i+1)%len(rows)][parent[1]]
		}
		return s.rows[parent[0]][i][parent[1]]
	}
	switch {
	case identity:
		return int64(i + 10)
	case nullable && i%3 == 1:
		return nil
	case s.allowed[table+"."+column] != "":
		return s.allowed[table+"."+column]
	}
	switch kind {
	case "bigint":
		return math.MaxInt64 - int64(i)
	case "integer":
		return math.MaxInt32 - int64(i)
	case "double precision":
		return 1 / float64(3+i)
	case "boolean":
		return i%2 == 0
	case "timestamp with time zone":
		return time.Date(2026, 2, 3, 4, 5, 6, 123456000, time.UTC).Add(time.Duration(i) * 999999 * time.Microsecond)
	case "uuid":
		return uuid.NewString()
	case "bytea":
		return bytes.Repeat([]byte{0, byte(i), 0xff, '\\', '\n'}, i) // the first one is empty
	case "text":
		return fmt.Sprintf("%s %d: 🦊 é \\N \\t\t\n'\"", column, i)
	}
	panic("no value of the type " + kind)
}

// write writes all rows into the SQLite database at url.
func (s *sample) write(t testing.TB, url string) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.Transact(t.Context(), func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(t.Context(), `PRAGMA defer_foreign_keys = ON`); err != nil {
			return err
		}
		var triggers []string // what they would write is among the rows
		if err := tx.SelectContext(t.Context(), &triggers, `SELECT name FROM sqlite_schema WHERE type = 'trigger'`); err != nil {
			return err
		}
		for _, trigger := range triggers {
			if _, err := tx.ExecContext(t.Context(), `DROP TRIGGER `+trigger); err != nil {
				return err
			}
		}
		for table, rows := range s.rows {
			for _, r := range rows {
				columns := slices.Sorted(maps.Keys(r))
				var values []any
				for _, c := range columns {
					values = append(values, r[c])
				}
				_, err := tx.ExecContext(t.Context(), `INSERT INTO `+table+` (`+strings.Join(columns, ", ")+`) VALUES `+
					sqldb.Tuples(1, len(columns)), values...)
				if err != nil {
					return fmt.Errorf("filling %s: %w", table, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// read is what the PostgreSQL database at url holds of a table, in the order of the rows' text.
func read(t *testing.T, url, table string) (rows []row) {
	t.Helper()
	found, err := storetest.Connect(t, url).QueryContext(t.Context(), `SELECT * FROM `+table)
	if err != nil {
		t.Fatal(err)
	}
	list := sqlx.Rows{Rows: found}
	defer func() { _ = list.Close() }()
	for list.Next() {
		r := row{}
		if err := list.MapScan(r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return sorted(rows)
}

// sorted has times in UTC, and UUIDs as text.
func sorted(rows []row) []row {
	for _, r := range rows {
		for column, value := range r {
			switch v := value.(type) {
			case time.Time:
				r[column] = v.UTC()
			case []byte:
				if _, err := uuid.Parse(string(v)); err == nil {
					r[column] = string(v)
				}
			}
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return rows
}

func migrated(t testing.TB, url string) string {
	t.Helper()
	if _, err := sqldb.Migrate(t.Context(), sqldb.Config{URL: url}, sqldb.Up, 0); err != nil {
		t.Fatal(err)
	}
	return url
}
