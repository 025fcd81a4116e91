package main

import (
	"database/sql"
	"path/filepath"
	"testing"
)

// An older Scanhook works beside a newer one, but cannot take back what that one has made.
func TestMigrateDownRefusesNewerDatabase(t *testing.T) {
	t.Parallel()
	config, execute := migrated(t)
	execute(`INSERT INTO schema_migrations VALUES ('9999_future.sql', '2030-01-01')`)
	command(t, "migrate", "--config", config).expect(t, 0, "Nothing to apply")
	command(t, "migrate", "down", "--yes", "--config", config).expect(t, 1, "the database is newer than this scanhook")
}

// A schema that another text of a migration made looks up to date, and every push to it would fail.
func TestSchemaOfAnotherTextIsRefused(t *testing.T) {
	t.Parallel()
	config, execute := migrated(t)
	execute(`UPDATE schema_texts SET sha256 = 'another'`)
	for _, args := range [][]string{{"migrate"}, {"migrate", "down", "--yes"}, {"serve"}, {"check"}, {"explain", "0123456"}} {
		got := command(t, append(args, "--config", config)...)
		got.expect(t, 1, "run the scanhook that made it, or start with a fresh database")
	}
}

// migrated is the configuration of a database that has just been migrated, and executes statements in that.
func migrated(t *testing.T) (config string, execute func(statement string)) {
	t.Helper()
	database := filepath.Join(t.TempDir(), "scanhook.db")
	config = writeFile(t, "database: {url: \"sqlite:"+database+"\"}")
	command(t, "migrate", "--config", config).expect(t, 0)
	return config, func(statement string) {
		t.Helper()
		db, err := sql.Open("sqlite", "file:"+database)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}
