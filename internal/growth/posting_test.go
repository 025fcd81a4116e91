package growth

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/servetest"
	"github.com/scanhook/scanhook/store/sqldb"
	"github.com/scanhook/scanhook/store/storetest"
)

// fewDue is the backlog that a large one is compared with.
const fewDue = 1000

// TestPosting prints how fast statuses are posted from a small table and from a large one, of which a tenth is due.
func TestPosting(t *testing.T) {
	if *statuses == 0 {
		t.Skip("make bench measures it")
	}
	binary := servetest.Build(t)
	few, many := min(fewDue, *statuses/10), *statuses
	var rows []string
	for _, e := range storetest.Engines {
		for _, when := range statistics {
			t.Run(e.Name+"/"+when, func(t *testing.T) {
				small := post(t, binary, e, few, few, when)
				large := post(t, binary, e, many, many/10, when)
				row := fmt.Sprintf("%-8s  %-8s  %8.0f %8.0f %6.2f  %8.2f %8.2f %6.2f", e.Name, when, small.rate(), large.rate(),
					large.rate()/small.rate(), small.cpu(), large.cpu(), small.cpu()/large.cpu())
				t.Log(row)
				rows = append(rows, row)
			})
		}
	}
	t.Logf("\nStatuses that are posted: %d of %d that are due, and %d of %d.\n\n%-18s  %8s %8s %6s  %8s %8s %6s\n%s", few, few,
		many/10, many, "engine, statistics", "few/s", "many/s", "ratio", "CPU ms", "CPU ms", "ratio", strings.Join(rows, "\n"))
}

// post measures how the due ones of so many statuses are posted, for as long as the budget at most.
func post(t *testing.T, binary string, e storetest.Engine, all, due int, when string) (f figures) {
	t.Helper()
	database := e.URL(t)
	if _, err := sqldb.Migrate(t.Context(), sqldb.Config{URL: database}, sqldb.Up, 0); err != nil {
		t.Fatal(err)
	}
	storetest.SetOnAllTables(t, database, noAnalyze)
	s := &server{t: t, engine: e.Name, database: database}
	s.fill(all, due)
	if when == early {
		s.exec(`ANALYZE`)
	}
	s = start(t, binary, database, e.Name)
	defer s.stop()
	began, posts, cpu := time.Now(), int64(0), s.cpu()
	before, _ := s.platform.counts()
	for posts < int64(due) && time.Since(began) < *budget {
		time.Sleep(20 * time.Millisecond)
		posts, _ = s.platform.counts()
	}
	if posts == before {
		t.Fatalf("none of %d due statuses was posted within %s", due, *budget)
	}
	f.Sent, f.Seconds, f.used = int(posts-before), time.Since(began).Seconds(), s.cpu()-cpu
	return f
}

// fill makes scans with one status each, of which the last ones are due.
func (s *server) fill(all, due int) {
	numbers := `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1) `
	uuid, now := `CAST('00000000-0000-4000-8000-' || LPAD(CAST(n AS TEXT), 12, '0') AS UUID)`, `NOW()`
	commit := `LPAD(CAST(n AS TEXT), 40, 'a')`
	if s.engine == "sqlite" {
		uuid, now = `PRINTF('00000000-0000-4000-8000-%012d', n)`, `STRFTIME('%Y-%m-%d %H:%M:%f+00:00', 'now', '-1 seconds')`
		commit = `REPLACE(PRINTF('%40d', n), ' ', 'a')`
	}
	s.exec(numbers+`
		INSERT INTO projects (id, platform, name, name_key, seen_at)
		SELECT n, 'github', 'acme/app-' || (n - 1), 'acme/app-' || (n - 1), `+now+` FROM numbers`, numProjects)
	project := fmt.Sprintf(`(n %% %d)`, numProjects)
	s.exec(numbers+`
		INSERT INTO scans (id, reference_id, project_id, source_platform, project_name, branch, commit_sha, status, timestamp, deadline_at)
		SELECT n, `+uuid+`, 1 + `+project+`, 'github', 'acme/app-' || `+project+`, 'main', `+commit+`, 'completed', `+now+`, `+now+` FROM numbers`, all)
	s.exec(`
		INSERT INTO commit_statuses (first_scan_id, scan_id, source_platform, project_id, commit_sha, branch, context, state, description,
			next_attempt_at, desired_at, due_since, revision, posted_revision)
		SELECT id, id, source_platform, project_id, commit_sha, branch, 'scanhook', 'success', 'No findings',
			timestamp, timestamp, timestamp, 1, CASE WHEN id > $1 THEN 0 ELSE 1 END FROM scans`, all-due)
}
