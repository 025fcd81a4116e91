package storetest

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Newer has each store that a test opens share its database with a newer Scanhook, which has added columns to every
// table. The tests of the store set it.
var Newer bool

// AddColumns adds columns to each table of the database at url, as a newer Scanhook may: one that may be null and one with
// a default, where they are missing.
func AddColumns(t testing.TB, url string) {
	t.Helper()
	tables := `SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND NOT EXISTS (
		SELECT 1 FROM information_schema.columns c
		WHERE c.table_schema = schemaname AND c.table_name = tablename AND c.column_name = 'newer_note')`
	if strings.HasPrefix(url, "sqlite:") {
		tables = `SELECT name FROM pragma_table_list t WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'
			AND NOT EXISTS (SELECT 1 FROM pragma_table_info(t.name) c WHERE c.name = 'newer_note')`
	}
	db := Connect(t, url)
	if _, err := db.ExecContext(t.Context(), addingColumns(t, db, tables)); err != nil {
		t.Fatal(err)
	}
}

func addingColumns(t testing.TB, db *sql.DB, tables string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), tables)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	statements := []string{`BEGIN`}
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(foreignTables, table) {
			continue
		}
		statements = append(statements,
			fmt.Sprintf(`ALTER TABLE %s ADD COLUMN newer_note TEXT`, table),
			fmt.Sprintf(`ALTER TABLE %s ADD COLUMN newer_count INTEGER NOT NULL DEFAULT 7`, table))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(statements, `COMMIT`), ";\n")
}

// foreignTables belong to libraries, which select all their columns.
var foreignTables = []string{"schema_migrations"}
