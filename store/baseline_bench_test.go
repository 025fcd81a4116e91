package store_test

import (
	"fmt"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// BenchmarkBaseline chooses what a scan of a project with a short and with a long history is compared with, where the
// commit before was not scanned, so that former names of the project are looked for.
//
//	.ci/with-postgres go test -run '^$' -bench Baseline ./store
func BenchmarkBaseline(b *testing.B) {
	for _, e := range storetest.Engines {
		for _, rows := range []int{1_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", e.Name, rows), func(b *testing.B) {
				s := e.Open(b, store.Config{})
				fillLists(b, s, e.Name, rows)
				execute(b, s, `INSERT INTO scan_jobs (scan_id, scanner, state) SELECT id, 'gitleaks', 'completed' FROM scans`)
				execute(b, s, `UPDATE scans SET project_ref = '42', before_sha = 'x' || commit_sha`)
				n := rows - 7 // one of those on a branch
				scan := core.Scan{
					ID: int64(n), SourcePlatform: "github", ProjectName: "acme/monolith", Branch: "feature", DefaultBranch: "main",
					CommitSHA: fmt.Sprintf("%040d", n), Attempt: 1, ProjectRef: "42",
				}
				for b.Loop() {
					if _, err := s.GetBaseline(b.Context(), scan, core.Job{Scanner: "gitleaks"}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
