package growth

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

const (
	numProjects = 50
	openScans   = 100              // the last ones
	dueOf       = 10               // one of so many statuses is due
	rareOf      = 13               // one of so many of the first ones is rare
	lastRare    = 64 * rareOf      // so that they fill a page
	leastSize   = 20 * numProjects // so that as many statuses are due as a round posts
)

// scatter is a factor that puts numbers in no order, as hashes are: each key lies elsewhere in an index.
const scatter = 2654435761

func commitOf(n int) string { return fmt.Sprintf("%08x%032x", uint32(n*scatter), n) }

func uuidOf(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(n*scatter), n) }

func projectOf(n int) string { return fmt.Sprint("acme/app-", n%numProjects) }

// filler writes the history of many pushes by a handful of statements.
type filler struct {
	t      *testing.T
	db     *sql.DB
	engine string
}

// fill makes a history of so many scans, with jobs, statuses, deliveries and some findings. The last scans are open, and
// a tenth of the statuses is due.
func fill(t *testing.T, engine, url string, size int) {
	t.Helper()
	if _, err := sqldb.Migrate(t.Context(), sqldb.Config{URL: url}, sqldb.Up, 0); err != nil {
		t.Fatal(err)
	}
	storetest.SetOnAllTables(t, url, noAnalyze)
	f := filler{t, storetest.Connect(t, url), engine}
	f.db.SetMaxOpenConns(1) // its settings are a connection's own
	f.db.SetMaxIdleConns(1)
	f.exec(map[string]string{
		"sqlite":   `PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA foreign_keys = OFF`,
		"postgres": `SET synchronous_commit = off; SET session_replication_role = replica; SET maintenance_work_mem = '512MB'`,
	}[engine])
	later := f.dropIndexes()
	for _, statement := range history {
		f.exec(f.spell(statement), size)
	}
	for _, index := range later {
		f.exec(index)
	}
	if engine == "postgres" {
		f.exec(`VACUUM`) // as autovacuum has done by then; it ANALYZEs nothing
	}
	f.exec(map[string]string{"sqlite": `PRAGMA journal_mode = WAL`, "postgres": `CHECKPOINT`}[engine])
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}
}

func (f filler) exec(statement string, args ...any) {
	f.t.Helper()
	if !strings.Contains(statement, "$1") {
		args = nil
	}
	if _, err := f.db.ExecContext(f.t.Context(), statement, args...); err != nil {
		f.t.Fatalf("%s: %v", statement, err)
	}
}

// dropIndexes returns the statements that make the indexes again: filled at once, they take a fraction of the time.
func (f filler) dropIndexes() (make []string) {
	f.t.Helper()
	list := `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL`
	if f.engine == "postgres" {
		list = `SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND NOT EXISTS (
			SELECT 1 FROM pg_constraint c WHERE c.conindid = CAST(schemaname || '.' || indexname AS REGCLASS))`
	}
	rows, err := f.db.QueryContext(f.t.Context(), list)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for rows.Next() {
		var name, definition string
		if err := rows.Scan(&name, &definition); err != nil {
			f.t.Fatal(err)
		}
		names, make = append(names, name), append(make, definition)
	}
	if err := rows.Err(); err != nil {
		f.t.Fatal(err)
	}
	for _, name := range names {
		f.exec(`DROP INDEX ` + name)
	}
	return make
}

// spell replaces what the engines say in different ways.
func (f filler) spell(statement string) string {
	scattered := fmt.Sprintf(`(n * %d & 4294967295)`, scatter)
	now, later := `STRFTIME('%Y-%m-%d %H:%M:%f+00:00', 'now', '-1 seconds')`, `STRFTIME('%Y-%m-%d %H:%M:%f+00:00', 'now', '1 hours')`
	commit := func(n string) string {
		return `PRINTF('%08x%032x', ` + strings.ReplaceAll(scattered, "n", n) + `, ` + n + `)`
	}
	uuid := `PRINTF('%08x-0000-4000-8000-%012x', ` + scattered + `, n)`
	key := uuid
	if f.engine == "postgres" {
		hex := func(digits int, n string) string { return fmt.Sprintf(`LPAD(TO_HEX(%s), %d, '0')`, n, digits) }
		now, later = `NOW() - INTERVAL '1 second'`, `NOW() + INTERVAL '1 hour'`
		commit = func(n string) string { return hex(8, strings.ReplaceAll(scattered, "n", n)) + ` || ` + hex(32, n) }
		key = hex(8, scattered) + ` || '-0000-4000-8000-' || ` + hex(12, `n`)
		uuid = `CAST(` + key + ` AS UUID)`
	}
	return strings.NewReplacer(
		`:numbers`, `WITH RECURSIVE numbers (n) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)`,
		`:projects`, fmt.Sprint(numProjects), `:project`, fmt.Sprintf(`'acme/app-' || (n %% %d)`, numProjects),
		`:branch`, fmt.Sprintf(`CASE WHEN n / %d %% 5 = 0 THEN 'feature-' || n ELSE 'main' END`, numProjects),
		`:commit`, commit(`n`), `:before`, commit(fmt.Sprintf(`(n - %d)`, numProjects)), `:uuid`, uuid, `:key`, key,
		`:now`, now, `:later`, later, `:open`, fmt.Sprint(openScans), `:due`, fmt.Sprint(dueOf), `:scanner`, `'`+scanner+`'`,
		`:rare`, fmt.Sprintf(`n <= %d AND n %% %d = 1`, lastRare, rareOf), `:otherwise`, fmt.Sprintf(`n <= %d AND n %% %d = 2`, lastRare, rareOf),
	).Replace(statement)
}

// history makes the rows that $1 pushes, their scans and their posts have left, numbered from 1 on. What is rare is in the far
// past, and as much of it in all databases as fills a page.
var history = []string{
	`INSERT INTO projects (platform, platform_ref, name, name_key, default_branch, repo_url, seen_at)
	:numbers
	SELECT 'github', CAST(7000 + n - 1 AS TEXT), 'acme/app-' || (n - 1), 'acme/app-' || (n - 1), 'main',
		'https://github.example/acme/app-' || (n - 1), :now FROM numbers WHERE n <= :projects`,
	`INSERT INTO scans (reference_id, project_id, source_platform, project_name, repo_url, ref, branch, default_branch, commit_sha,
		before_sha, status, verdict, summary, timestamp, deadline_at, started_at, finished_at)
	:numbers
	SELECT :uuid, n % :projects + 1, 'github', :project, 'https://github.example/' || :project, 'refs/heads/' || :branch, :branch, 'main', :commit,
		CASE WHEN n > :projects THEN :before ELSE '' END,
		CASE WHEN n > $1 - :open THEN 'pending' WHEN :rare THEN 'failed' ELSE 'completed' END,
		CASE WHEN n > $1 - :open OR :rare THEN NULL WHEN :otherwise THEN 'fail' ELSE 'pass' END,
		'0 new, 2 known', :now, :later, :now, :now
	FROM numbers`,
	`INSERT INTO refs (project_id, name, sha, before_sha, moved_at)
	:numbers
	SELECT n % :projects + 1, CASE WHEN n > $1 - :projects THEN 'refs/heads/main' ELSE 'refs/heads/' || :branch END, :commit, :before, :now
	FROM numbers WHERE n > $1 - :projects OR n / :projects % 5 = 0`,
	`INSERT INTO outcomes (scan_id, source_platform, project_id, branch, outcome)
	SELECT id, source_platform, project_id, branch, COALESCE(verdict, status) FROM scans
	WHERE status IN ('completed', 'failed') ORDER BY id`,
	`INSERT INTO scan_jobs (scan_id, scanner, state, attempt, worker, num_findings, started_at, finished_at)
	:numbers
	SELECT n, CASE WHEN n > $1 - :open THEN 'lint' ELSE :scanner END,
		CASE WHEN n > $1 - :open THEN 'pending' WHEN :rare THEN 'failed' ELSE 'completed' END, 1, 'w',
		CASE WHEN n % 5 = 0 THEN 1 ELSE 0 END, :now, :now
	FROM numbers`,
	`INSERT INTO alerts (id, project_id, number, key, tool, rule_id, severity, file, line, state, first_seen, first_seen_scan_id)
	SELECT id * 4294967296 + 1, id, 1, 'key of R1', :scanner, 'R1', 'Low', 'a.go', 3, 'open', seen_at, 1 FROM projects ORDER BY id`,
	`INSERT INTO alert_numbers (project_id, last) SELECT project_id, number FROM alerts`,
	`INSERT INTO findings (scan_id, job_id, alert_id, tool, rule_id, file, line, severity, fingerprint, baseline_state)
	:numbers
	SELECT n, n, (n % :projects + 1) * 4294967296 + 1, :scanner, 'R1', 'a.go', 3, 'Low', 'fingerprint of R1', 'unchanged' FROM numbers WHERE n % 5 = 0`,
	`INSERT INTO deliveries (platform, delivery_key, event, project_name, project_id, state, outcome, scan_id, received_at)
	:numbers
	SELECT 'github', '1:' || :key, 'push', :project, n % :projects + 1, CASE WHEN :rare THEN 'ignored' ELSE 'derived' END,
		CASE WHEN :rare THEN 'ignored' ELSE 'scan_created' END, n, :now FROM numbers`,
	`INSERT INTO commit_statuses (first_scan_id, scan_id, source_platform, project_id, commit_sha, branch, context, state,
		description, target_url, revision, posted_revision, posted_state, next_attempt_at, desired_at, due_since)
	:numbers
	SELECT n, n, 'github', n % :projects + 1, :commit, :branch, 'scanhook', 'success', '0 new, 2 known',
		'http://scanhook.example/scans/' || n, 2, CASE WHEN n > $1 - $1 / :due THEN 1 ELSE 2 END, 'success', :now, :now, :now
	FROM numbers`,
}
