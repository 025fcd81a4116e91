package store_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// BenchmarkLists asks for every combination of filters, of values that are frequent, rare in the far past, and unknown,
// on the first page and deep in the list. It reports the slowest one.
//
//	SCANHOOK_ROWS=1000000 .ci/with-postgres go test -run '^$' -bench Lists -benchtime 1x ./store
func BenchmarkLists(b *testing.B) {
	rows, _ := strconv.Atoi(cmp.Or(os.Getenv("SCANHOOK_ROWS"), "20000"))
	for _, e := range storetest.Engines {
		s := e.Open(b, store.Config{})
		fillLists(b, s, e.Name, rows)
		b.Run(e.Name+"/scans", func(b *testing.B) {
			measure(b, scanFilters(rows), func(f store.ScanFilter) error {
				_, err := s.ListScans(b.Context(), f)
				return err
			})
		})
		b.Run(e.Name+"/deliveries", func(b *testing.B) {
			measure(b, deliveryFilters(rows), func(f store.DeliveryFilter) error {
				_, err := s.ListDeliveries(b.Context(), f)
				return err
			})
		})
		b.Run(e.Name+"/standings", func(b *testing.B) {
			filters := []store.StandingFilter{{Limit: 51}, {Failing: true, Limit: 51}, {Failing: true, Limit: 100000}}
			measure(b, filters, func(f store.StandingFilter) error {
				_, err := s.ListStandings(b.Context(), f)
				return err
			})
		})
		b.Run(e.Name+"/trend", func(b *testing.B) {
			measure(b, []string{"acme/monolith", "acme/legacy", "team7/app7", "none/none"}, func(project string) error {
				_, err := s.ListTrend(b.Context(), "github", project, 40)
				return err
			})
		})
	}
}

// measure asks each question once more than it counts, for the pages of the database that it finds in memory then.
func measure[F any](b *testing.B, filters []F, list func(F) error) {
	b.Helper()
	type answer struct {
		filter F
		took   time.Duration
	}
	var answers []answer
	for range b.N {
		for _, f := range filters {
			best := time.Hour
			for range 2 {
				start := time.Now()
				if err := list(f); err != nil {
					b.Fatal(err)
				}
				best = min(best, time.Since(start))
			}
			answers = append(answers, answer{f, best})
		}
	}
	slices.SortFunc(answers, func(x, y answer) int { return cmp.Compare(x.took, y.took) })
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(answers[len(answers)/2].took.Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(answers[len(answers)-1].took.Microseconds())/1000, "ms-slowest")
	for _, slow := range answers[max(0, len(answers)-5):] {
		b.Logf("%8s %+v", slow.took.Round(10*time.Microsecond), slow.filter)
	}
}

func scanFilters(rows int) (list []store.ScanFilter) {
	for _, platform := range []string{"", "github", "gitlab", "none"} {
		for _, project := range []string{"", "acme/monolith", "acme/legacy", "team7/app7", "none/none"} {
			for _, branch := range []string{"", "main", "feature/3", "never"} {
				for _, status := range []core.ScanStatus{"", core.ScanPending, core.ScanCompleted, core.ScanFailed} {
					for _, verdict := range []core.Verdict{"", core.Pass, core.Fail} {
						f := store.ScanFilter{
							Platform: platform, Project: project, Branch: branch, Status: status, Verdict: verdict, Limit: 51,
						}
						deep, back := f, f
						deep.Before, back.After = int64(rows/2), int64(rows/2)
						list = append(list, f, deep, back)
					}
				}
			}
		}
	}
	return list
}

func deliveryFilters(rows int) (list []store.DeliveryFilter) {
	for _, platform := range []string{"", "github", "gitlab", "none"} {
		for _, project := range []string{"", "acme/monolith", "team7/app7", "none/none"} {
			for _, outcome := range append([]core.Outcome{"", "none"}, core.KeptOutcomes...) {
				f := store.DeliveryFilter{Platform: platform, Project: project, Outcome: outcome, Limit: 51}
				deep, back := f, f
				deep.Before, back.After = int64(rows/2), int64(rows/2)
				list = append(list, f, deep, back)
			}
		}
	}
	return list
}

// fillLists makes a history of so many scans and deliveries. Four in five scans are of acme/monolith, which passes
// since its first percent; acme/legacy fails since then; gitlab is silent since the first thousandth; the last 200 are
// open.
func fillLists(b testing.TB, s *store.Store, engine string, rows int) {
	b.Helper()
	uuid := `'00000000-0000-4000-8000-' || digits`
	if engine == "postgres" {
		uuid = `CAST(` + uuid + ` AS UUID)`
	}
	start := time.Now()
	execute(b, s, fmt.Sprintf(`
		INSERT INTO scans (reference_id, source_platform, project_name, branch, default_branch, commit_sha, timestamp,
			deadline_at, status, verdict, summary)
		WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < %[1]d),
		named AS (SELECT i, i <= %[1]d / 100 AS early, i > %[1]d - 200 AS open,
			substr('000000000000' || i, length(CAST(i AS TEXT)) + 1, 12) AS digits,
			CASE WHEN i %% 5 < 4 THEN 'acme/monolith' WHEN i %% 25 = 4 THEN 'acme/legacy'
				ELSE 'team' || (i / 5 %% 997) || '/app' || (i / 5 %% 997) END AS project
			FROM numbers)
		SELECT `+uuid+`, CASE WHEN i <= %[1]d / 1000 THEN 'gitlab' ELSE 'github' END, project,
			CASE WHEN i %% 2 = 0 THEN 'main' ELSE 'feature/' || (i / 50) END, 'main',
			'0000000000000000000000000000' || digits, '2026-01-02 03:04:05+00:00', '2026-01-02 04:04:05+00:00',
			CASE WHEN open THEN 'pending' WHEN early AND i %% 7 = 0 THEN 'failed' ELSE 'completed' END,
			CASE WHEN open OR early AND i %% 7 = 0 THEN NULL
				WHEN project = 'acme/monolith' THEN CASE WHEN early AND i %% 3 = 0 THEN 'fail' ELSE 'pass' END
				WHEN project = 'acme/legacy' THEN CASE WHEN early AND i %% 3 = 0 THEN 'pass' ELSE 'fail' END
				WHEN i %% 3 = 0 THEN 'fail' ELSE 'pass' END,
			'0 new, 3 known'
		FROM named ORDER BY i`, rows))
	execute(b, s, `
		INSERT INTO deliveries (platform, delivery_key, event, project_name, outcome, scan_id, received_at)
		SELECT source_platform, commit_sha, 'push', project_name,
			CASE WHEN status = 'failed' THEN 'ignored' WHEN id % 3 = 0 THEN 'pipeline_recorded' ELSE 'scan_created' END, id, timestamp
		FROM scans ORDER BY id`)
	if engine == "postgres" { // as autovacuum does; nobody does it for SQLite
		execute(b, s, `ANALYZE`)
	}
	b.Logf("%s: %d scans and deliveries made in %s", engine, rows, time.Since(start).Round(time.Millisecond))
}

func execute(b testing.TB, s *store.Store, statement string) {
	b.Helper()
	tx, err := s.Begin(b.Context())
	if err == nil {
		_, err = tx.ExecContext(b.Context(), statement)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		b.Fatal(err)
	}
}
