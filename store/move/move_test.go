package move_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/move"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

// Each table arrives with each row and each column, whatever a later version adds to the schema.
func TestEveryTableArrives(t *testing.T) {
	t.Parallel()
	from, to := migrated(t, storetest.SQLiteURL(t)), storetest.PostgresURL(t)
	s := newSample(t, migrated(t, storetest.PostgresURL(t)), 3)
	s.write(t, from)
	storetest.Execute(t, from, `UPDATE sqlite_sequence SET seq = 1000`) // the last rows were deleted
	var last, total int64
	moved, err := move.Database(t.Context(), move.Config{From: from, To: to, Progress: func(done, all int64) { last, total = done, all }})
	if err != nil {
		t.Fatal(err)
	}
	if len(moved) != len(s.tables()) || total != int64(6*len(moved)) || last != total {
		t.Errorf("moved %d tables of %d, progress %d of %d", len(moved), len(s.tables()), last, total)
	}
	for _, table := range s.tables() {
		if diff := cmp.Diff(sorted(s.rows[table]), read(t, to, table)); diff != "" {
			t.Errorf("%s (-SQLite +PostgreSQL):\n%s", table, diff)
		}
	}
	var searched int
	row := storetest.Connect(t, to).QueryRowContext(t.Context(), `
		SELECT COUNT(*) FROM alert_words w JOIN alerts a ON a.id = w.alert_id WHERE w.words = words_of(a.title || ' ' || a.file || ' ' || a.rule_id || ' ' || a.words)`)
	if err := row.Scan(&searched); err != nil || searched != len(s.rows["alerts"]) {
		t.Errorf("%d alerts of %d can be searched, %v", searched, len(s.rows["alerts"]), err)
	}
	for _, c := range s.columns {
		if !c.Identity {
			continue
		}
		want := int64(1001)
		if c.Table == "write_trials" { // SQLite may give a number of it again
			want = 13
		}
		var next int64
		row := storetest.Connect(t, to).QueryRowContext(t.Context(), `SELECT nextval(pg_get_serial_sequence($1, $2))`, c.Table, c.Column)
		if err := row.Scan(&next); err != nil || next != want {
			t.Errorf("the next %s.%s is %d, want %d: %v", c.Table, c.Column, next, want, err)
		}
	}
}

// A copy that differs in one value, lacks a row or has one twice is not kept, and leaves the target as it was.
func TestBrokenCopiesAreFound(t *testing.T) {
	t.Parallel()
	broken := map[string]string{
		"a value":        `BEGIN IF NEW.id = 11 THEN NEW.detail := NEW.detail || ' '; END IF; RETURN NEW; END`,
		"a moment":       `BEGIN NEW.timestamp := NEW.timestamp + interval '1 microsecond'; RETURN NEW; END`,
		"a lost row":     `BEGIN IF NEW.id = 11 THEN RETURN NULL; END IF; RETURN NEW; END`,
		"swapped values": `DECLARE was text := NEW.actor; BEGIN NEW.actor := NEW.action; NEW.action := was; RETURN NEW; END`,
		"one row more": `BEGIN IF NEW.id = 11 THEN INSERT INTO audit_events (id, timestamp, actor, action, subject)
			VALUES (99, now(), '', '', ''); END IF; RETURN NEW; END`,
	}
	from := migrated(t, storetest.SQLiteURL(t))
	newSample(t, migrated(t, storetest.PostgresURL(t)), 3).write(t, from)
	to := migrated(t, storetest.PostgresURL(t))
	for name, body := range broken {
		storetest.Execute(t, to, `CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ `+body+` $$;
			CREATE TRIGGER break BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION break()`)
		_, err := move.Database(t.Context(), move.Config{From: from, To: to})
		if !errors.Is(err, core.ErrConflict) || !strings.Contains(err.Error(), "the copy of audit_events is not equal: 3 rows") {
			t.Errorf("%s: %v", name, err)
		}
		storetest.Execute(t, to, `DROP FUNCTION break CASCADE`)
	}
	if _, err := move.Database(t.Context(), move.Config{From: from, To: to}); err != nil {
		t.Errorf("after moves that failed: %v", err)
	}
}

// What cannot be moved is refused with advice, and nothing is changed.
func TestRefusals(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := func() string { return migrated(t, storetest.SQLiteURL(t)) }
	changed := func(url, statement string) string { storetest.Execute(t, url, statement); return url }
	served := fresh()
	serving, err := sqldb.AttachUnchecked(served)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serving.Close() })
	if err := serving.ServeNow(); err != nil {
		t.Fatal(err)
	}
	empty, other := storetest.PostgresURL(t), changed(migrated(t, storetest.PostgresURL(t)), `UPDATE schema_texts SET sha256 = 'another'`)
	filled := changed(migrated(t, storetest.PostgresURL(t)), `INSERT INTO settings (name, value) VALUES ('a', 'b')`)
	for name, test := range map[string]struct {
		from, to string
		want     error
		says     string
	}{
		"somebody serves it":     {served, empty, core.ErrConflict, "another scanhook serves"},
		"no file":                {storetest.SQLiteURL(t), empty, core.ErrNotFound, "not found"},
		"no database":            {"sqlite:" + text, empty, nil, "is damaged"},
		"somebody else's":        {changed(storetest.SQLiteURL(t), `CREATE TABLE notes (id INTEGER)`), empty, core.ErrNotFound, "no scanhook has made its tables in it"},
		"before the first":       {changed(fresh(), `UPDATE schema_texts SET sha256 = 'another'`), empty, core.ErrConflict, "before the first release"},
		"newer":                  {changed(fresh(), `INSERT INTO schema_migrations VALUES ('9999_future.sql', '2030-01-01')`), empty, core.ErrConflict, "a newer scanhook has applied 9999_future.sql"},
		"a table is missing":     {changed(fresh(), `DROP TABLE sessions`), empty, core.ErrConflict, "somebody has changed the table sessions"},
		"a column more":          {changed(fresh(), `ALTER TABLE sessions ADD COLUMN note TEXT`), empty, core.ErrConflict, "somebody has changed the table sessions"},
		"the target lacks one":   {fresh(), changed(migrated(t, storetest.PostgresURL(t)), `DROP TABLE sessions`), core.ErrConflict, "somebody has changed the table sessions"},
		"from a server":          {empty, empty, core.ErrInvalid, "it is not a file"},
		"to a file":              {fresh(), fresh(), core.ErrInvalid, "it is not on a server"},
		"the target holds rows":  {fresh(), filled, core.ErrConflict, "is not empty, settings has 1 row"},
		"the target is another":  {fresh(), other, core.ErrConflict, "was different when it was applied"},
		"the target is away":     {fresh(), "postgres://u:p@127.0.0.1:1/d", core.ErrUnavailable, "unavailable"},
		"text that is no text":   {changed(fresh(), `INSERT INTO settings (name, value) VALUES ('a', CAST(x'6100ff' AS TEXT))`), empty, nil, "reading settings.value of row 1: PostgreSQL takes no NUL"},
		"a time that is no time": {changed(fresh(), `INSERT INTO sessions (key, expires_at) VALUES ('a', 'soon')`), empty, nil, "reading sessions.expires_at of row 1"},
	} {
		_, err := move.Database(t.Context(), move.Config{From: test.from, To: test.to})
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
	if _, err := move.Database(t.Context(), move.Config{From: fresh(), To: empty}); err != nil {
		t.Errorf("the target of refused moves: %v", err)
	}
}

// Somebody who stops a move leaves nothing behind.
func TestStoppedMove(t *testing.T) {
	t.Parallel()
	from, to := migrated(t, storetest.SQLiteURL(t)), storetest.PostgresURL(t)
	newSample(t, migrated(t, storetest.PostgresURL(t)), 3).write(t, from)
	ctx, stop := context.WithCancel(t.Context())
	_, err := move.Database(ctx, move.Config{From: from, To: to, Progress: func(done, _ int64) {
		if done > 30 {
			stop()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if _, err := move.Database(t.Context(), move.Config{From: from, To: to}); err != nil {
		t.Errorf("once more: %v", err)
	}
}

// BenchmarkMove moves 2,000 rows of each table. The same rows copied between two schemas by the server itself are what its
// indexes and foreign keys cost.
func BenchmarkMove(b *testing.B) {
	from, empty := migrated(b, storetest.SQLiteURL(b)), migrated(b, storetest.PostgresURL(b))
	newSample(b, empty, 2000).write(b, from)
	var tables []move.Table
	b.Run("move", func(b *testing.B) {
		rows, most := 0, uint64(0)
		for b.Loop() {
			var err error
			tables, err = move.Database(b.Context(), move.Config{
				From: from, To: migrated(b, storetest.PostgresURL(b)), Progress: func(int64, int64) { most = max(most, heap()) },
			})
			if err != nil {
				b.Fatal(err)
			}
			rows += 2000 * len(tables)
		}
		b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
		b.ReportMetric(float64(most)/(1<<20), "MB-heap")
	})
	b.Run("server", func(b *testing.B) {
		full := migrated(b, storetest.PostgresURL(b))
		if _, err := move.Database(b.Context(), move.Config{From: from, To: full}); err != nil {
			b.Fatal(err)
		}
		source, rows := schemaOf(b, full), 0
		for b.Loop() {
			to := migrated(b, storetest.PostgresURL(b))
			for _, table := range tables {
				storetest.Execute(b, to, `INSERT INTO `+table.Name+` SELECT * FROM `+source+`.`+table.Name)
				rows += 2000
			}
		}
		b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	})
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// schemaOf is the schema that a test's URL names.
func schemaOf(b *testing.B, address string) string {
	b.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		b.Fatal(err)
	}
	return parsed.Query().Get("search_path")
}
