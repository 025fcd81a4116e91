package main

import (
	"database/sql"
	"path/filepath"
	"testing"
)

func TestMigrateRefusesNewerDatabase(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "scanhook.db")
	config := writeFile(t, "database: {url: \"sqlite:"+database+"\"}")
	command(t, "migrate", "--config", config).expect(t, 0)
	db, err := sql.Open("sqlite", "file:"+database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	future := `INSERT INTO schema_migrations VALUES ('9999_future.sql', '2030-01-01')`
	if _, err := db.ExecContext(t.Context(), future); err != nil {
		t.Fatal(err)
	}
	command(t, "migrate", "--config", config).expect(t, 1, "the database is newer than this scanhook")
}

// A schema that another text of a migration made looks up to date, and every push to it would fail.
func TestSchemaOfAnotherTextIsRefused(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "scanhook.db")
	config := writeFile(t, "database: {url: \"sqlite:"+database+"\"}")
	command(t, "migrate", "--config", config).expect(t, 0)
	db, err := sql.Open("sqlite", "file:"+database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), `UPDATE schema_texts SET sha256 = 'another'`); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"migrate"}, {"migrate", "down", "--yes"}, {"serve"}, {"check"}, {"explain", "0123456"}} {
		got := command(t, append(args, "--config", config)...)
		got.expect(t, 1, "run the scanhook that made it, or start with a fresh database")
	}
}
