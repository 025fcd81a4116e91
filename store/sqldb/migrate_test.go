package sqldb_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/migrations"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

func names(t *testing.T, engine string) []string {
	t.Helper()
	entries, err := fs.ReadDir(migrations.Files, engine)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

func TestMigrationsHaveTheSameNames(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(names(t, "postgres"), names(t, "sqlite")); diff != "" {
		t.Errorf("migrations (-postgres +sqlite):\n%s", diff)
	}
}

func TestMigrateUpDownUp(t *testing.T) {
	t.Parallel()
	all := len(names(t, "sqlite"))
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		for _, step := range []struct {
			direction sqldb.Direction
			want      int
		}{{sqldb.Up, all}, {sqldb.Up, 0}, {sqldb.Down, all}, {sqldb.Up, all}} {
			n, err := sqldb.Migrate(t.Context(), sqldb.Config{URL: url}, step.direction, 0)
			if err != nil || n != step.want {
				t.Fatalf("direction %d: %d migrations, %v, want %d", step.direction, n, err, step.want)
			}
		}
	})
}

// Replicas that start together must all come up.
func TestOpenConcurrently(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := openAndClose(t, url); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestWaitingForTheMigrationLockIsReported(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url, want := e.URL(t), "PostgreSQL's session"
		if file, embedded := strings.CutPrefix(url, "sqlite:"); embedded {
			want = file + ".lock"
		}
		release, err := sqldb.LockMigrations(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan string, 9)
		opened := make(chan error, 1)
		go func() {
			db, err := sqldb.Open(t.Context(), sqldb.Config{URL: url, Waiting: func(what string) { told <- what }})
			if err == nil {
				err = db.Close()
			}
			opened <- err
		}()
		if what := <-told; !strings.Contains(what, want) {
			t.Errorf("waits because %q, want it to name %s", what, want)
		}
		release()
		if err := <-opened; err != nil {
			t.Error(err)
		}
	})
}

// Two installations may share a database in schemas of their own.
func TestAnotherSchemasMigrationIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	release, err := sqldb.LockMigrations(t.Context(), storetest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancelCause(t.Context())
	cfg := sqldb.Config{URL: storetest.PostgresURL(t), Waiting: func(what string) { cancel(errors.New(what)) }}
	if _, err := sqldb.Migrate(ctx, cfg, sqldb.Up, 0); err != nil {
		t.Error(err, context.Cause(ctx))
	}
}

// The transaction that holds the lock must not delay what waits for all older transactions.
func TestIndexIsMadeConcurrentlyUnderTheMigrationLock(t *testing.T) {
	t.Parallel()
	url := storetest.PostgresURL(t)
	if err := migrateOnce(t, url, sqldb.Up); err != nil {
		t.Fatal(err)
	}
	unlock, err := sqldb.LockMigrations(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	_, err = storetest.Connect(t, url).ExecContext(ctx, `CREATE INDEX CONCURRENTLY concurrently_made ON settings (value)`)
	if err != nil {
		t.Error(err)
	}
}

// Behind a pooler that reuses connections, the settings of a session belong to another client.
func TestStoresStartBehindPooler(t *testing.T) {
	t.Parallel()
	pooled, direct := storetest.PoolerURL(t, "transaction")
	var starting sync.WaitGroup
	for range 8 {
		starting.Go(func() {
			s, err := store.Open(t.Context(), store.Config{URL: pooled})
			if err != nil {
				t.Error(err)
				return
			}
			d, p := storetest.PushOf(1)
			if _, err := s.Accept(t.Context(), storetest.With(d, p)); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	var locks int
	row := storetest.Connect(t, direct).QueryRowContext(t.Context(), `SELECT COUNT(*) FROM pg_locks
		WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	if err := row.Scan(&locks); err != nil || locks > 0 {
		t.Errorf("%d advisory locks stay behind, %v", locks, err)
	}
	for range 20 {
		var idle string
		row := storetest.Connect(t, pooled).QueryRowContext(t.Context(), `SHOW idle_in_transaction_session_timeout`)
		if err := row.Scan(&idle); err != nil || idle != "0" {
			t.Errorf("somebody else's connection has idle_in_transaction_session_timeout %s, %v", idle, err)
		}
	}
}

func TestPoolerInStatementModeIsNamed(t *testing.T) {
	t.Parallel()
	pooled, _ := storetest.PoolerURL(t, "statement")
	for command, err := range map[string]error{
		"check": sqldb.Probe(t.Context(), pooled), "serve": openAndClose(t, pooled), "migrate": migrateOnce(t, pooled, sqldb.Up),
	} {
		if err == nil || !strings.Contains(err.Error(), "set pool_mode to transaction or session") {
			t.Errorf("%s: %v, want advice about pool_mode", command, err)
		}
	}
}

// A migration that was edited after it was applied would make every push fail, or something else later.
func TestOtherTextOfMigrationIsRefused(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for change, want := range map[string]string{
			"": "", // the same text
			`UPDATE schema_texts SET sha256 = 'another'`: "0001_init.sql was different",
			// Such a database is from before the first release, whatever it holds.
			`DROP TABLE schema_texts`:                                      "0001_init.sql was different",
			`DELETE FROM schema_texts`:                                     "0001_init.sql was different",
			`INSERT INTO schema_migrations (id) VALUES ('0000_other.sql')`: "it has 0000_other.sql",
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

// A migration that was reverted may return with another text.
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

// While a newer Scanhook is rolled out, older ones run beside it, and start again.
func TestOpenBesideNewerScanhook(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		url := e.URL(t)
		if err := migrateOnce(t, url, sqldb.Up); err != nil {
			t.Fatal(err)
		}
		storetest.Execute(t, url, `
			CREATE TABLE of_newer (id BIGINT); ALTER TABLE scans ADD COLUMN of_newer TEXT;
			INSERT INTO schema_texts (id, sha256) VALUES ('9999_newer.sql', 'its own');
			INSERT INTO schema_migrations (id, applied_at) VALUES ('9999_newer.sql', CURRENT_TIMESTAMP)`)
		for command, err := range map[string]error{
			"check": sqldb.Probe(t.Context(), url), "serve": openAndClose(t, url), "migrate": migrateOnce(t, url, sqldb.Up),
		} {
			if err != nil {
				t.Errorf("%s: %v", command, err)
			}
		}
		err := migrateOnce(t, url, sqldb.Down)
		if !errors.Is(err, core.ErrConflict) || !strings.Contains(err.Error(), "migrate down with the newer one: it has 9999_newer.sql") {
			t.Errorf("migrate down: %v, want to be referred to the newer scanhook", err)
		}
	})
}
