package main

import (
	"database/sql"
	"path/filepath"
	"testing"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "scanhook.db")
	config := writeFile(t, "database: {url: \"sqlite:"+database+"\"}")
	for _, step := range []struct {
		args []string
		want string
	}{
		{nil, "sqlite:" + database + " is up to date"},
		{[]string{"up"}, "Nothing to apply: sqlite:" + database + " is up to date"},
		{[]string{"down", "--yes"}, "Took 1 migration back"},
		{[]string{"up", "--steps", "1"}, "Applied 1 migration to"},
		{[]string{"down", "--yes", "--steps", "99"}, "back from"},
		{[]string{"down", "--yes"}, "holds no migration to take back"},
		{[]string{"up", "--steps", "99"}, "is up to date"},
	} {
		command(t, append([]string{"migrate", "--config", config}, step.args...)...).expect(t, 0, step.want)
	}
}

func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	config := writeFile(t, "database: {url: \"sqlite:"+filepath.Join(t.TempDir(), "scanhook.db")+"\"}")
	away := writeFile(t, "database: {url: \"postgres://scanhook:hunter2hunter2@127.0.0.1:1/scanhook\"}")
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"sideways":      {[]string{"sideways", "--config", config}, 2, `invalid argument "sideways"`},
		"two ways":      {[]string{"up", "down", "--config", config}, 2, "at most 1 arg"},
		"down unasked":  {[]string{"down", "--config", config}, 2, "deletes tables with all that they hold"},
		"no steps":      {[]string{"down", "--steps", "0", "--config", config}, 2, "--steps must be 1 or more"},
		"negative":      {[]string{"--steps=-1", "--config", config}, 2, "--steps must be 1 or more"},
		"no number":     {[]string{"--steps", "all", "--config", config}, 2, `invalid argument "all"`},
		"database away": {[]string{"--config", away}, 1, "migrating database: unavailable"},
		"no config":     {[]string{"--config", config + ".gone"}, 1, "scanhook init writes one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := command(t, append([]string{"migrate"}, test.args...)...)
			got.expect(t, test.code, test.want)
			got.hides(t, "hunter2hunter2")
		})
	}
}

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
