package growth

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

var waiting = flag.Int("growth.waiting", 0, "waiting jobs with which a claim is compared to one among 10, 100000 for figures")

const (
	fewJobs     = 10
	waitingIn   = 1000 // projects, of which the first has half of the jobs
	claimRounds = 41
	claimers    = 6 // workers, each with a job
)

// TestClaims prints what the claim of a job costs while few and while many wait, of the projects' own pushes and of forks. A project that
// makes many jobs runs as many as it may, so that each claim goes on to another. The databases take turns.
func TestClaims(t *testing.T) {
	if *waiting == 0 {
		t.Skip("make growth measures it")
	}
	for _, e := range storetest.Engines {
		t.Run(e.Name, func(t *testing.T) {
			crowds := []*queue{newQueue(t, e, fewJobs), newQueue(t, e, *waiting)}
			for _, fork := range []bool{false, true} {
				for _, q := range crowds {
					q.begin(fork)
				}
				for range claimRounds {
					for _, q := range crowds {
						q.round()
					}
				}
				few, many := crowds[0].median(), crowds[1].median()
				t.Logf("%-8s  forks: %-5t  %6.0f µs among %d jobs, %6.0f µs among %d: %.2f", e.Name, fork, few, fewJobs, many, *waiting, many/few)
			}
		})
	}
}

// queue is a database in which jobs wait, never ANALYZEd.
type queue struct {
	*store.Store
	filler
	after int64 // the project that had its turn
	took  []time.Duration
}

func newQueue(t *testing.T, e storetest.Engine, jobs int) *queue {
	t.Helper()
	url := e.URL(t)
	s := storetest.OpenAt(t, url, store.Config{Scanners: core.Scanners{scanner: core.RunsHere}})
	storetest.SetOnAllTables(t, url, noAnalyze)
	db := storetest.Connect(t, url)
	db.SetMaxOpenConns(1)
	q := &queue{Store: s, filler: filler{t, db, e.Name}}
	for _, statement := range crowd {
		q.exec(q.spell(statement), jobs)
	}
	return q
}

// begin makes all jobs those of forks, or none.
func (q *queue) begin(fork bool) {
	q.took, q.after = nil, 0
	q.exec(fmt.Sprint(`UPDATE scan_jobs SET fork = `, fork))
	if q.engine == "postgres" {
		q.exec(`VACUUM`) // as autovacuum has done by then; it ANALYZEs nothing
	}
}

// round claims some jobs, and lets them wait again.
func (q *queue) round() {
	q.t.Helper()
	for n := range claimers {
		began := time.Now()
		job, _, err := q.ClaimJob(q.t.Context(), store.Claimant{
			Worker: fmt.Sprint("w", n), Scanners: []string{scanner}, Lease: aMoment, After: q.after, PerProject: 2,
		})
		q.took = append(q.took, time.Since(began))
		if err != nil {
			q.t.Fatal(err)
		}
		q.after = job.ProjectID
	}
	q.exec(`UPDATE scan_jobs SET state = 'pending', worker = '', lease_until = NULL, attempt = 0 WHERE state = 'running' AND worker >= ''`)
}

// median is that of the claims on a clock, in µs.
func (q *queue) median() float64 {
	slices.Sort(q.took)
	return float64(q.took[len(q.took)/2].Nanoseconds()) / 1000
}

// crowd makes $1 jobs that wait.
var crowd = []string{
	`INSERT INTO projects (id, platform, platform_ref, name, name_key, default_branch, repo_url, seen_at)
	:numbers
	SELECT n, 'github', CAST(7000 + n AS TEXT), 'acme/app-' || n, 'acme/app-' || n, 'main', 'https://github.example/acme/app-' || n, :now
	FROM numbers WHERE n <= ` + fmt.Sprint(waitingIn),
	`INSERT INTO scans (id, reference_id, project_id, source_platform, project_name, repo_url, ref, branch, default_branch, commit_sha, before_sha,
		status, timestamp, deadline_at)
	:numbers
	SELECT n, :uuid, ` + inTurn + `, 'github', 'acme/app', 'https://github.example/acme/app', 'refs/heads/b' || n, 'b' || n, 'main', :commit, '',
		'pending', :now, :later FROM numbers`,
	`INSERT INTO scan_jobs (scan_id, project_id, scanner, state)
	:numbers
	SELECT n, ` + inTurn + `, :scanner, 'pending' FROM numbers`,
}

// inTurn is the project of the n-th job: every second one is of the first project.
var inTurn = fmt.Sprintf(`CASE WHEN n %% 2 = 0 THEN 1 ELSE (n / 2) %% %d + 1 END`, waitingIn)
