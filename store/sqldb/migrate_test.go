package sqldb_test

import (
	"context"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// A lock that its holder's transaction bears must not hold up what waits for all older transactions.
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

// Behind a pooler that hands connections on, what a session keeps is somebody else's.
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
			if _, err := s.AcceptPush(t.Context(), d, p); err != nil {
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
