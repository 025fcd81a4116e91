package chaos

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/core"
)

// rows is what the database holds at the end.
type rows struct {
	deliveries map[string]int // how often each key was kept; the sender's key, which ends ours
	scans      map[string][]core.Scan
	byRef      map[string]core.Scan
	jobs       map[int64]map[string]core.Job // by scan and scanner
	statuses   map[int64][]core.Status
	pipelines  map[int64]map[int64]int // how often each run was kept, by scan and the platform's id
}

func readRows(t *testing.T, db *sql.DB) rows {
	t.Helper()
	r := rows{
		deliveries: map[string]int{}, scans: map[string][]core.Scan{}, byRef: map[string]core.Scan{},
		jobs: map[int64]map[string]core.Job{}, statuses: map[int64][]core.Status{}, pipelines: map[int64]map[int64]int{},
	}
	var key string
	each(t, db, `SELECT delivery_key FROM deliveries`, func() { r.deliveries[key[strings.LastIndexByte(key, '/')+1:]]++ }, &key)
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
	each(t, db, `SELECT id, scan_id, source_platform, project_name, commit_sha, context, state, description, target_url,
		revision, posted_revision, posted_state, attempts, last_error, given_up FROM commit_statuses`,
		func() { r.statuses[s.ScanID] = append(r.statuses[s.ScanID], s) },
		&s.ID, &s.ScanID, &s.SourcePlatform, &s.ProjectName, &s.CommitSHA, &s.Context, &s.State, &s.Description, &s.TargetURL,
		&s.Revision, &s.PostedRevision, &s.PostedState, &s.Attempts, &s.LastError, &s.GivenUp)
	return r
}

func (r rows) readScans(t *testing.T, db *sql.DB) {
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
func each(t *testing.T, db *sql.DB, query string, row func(), dest ...any) {
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

// pendingWork counts what is still under way: jobs of our own scanners, and statuses that were not posted.
func pendingWork(ctx context.Context, db *sql.DB) (n int, err error) {
	err = db.QueryRowContext(ctx, `
		SELECT (SELECT COUNT(*) FROM scan_jobs WHERE state IN ('pending', 'running'))
			+ (SELECT COUNT(*) FROM commit_statuses WHERE posted_revision < revision AND NOT given_up)`).Scan(&n)
	return n, err
}
