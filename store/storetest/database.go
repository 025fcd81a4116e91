package storetest

import (
	"context"
	"database/sql"
	"strings"
	"testing"
)

// Connect opens the database at url without a store, until the test ends.
func Connect(t testing.TB, url string) *sql.DB {
	t.Helper()
	driver, dsn := "postgres", url
	if file, embedded := strings.CutPrefix(url, "sqlite:"); embedded {
		driver, dsn = "sqlite", "file:"+file+"?_pragma=busy_timeout(60000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(0)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Execute runs statements in the database at url without a store. The test may have ended.
func Execute(t testing.TB, url, statements string) {
	t.Helper()
	if _, err := Connect(t, url).ExecContext(context.WithoutCancel(t.Context()), statements); err != nil {
		t.Fatal(err)
	}
}

// SetOnAllTables has PostgreSQL treat each table of the database at url in another way, such as "autovacuum_enabled = false".
// It does nothing on SQLite.
func SetOnAllTables(t testing.TB, url, parameter string) {
	t.Helper()
	if !strings.HasPrefix(url, "sqlite:") {
		Execute(t, url, onAllTables(`ALTER TABLE %I SET (`+parameter+`)`))
	}
}

// Analyze ANALYZEs the tables of the database at url, and of no other test that shares the server.
func Analyze(t testing.TB, url string) {
	t.Helper()
	if strings.HasPrefix(url, "sqlite:") {
		Execute(t, url, `ANALYZE`)
	} else {
		Execute(t, url, AnalyzeOwn)
	}
}

// AnalyzeOwn is the statement that ANALYZEs the test's own tables in PostgreSQL. A plain ANALYZE locks those of all tests that share
// the server, and two of them lock each other out.
var AnalyzeOwn = onAllTables(`ANALYZE %I`)

// onAllTables runs a statement for each of the test's own tables in PostgreSQL.
func onAllTables(statement string) string {
	return `DO $$ DECLARE made name; BEGIN
		FOR made IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
			EXECUTE format('` + statement + `', made);
		END LOOP; END $$`
}
