package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

var scanColumns = sqldb.ColumnsOf[core.Scan]()

// GetScan finds a scan by its reference_id; core.ErrNotFound when there is none.
func (s *Store) GetScan(ctx context.Context, reference string) (core.Scan, error) {
	var scan core.Scan
	id, err := scanID(ctx, s.db, reference)
	if err == nil {
		err = sqldb.Classify(s.db.GetContext(ctx, &scan, s.db.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), id))
	}
	if err != nil {
		return core.Scan{}, fmt.Errorf("getting scan: %w", err)
	}
	return scan, nil
}

// BaselineCommit is the commit that a scan was compared with, or empty.
func (s *Store) BaselineCommit(ctx context.Context, scan core.Scan) (string, error) {
	if scan.BaselineScanID == nil {
		return "", nil
	}
	var sha string
	err := s.db.GetContext(ctx, &sha, s.db.Rebind(`SELECT commit_sha FROM scans WHERE id = ?`), *scan.BaselineScanID)
	if err != nil {
		return "", fmt.Errorf("getting baseline: %w", sqldb.Classify(err))
	}
	return sha, nil
}

// defaultBranch is the one that another scan of the project names: an upload does not name it.
func defaultBranch(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (branch string, err error) {
	project := scan.SourcePlatform + "/" + scan.ProjectName
	err = sqlx.GetContext(ctx, q, &branch, q.Rebind(`
		SELECT default_branch FROM scans s
		WHERE `+projectOf("s")+` >= ? AND `+projectOf("s")+` <= ? AND default_branch <> ''
		ORDER BY `+projectOf("s")+` DESC, id DESC LIMIT 1`), project, project)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return branch, err
}

// GetLastScan returns the newest scan of a project, or core.ErrNotFound.
func (s *Store) GetLastScan(ctx context.Context, platform, project string) (scan core.Scan, err error) {
	project, err = s.ProjectName(ctx, platform, project)
	if err == nil {
		key := wholeProjectKey(core.Scan{SourcePlatform: platform, ProjectName: project})
		err = s.db.GetContext(ctx, &scan, s.db.Rebind(`
			SELECT `+scanColumns+` FROM scans s WHERE `+wholeProject("s")+` <= ?
			ORDER BY `+wholeProject("s")+` DESC, id DESC LIMIT 1`), key)
		if err == nil && wholeProjectKey(scan) != key {
			err = core.ErrNotFound
		}
	}
	if err != nil {
		return core.Scan{}, fmt.Errorf("getting last scan of %s: %w", project, sqldb.Classify(err))
	}
	return scan, nil
}

var jobColumns = sqldb.ColumnsOf[core.Job]()

// ListJobs returns the jobs of a scan in the order in which they were added.
func (s *Store) ListJobs(ctx context.Context, scan core.Scan) ([]core.Job, error) {
	var list []core.Job
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+sqldb.Qualify("scan_jobs", jobColumns)+`, COALESCE(compared.commit_sha, '') AS baseline_commit
		FROM scan_jobs LEFT JOIN scans compared ON compared.id = scan_jobs.baseline_scan_id
		WHERE scan_id = ? ORDER BY scan_jobs.id`), scan.ID)
	if err != nil {
		return nil, fmt.Errorf("listing jobs: %w", sqldb.Classify(err))
	}
	return list, nil
}

func jobsOf(ctx context.Context, tx *sqlx.Tx, scan core.Scan) (jobs []core.Job, err error) {
	err = tx.SelectContext(ctx, &jobs, tx.Rebind(`SELECT `+jobColumns+` FROM scan_jobs WHERE scan_id = ? ORDER BY id`), scan.ID)
	return jobs, err
}

// ListLastScans returns the newest scan of each of the project's branches, of those up to the given one.
func (s *Store) ListLastScans(ctx context.Context, upTo core.Scan, branches []string) ([]core.Scan, error) {
	return s.listScansIn(ctx, "listing last scans", branches, `
		SELECT `+scanColumns+` FROM scans WHERE id IN (SELECT MAX(id) FROM scans
			WHERE source_platform = ? AND project_name = ? AND id <= ? AND branch IN (?) AND NOT stale GROUP BY branch)`,
		upTo.SourcePlatform, upTo.ProjectName, upTo.ID)
}

// ListScansOf returns all scans of a tracked project's commits, under whatever name it had, the oldest first.
func (s *Store) ListScansOf(ctx context.Context, w TrackedProject, commits []string) ([]core.Scan, error) {
	return s.listScansIn(ctx, "listing scans", commits, `
		SELECT `+scanColumns+` FROM scans
		WHERE source_platform = ? AND (project_name = ? OR project_ref = ? AND project_ref <> '') AND commit_sha IN (?)
		ORDER BY id`, w.SourcePlatform, w.ProjectName, w.ProjectRef)
}

func (s *Store) listScansIn(
	ctx context.Context, doing string, values []string, query string, args ...any,
) (all []core.Scan, err error) {
	for chunk := range slices.Chunk(values, sqldb.RowsPerStatement) {
		var list []core.Scan
		if err := sqldb.SelectIn(ctx, s.db, &list, query, append(slices.Clone(args), chunk)...); err != nil {
			return nil, fmt.Errorf("%s: %w", doing, sqldb.Classify(err))
		}
		all = append(all, list...)
	}
	return all, nil
}

// ScanFilter selects scans; empty fields select everything. Before and After are exclusive, for paging from the newest
// on and back; one of them is 0.
type ScanFilter struct {
	Platform, Project, Branch, CommitSHA string
	Status                               core.ScanStatus
	Verdict                              core.Verdict
	Before, After                        int64
	Limit                                int
}

// ListScans returns the newest scans first; with After, those that come directly before that one in the list.
func (s *Store) ListScans(ctx context.Context, f ScanFilter) ([]core.Scan, error) {
	list := []core.Scan{}
	union, err := s.scanUnion(ctx, f)
	if err == nil && !union.Empty() {
		picked, args := union.With()
		err = s.db.SelectContext(ctx, &list, s.db.Rebind(picked+`
			SELECT `+sqldb.Qualify("scans", scanColumns)+`
			FROM picked JOIN scans ON scans.id = picked.id ORDER BY scans.id DESC`), args...)
	}
	if err != nil {
		return nil, fmt.Errorf("listing scans: %w", sqldb.Classify(err))
	}
	return list, nil
}

// scanUnion reads ended scans by their outcome. Open scans change it too often for an index, and are few.
func (s *Store) scanUnion(ctx context.Context, f ScanFilter) (*sqldb.KeysetUnion, error) {
	union := &sqldb.KeysetUnion{Table: `scans`, Before: f.Before, After: f.After, Limit: f.Limit}
	project, err := s.spellingsOf(ctx, f.Platform, f.Project)
	if err != nil {
		return nil, err
	}
	if f == (ScanFilter{Before: f.Before, After: f.After, Limit: f.Limit}) || f.CommitSHA != "" {
		union.AddTable(f.conditions(project))
		return union, nil
	}
	platforms := []string{f.Platform}
	if f.Platform == "" {
		if platforms, err = s.db.DistinctValues(ctx, `scans`, `source_platform`); err != nil {
			return nil, err
		}
	}
	for _, platform := range platforms {
		for _, outcome := range f.outcomes() {
			var where sqldb.Conditions
			where.Add(true, `status IN ('completed', 'failed') AND source_platform = ?`, platform)
			where.Add(true, `COALESCE(verdict, status) = ?`, outcome)
			where.Add(f.Project != "", `project_name = ?`, project.on(platform))
			where.Add(f.Branch != "", `branch = ?`, f.Branch)
			union.AddTable(where)
		}
	}
	if f.Verdict == "" && !f.Status.Ended() {
		union.AddSource(openScans, f.conditions(project))
	}
	return union, nil
}

// openScans is a table of the scans that have not ended. Its order makes engines read their own small index.
const openScans = `(SELECT id, source_platform, project_name, branch, status FROM scans
	WHERE status IN ('pending', 'processing') ORDER BY deadline_at LIMIT 1000000) AS open_scans`

func (f ScanFilter) conditions(project namedProject) (where sqldb.Conditions) {
	where.Add(f.Platform != "", `source_platform = ?`, f.Platform)
	project.addTo(&where)
	where.Add(f.Branch != "", `branch = ?`, f.Branch)
	where.Add(f.CommitSHA != "", `commit_sha = ?`, f.CommitSHA)
	where.Add(f.Status != "", `status = ?`, f.Status)
	where.Add(f.Verdict != "", `verdict = ?`, f.Verdict)
	return where
}

// outcomes are the values of COALESCE(verdict, status) that the filter lets pass of ended scans: a completed one has a
// verdict, a failed one has none.
func (f ScanFilter) outcomes() (list []string) {
	for _, verdict := range []core.Verdict{core.Pass, core.Fail} {
		if (f.Status == "" || f.Status == core.ScanCompleted) && (f.Verdict == "" || f.Verdict == verdict) {
			list = append(list, string(verdict))
		}
	}
	if f.Verdict == "" && (f.Status == "" || f.Status == core.ScanFailed) {
		list = append(list, string(core.ScanFailed))
	}
	return list
}

// DeleteScan removes a scan with everything that belongs to it, and audits who did; core.ErrNotFound when there is
// none.
func (s *Store) DeleteScan(ctx context.Context, reference, by string) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		id, err := scanID(ctx, tx, reference)
		if err != nil {
			return err
		}
		var scan core.Scan
		err = tx.GetContext(ctx, &scan, tx.Rebind(`DELETE FROM scans WHERE id = ? RETURNING `+scanColumns), id)
		if err != nil {
			return err
		}
		return s.audit(ctx, tx, core.AuditOf(scan, by, core.AuditScanDeleted))
	})
	if err != nil {
		return fmt.Errorf("deleting scan: %w", err)
	}
	return nil
}

// scanID resolves a reference_id. Text that is no UUID is not found, not an error of the database; core.ErrGone for a
// scan that retention removed.
func scanID(ctx context.Context, q sqlx.ExtContext, reference string) (int64, error) {
	parsed, err := uuid.Parse(reference)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not the reference_id of a scan", core.ErrNotFound, reference)
	}
	var id int64
	err = sqlx.GetContext(ctx, q, &id, q.Rebind(`SELECT id FROM scans WHERE reference_id = ?`), parsed.String())
	if errors.Is(err, sql.ErrNoRows) {
		return 0, whyMissing(ctx, q, parsed.String())
	}
	if err != nil {
		return 0, fmt.Errorf("scan %s: %w", reference, sqldb.Classify(err))
	}
	return id, nil
}

// removedScan is what remains of a scan that retention removed.
type removedScan struct {
	ReferenceID    string    `db:"reference_id"`
	SourcePlatform string    `db:"source_platform"`
	ProjectName    string    `db:"project_name"`
	CommitSHA      string    `db:"commit_sha"`
	Outcome        string    `db:"outcome"` // what the commit status said
	ScannedAt      time.Time `db:"scanned_at"`
	RemovedAt      time.Time `db:"removed_at"`
}

// whyMissing is core.ErrGone for a scan that was removed, with what it was, and core.ErrNotFound for one that never
// existed.
func whyMissing(ctx context.Context, q sqlx.ExtContext, reference string) error {
	var was removedScan
	err := sqlx.GetContext(ctx, q, &was, q.Rebind(`
		SELECT reference_id, source_platform, project_name, commit_sha, outcome, scanned_at, removed_at
		FROM removed_scans WHERE reference_id = ?`), reference)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("scan %s: %w", reference, sqldb.Classify(err))
	}
	if err != nil {
		return sqldb.Classify(err)
	}
	return fmt.Errorf("%w: %s, commit %s, was scanned on %s (%s); the scan was removed on %s, as the configuration's"+
		" retention says", core.ErrGone, was.ProjectName, core.ShortSHA(was.CommitSHA),
		was.ScannedAt.Format(time.DateOnly), was.Outcome, was.RemovedAt.Format(time.DateOnly))
}

// policyOf is the scan's present policy. A repository that has left the configuration keeps the strictest defaults.
func (s *Store) policyOf(scan core.Scan) core.Policy {
	policy, known := s.policies.For(scan.SourcePlatform, scan.ProjectName)
	if !known {
		policy.Gate = core.Gate{FailOn: core.High, NewOnly: true}
	}
	return policy
}

// lockScan reads a scan and keeps other jobs of it from settling at the same time: of two that finish together each
// would see the other one running, and none would end the scan.
func (s *Store) lockScan(ctx context.Context, tx *sqlx.Tx, id int64) (core.Scan, error) {
	var scan core.Scan
	err := tx.GetContext(ctx, &scan, tx.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ? `+s.db.ForUpdate), id)
	return scan, err
}

// lockOfProject is the key of a scan's project among advisory locks, and begins that of its commits.
const (
	lockOfProject = `source_platform || '/' || project_name`
	ofScan        = `FROM scans WHERE id = ?`
)
