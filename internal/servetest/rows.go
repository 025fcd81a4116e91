//go:build linux

package servetest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
)

// rows is what the database holds at the end.
type rows struct {
	aside     []string       // calls that were set aside
	kept      map[string]int // how often each key was kept; the sender's key, which ends ours
	scans     map[string][]core.Scan
	byRef     map[string]core.Scan
	jobs      map[int64]map[string]core.Job // by scan and scanner
	statuses  map[int64][]core.Status
	pipelines map[int64]map[int64]int // how often each run was kept, by scan and the platform's id
}

func (c *Cluster) readRows(t testing.TB) rows {
	t.Helper()
	db := c.Database.Open(t)
	r := rows{
		kept: map[string]int{}, scans: map[string][]core.Scan{}, byRef: map[string]core.Scan{},
		jobs: map[int64]map[string]core.Job{}, statuses: map[int64][]core.Status{}, pipelines: map[int64]map[int64]int{},
	}
	var key string
	// A call that could not be read was kept without its project. Sent again, it is another row for a program that can read it.
	each(t, db, `SELECT delivery_key FROM deliveries d WHERE project_name <> '' OR NOT EXISTS (
		SELECT 1 FROM deliveries other WHERE other.delivery_key = d.delivery_key AND other.project_name <> '')`, func() { r.kept[key[strings.LastIndexByte(key, '/')+1:]]++ }, &key)
	var aside string
	each(t, db, `SELECT delivery_key || ': ' || error FROM deliveries WHERE state = 'failed'`, func() {
		r.aside = append(r.aside, aside)
	}, &aside)
	r.readScans(t, db)
	var job core.Job
	each(t, db, `SELECT id, scan_id, scanner, state, attempt, lapses, lost_workers, error, num_findings FROM scan_jobs`, func() {
		if r.jobs[job.ScanID] == nil {
			r.jobs[job.ScanID] = map[string]core.Job{}
		}
		r.jobs[job.ScanID][job.Scanner] = job
	}, &job.ID, &job.ScanID, &job.Scanner, &job.State, &job.Attempt, &job.Lapses, &job.LostWorkers, &job.Error, &job.NumFindings)
	var scan, pipeline int64
	each(t, db, `SELECT scan_id, CAST(pipeline_id AS BIGINT) FROM pipeline_metrics`, func() {
		if r.pipelines[scan] == nil {
			r.pipelines[scan] = map[int64]int{}
		}
		r.pipelines[scan][pipeline]++
	}, &scan, &pipeline)
	var s core.Status
	each(t, db, `SELECT scan_id, source_platform, p.name, commit_sha, context, state, description, target_url,
		revision, posted_revision, posted_state, attempts, last_error, given_up
		FROM commit_statuses c JOIN projects p ON p.id = c.project_id`,
		func() { r.statuses[s.ScanID] = append(r.statuses[s.ScanID], s) },
		&s.ScanID, &s.SourcePlatform, &s.ProjectName, &s.CommitSHA, &s.Context, &s.State, &s.Description, &s.TargetURL,
		&s.Revision, &s.PostedRevision, &s.PostedState, &s.Attempts, &s.LastError, &s.GivenUp)
	return r
}

func (r rows) readScans(t testing.TB, db *sql.DB) {
	t.Helper()
	var scan core.Scan
	var verdict *string
	each(t, db, `SELECT id, CAST(reference_id AS TEXT), source_platform, project_name, commit_sha, attempt, status, verdict,
		summary, error, superseded_by FROM scans ORDER BY attempt`, func() {
		s := scan
		if s.Verdict = nil; verdict != nil {
			s.Verdict = (*core.Verdict)(verdict)
		}
		commit := s.SourcePlatform + "/" + s.ProjectName + "@" + s.CommitSHA
		r.scans[commit] = append(r.scans[commit], s)
		r.byRef[s.ReferenceID] = s
	}, &scan.ID, &scan.ReferenceID, &scan.SourcePlatform, &scan.ProjectName, &scan.CommitSHA, &scan.Attempt, &scan.Status,
		&verdict, &scan.Summary, &scan.Error, &scan.SupersededBy)
}

// each calls row for every row of a query, after it was scanned into dest.
func each(t testing.TB, db *sql.DB, query string, row func(), dest ...any) {
	t.Helper()
	found, err := db.QueryContext(context.WithoutCancel(t.Context()), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		if err := found.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		row()
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
}

// SettleTime bounds how long it may take until all is at rest: leases of the dead run out after 30 seconds, and a job
// may have been held by three of them.
const SettleTime = 4 * time.Minute

// Settle waits until nothing is under way any more.
func (c *Cluster) Settle(t testing.TB) (time.Duration, error) {
	t.Helper()
	db, began, left := c.Database.Open(t), time.Now(), -1
	for time.Since(began) < SettleTime {
		var err error
		if left, err = pendingWork(t.Context(), db); err == nil && left == 0 {
			return time.Since(began), nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return time.Since(began), fmt.Errorf("after %s, %d jobs and statuses were still open", SettleTime, left)
}

// pendingWork counts what is still under way: jobs of our own scanners, statuses that were not posted, and calls that were not
// derived.
func pendingWork(ctx context.Context, db *sql.DB) (n int, err error) {
	err = db.QueryRowContext(ctx, `
		SELECT (SELECT COUNT(*) FROM scan_jobs WHERE state IN ('pending', 'running'))
			+ (SELECT COUNT(*) FROM commit_statuses WHERE posted_revision < revision AND NOT given_up)
			+ (SELECT COUNT(*) FROM deliveries WHERE state = 'kept')`).Scan(&n)
	return n, err
}

// LostWorkers says how many jobs lost a worker.
func (c *Cluster) LostWorkers(t testing.TB) string {
	t.Helper()
	var lapses, hit, lost int
	each(t, c.Database.Open(t), `SELECT COALESCE(SUM(lapses), 0), COUNT(*), COALESCE(SUM(CASE WHEN lapses >= 3 THEN 1 ELSE 0 END), 0)
		FROM scan_jobs WHERE lapses > 0`, func() {}, &lapses, &hit, &lost)
	return fmt.Sprintf("%d lost a worker, %d workers in all; %d failed because they had lost three", hit, lapses, lost)
}

// Wanted counts the states that a platform was to show, the ones in between included.
func (c *Cluster) Wanted(t testing.TB, platform string) (n int) {
	t.Helper()
	var revisions int
	var of string
	each(t, c.Database.Open(t), `SELECT source_platform, SUM(revision) FROM commit_statuses GROUP BY source_platform`, func() {
		if of == platform {
			n = revisions
		}
	}, &of, &revisions)
	return n
}
