package store_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// yearOfWork is what a busy year leaves behind: a million deliveries, 100,000 scans of 100 projects, each with a
// status, a job with its baseline and three findings.
var yearOfWork = []string{`
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
	INSERT INTO deliveries (platform, delivery_key, event, outcome, received_at)
	SELECT 'github', 'key-' || i, 'push', 'ignored', CASE WHEN i < 900000 THEN ? ELSE ? END FROM n`, `
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
	INSERT INTO scans (reference_id, source_platform, project_name, branch, default_branch, commit_sha, timestamp,
		status, deadline_at)
	SELECT %s, 'github', 'acme/p' || (i % 100), CASE WHEN i % 4 = 0 THEN 'main' ELSE 'topic-' || (i / 1000) END, 'main',
		'sha-' || i, CASE WHEN i < 90000 THEN ? ELSE ? END, 'completed', ? FROM n`, `
	INSERT INTO scan_jobs (scan_id, scanner, state, baseline_scan_id)
	SELECT id, 'gitleaks', 'completed', CASE WHEN id > 400 THEN id - 400 END FROM scans`, `
	INSERT INTO commit_statuses (scan_id, source_platform, project_name, commit_sha, context, state, description, revision,
		posted_revision, next_attempt_at, wanted_at, due_since)
	SELECT id, source_platform, project_name, commit_sha, 'scanhook', 'success', '', 1, 1, timestamp, timestamp, timestamp
	FROM scans`, `
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)
	INSERT INTO findings (scan_id, job_id, tool, rule_id, file, line, severity, fingerprint)
	SELECT j.scan_id, j.id, 'gitleaks', 'rule', 'a.go', n.i, 'Low', 'print-' || n.i FROM scan_jobs j, n`,
}

// BenchmarkPrune removes batch after batch: .ci/with-postgres go test -run '^$' -bench Prune -benchtime 60x ./store
func BenchmarkPrune(b *testing.B) {
	for _, e := range storetest.Engines {
		b.Run(e.Name, func(b *testing.B) {
			now := time.Now()
			s := e.Open(b, store.Config{})
			s.MakeRows(b, yearOfWork, now.AddDate(0, -6, 0), now)
			b.Run("deliveries", func(b *testing.B) {
				for b.Loop() {
					if _, err := s.PruneTable(b.Context(), store.AgingDeliveries, now.AddDate(0, -1, 0)); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("scans", func(b *testing.B) {
				rule := store.ScanRetention{
					Before: now.AddDate(0, -3, 0), Heads: now.AddDate(-1, 0, 0), Newest: 50, Metrics: 100,
				}
				after, total := int64(0), 0
				for b.Loop() {
					removed, next, err := s.PruneScans(b.Context(), rule, after)
					if err != nil {
						b.Fatal(err)
					}
					after, total = next, total+removed
				}
				b.ReportMetric(float64(total)/float64(b.N), "removed/op")
			})
		})
	}
}
