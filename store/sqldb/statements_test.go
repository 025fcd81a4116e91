package sqldb_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestStatementsAreKept runs one statement within itself, more statements than are kept, and one whose table changes.
func TestStatementsAreKept(t *testing.T) {
	t.Parallel()
	db := openDB(t, "sqlite:"+t.TempDir()+"/kept.db")
	conn, err := db.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec(`CREATE TABLE letters (n INTEGER, letter TEXT)`)
	for n, letter := range []string{"a", "b", "c"} {
		exec(`INSERT INTO letters VALUES (?, ?)`, n, letter)
	}
	const after = `SELECT n FROM letters WHERE n >= ? ORDER BY n`
	pairs := ""
	outer, err := conn.QueryContext(t.Context(), after, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = outer.Close() }()
	for outer.Next() {
		var a int
		var rest []int
		if err := outer.Scan(&a); err != nil {
			t.Fatal(err)
		}
		if err := conn.SelectContext(t.Context(), &rest, after, a); err != nil {
			t.Fatal(err)
		}
		pairs += fmt.Sprint(a, rest)
	}
	if err := outer.Err(); err != nil || pairs != "0 [0 1 2]1 [1 2]2 [2]" {
		t.Errorf("a statement within itself: %s, %v", pairs, err)
	}
	for i := range 1000 {
		var n int
		if err := conn.GetContext(t.Context(), &n, fmt.Sprintf(`SELECT %d + COUNT(*) FROM letters WHERE n = ?`, i), i%3); err != nil || n != i+1 {
			t.Fatalf("statement %d: %d, %v", i, n, err)
		}
	}
	long := `SELECT COUNT(*) FROM letters WHERE n IN (?` + strings.Repeat(`, 1`, 2000) + `)`
	for range 2 {
		var n int
		if err := conn.GetContext(t.Context(), &n, long, 0); err != nil || n != 2 {
			t.Errorf("a long statement: %d, %v", n, err)
		}
	}
	exec(`DROP TABLE letters`)
	exec(`CREATE TABLE letters (letter TEXT, n INTEGER, more TEXT)`)
	exec(`INSERT INTO letters (n) VALUES (7)`)
	var left []int
	if err := conn.SelectContext(t.Context(), &left, after, 0); err != nil || fmt.Sprint(left) != "[7]" {
		t.Errorf("after the table has changed: %v, %v", left, err)
	}
}
