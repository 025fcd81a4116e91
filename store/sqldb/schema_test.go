package sqldb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

// A migration that was edited after it was applied would make every push fail, or some other thing later.
func TestOtherTextOfMigrationIsRefused(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for change, want := range map[string]string{
			"": "", // the same text
			`UPDATE schema_texts SET sha256 = 'another'`: "0001_init.sql was different",
			// What was made before texts were kept is compared.
			`DROP TABLE schema_texts`:                                              "",
			`DROP TABLE schema_texts; ALTER TABLE scans DROP COLUMN stale`:         "it has no column scans.stale",
			`DROP TABLE schema_texts; DROP TABLE removed_scans`:                    "it has no column removed_scans.",
			`DROP TABLE schema_texts; DROP INDEX scans_by_branch`:                  "it has no index scans_by_branch",
			`DROP TABLE schema_texts; ALTER TABLE scans ADD COLUMN gone TEXT`:      "it has the column scans.gone",
			`DROP TABLE schema_texts; CREATE TABLE of_somebody (id TEXT)`:          "",
			`DELETE FROM schema_texts; ALTER TABLE scan_jobs DROP COLUMN failures`: "it has no column scan_jobs.failures",
		} {
			url := e.URL(t)
			if _, err := sqldb.Migrate(t.Context(), sqldb.Config{URL: url}, sqldb.Up, 0); err != nil {
				t.Fatal(err)
			}
			storetest.Execute(t, url, change)
			for command, err := range map[string]error{
				"check": sqldb.Probe(t.Context(), url), "serve": openAndClose(t, url), "migrate": migrateOnce(t, url, sqldb.Up),
				"migrate down": migrateOnce(t, url, sqldb.Down),
			} {
				fits := err == nil
				if want != "" {
					fits = errors.Is(err, core.ErrConflict) && strings.Contains(err.Error(), want) &&
						strings.Contains(err.Error(), "start with a fresh database")
				}
				if !fits {
					t.Errorf("%s after %q: %v, want %q", command, change, err, want)
				}
			}
		}
	})
}

// A migration that was taken back may come again with another text.
func TestTextsGoWithTheirMigrations(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		for _, step := range []sqldb.Direction{sqldb.Down, sqldb.Up, sqldb.Down} {
			if err := migrateOnce(t, url, step); err != nil {
				t.Fatal(err)
			}
		}
		storetest.Execute(t, url, `INSERT INTO schema_texts (id, sha256) VALUES ('0001_init.sql', 'none is there')`)
		if err := migrateOnce(t, url, sqldb.Up); err != nil {
			t.Error(err)
		}
	})
}
