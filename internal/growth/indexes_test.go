package growth

import (
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// mostIndexes is how many indexes a push may change: each is a page that is read and written.
const mostIndexes = 16

// TestIndexesOfAPush counts the indexes, primary keys included, in which a push makes, changes or removes an entry, from
// the call, which is kept and derived, until its scan can be claimed. Both engines have the same indexes; the entries are compared on SQLite.
func TestIndexesOfAPush(t *testing.T) {
	t.Parallel()
	url := storetest.SQLiteURL(t)
	s := storetest.OpenAt(t, url, store.Config{})
	db := storetest.Connect(t, url)
	push := func(n int, branch string) map[string]bool {
		d, p := storetest.PushOf(n, storetest.OnBranch(branch))
		if branch != "main" {
			p.Before = strings.Repeat("0", 40)
		}
		d.Event = p
		before := entriesOf(t, db)
		if _, err := s.Keep(t.Context(), core.Call{Delivery: d, Raw: []byte("raw")}); err != nil {
			t.Fatal(err)
		}
		kept := entriesOf(t, db)
		read := func(call core.KeptCall) (core.Delivery, error) {
			d.ReceivedAt = call.ReceivedAt
			return d, nil
		}
		if n, err := s.Derive(t.Context(), store.Deriver{Read: read, Most: 10}); n != 1 || err != nil {
			t.Fatalf("%d calls derived, %v", n, err)
		}
		names := changed(before, kept)
		maps.Copy(names, changed(kept, entriesOf(t, db)))
		return names
	}
	push(1, "main")
	for n, branch := range []string{"main", "new"} {
		touched := push(n+2, branch)
		names := slices.Sorted(maps.Keys(touched))
		t.Logf("a push to %s, whose project has an open scan, touches %d indexes:\n%s", branch, len(names), strings.Join(names, "\n"))
		if len(names) > mostIndexes && branch == "new" {
			t.Errorf("a push touches %d indexes, want %d at most", len(names), mostIndexes)
		}
	}
}

// changed are the indexes whose entries differ.
func changed(before, after map[string]string) map[string]bool {
	names := map[string]bool{}
	for name, entries := range after {
		if entries != before[name] {
			names[name] = true
		}
	}
	return names
}

// entriesOf are the entries of each index, as one text. The tables themselves are ordered by their primary keys, as
// SQLite's are.
func entriesOf(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	entries := map[string]string{}
	for _, table := range column(t, db, `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT wr`) {
		entries[table+" (primary key)"] = strings.Join(column(t, db, `SELECT rowid FROM `+table+` ORDER BY 1`), "\n")
	}
	for _, table := range column(t, db, `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND wr`) {
		keys := column(t, db, `SELECT name FROM pragma_table_info('`+table+`') WHERE pk > 0`)
		entries[table+" (primary key)"] = strings.Join(column(t, db, `SELECT JSON_ARRAY(`+strings.Join(keys, ", ")+`) FROM `+table+` ORDER BY 1`), "\n")
	}
	for _, name := range column(t, db, `SELECT name FROM sqlite_schema WHERE type = 'index'`) {
		entries[name] = strings.Join(column(t, db, entriesSQL(t, db, name)), "\n")
	}
	return entries
}

var indexText = regexp.MustCompile(`(?s)CREATE (?:UNIQUE )?INDEX \w+\s+ON (\w+)\s*\((.*?)\)\s*(?:WHERE (.*))?$`)

// entriesSQL selects the entries of an index: of one with a text by its expressions and its condition, of a constraint by
// its columns.
func entriesSQL(t *testing.T, db *sql.DB, index string) string {
	t.Helper()
	text := column(t, db, fmt.Sprintf(`SELECT COALESCE(sql, '') FROM sqlite_schema WHERE name = '%s'`, index))[0]
	if text == "" {
		table := column(t, db, fmt.Sprintf(`SELECT tbl_name FROM sqlite_schema WHERE name = '%s'`, index))[0]
		columns := column(t, db, fmt.Sprintf(`SELECT name FROM pragma_index_info('%s')`, index))
		return `SELECT QUOTE(` + strings.Join(columns, `) || QUOTE(`) + `) FROM ` + table + ` ORDER BY 1`
	}
	parts := indexText.FindStringSubmatch(text)
	if parts == nil {
		t.Fatalf("this is no index: %s", text)
	}
	condition := parts[3]
	if condition == "" {
		condition = "TRUE"
	}
	return `SELECT JSON_ARRAY(` + parts[2] + `) FROM ` + parts[1] + ` WHERE ` + condition + ` ORDER BY 1`
}

// column are the values that a query selects.
func column(t *testing.T, db *sql.DB, query string) (values []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}
