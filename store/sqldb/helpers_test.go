package sqldb_test

import (
	"testing"

	"github.com/scanhook/scanhook/store/sqldb"
)

// openDB opens the database of an engine until the test ends.
func openDB(t *testing.T, url string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func openAndClose(t *testing.T, url string) error {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: url})
	if err == nil {
		err = db.Close()
	}
	return err
}

func migrateOnce(t *testing.T, url string, direction sqldb.Direction) error {
	t.Helper()
	_, err := sqldb.Migrate(t.Context(), sqldb.Config{URL: url}, direction, 0)
	return err
}
