package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/store/sqldb"
)

// scanColumns are those of core.Scan.
var scanColumns = scansAs("")

// scansAs are the columns of core.Scan for scans under an alias.
func scansAs(alias string) string {
	columns := sqldb.ColumnsOf[core.Scan]()
	if alias != "" {
		columns = sqldb.Qualify(alias, columns)
	}
	return columns + `, ` + fromProject(alias)
}

// GetScan finds a scan by its reference_id; core.ErrNotFound when there is none.
func (s *Store) GetScan(ctx context.Context, reference string) (core.Scan, error) {
	id, err := scanID(ctx, s.db, reference)
	if err != nil {
		return core.Scan{}, fmt.Errorf("getting scan: %w", err)
	}
	return s.GetScanByID(ctx, id)
}

// GetScanByID finds a scan by its row's id; core.ErrNotFound when there is none.
func (s *Store) GetScanByID(ctx context.Context, id int64) (scan core.Scan, err error) {
	err = s.db.GetContext(ctx, &scan, s.db.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), id)
	if err != nil {
		return core.Scan{}, fmt.Errorf("getting scan: %w", sqldb.Classify(err))
	}
	return scan, nil
}

// GetPromised is GetScan, or the scan that a kept call asks for until it is derived.
func (s *Store) GetPromised(ctx context.Context, reference string) (scan core.Scan, derived bool, err error) {
	scan, err = s.GetScan(ctx, reference)
	if !errors.Is(err, core.ErrNotFound) {
		return scan, true, err
	}
	scan, err = s.promised(ctx, reference)
	if !errors.Is(err, core.ErrNotFound) {
		return scan, false, err
	}
	scan, err = s.GetScan(ctx, reference) // the call may have been derived since the first look
	return scan, true, err
}

// promised is the scan that a kept call asks for, until it is derived; core.ErrNotFound when none asks for one of this
// reference.
func (s *Store) promised(ctx context.Context, reference string) (scan core.Scan, err error) {
	err = s.db.GetContext(ctx, &scan, s.db.Rebind(`
		SELECT promised AS reference_id, platform AS source_platform, project_name, commit_sha, received_at AS timestamp,
			error, 'pending' AS status, 1 AS attempt
		FROM deliveries WHERE promised = ? AND state = 'failed'
		UNION ALL
		SELECT promised AS reference_id, platform AS source_platform, project_name, commit_sha, received_at AS timestamp,
			error, 'pending' AS status, 1 AS attempt
		FROM deliveries WHERE promised = ? AND state = 'kept'
		LIMIT 1`), reference, reference)
	if err != nil {
		return core.Scan{}, fmt.Errorf("getting scan: %w", sqldb.Classify(err))
	}
	return scan, nil
}

// awaitFor is how long a caller is kept waiting for a call to be derived, and awaitPoll how soon another process's work is seen.
const (
	awaitFor  = 5 * time.Second
	awaitPoll = 100 * time.Millisecond
)

// awaitDerived waits a moment for the calls to be derived that are kept by now; core.ErrUnavailable when they are not derived in
// time.
func (s *Store) awaitDerived(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, awaitFor)
	defer cancel()
	var last, first time.Time
	err := s.db.GetContext(ctx, &last, `
		SELECT received_at FROM deliveries WHERE state = 'kept' ORDER BY received_at DESC, id DESC LIMIT 1`)
	for err == nil {
		changed := s.changed.Listen()
		err = s.db.GetContext(ctx, &first, `
			SELECT received_at FROM deliveries WHERE state = 'kept' ORDER BY received_at, id LIMIT 1`)
		if err != nil || first.After(last) {
			break
		}
		select {
		case <-changed:
		case <-time.After(awaitPoll):
		case <-ctx.Done():
			return fmt.Errorf("%w: webhook calls that came before are not derived yet", core.ErrUnavailable)
		}
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return sqldb.Classify(err)
}

// AwaitScan is GetScan, which waits a moment for a scan that a kept call asks for; core.ErrUnavailable when that call is not
// derived in time.
func (s *Store) AwaitScan(ctx context.Context, reference string) (core.Scan, error) {
	ctx, cancel := context.WithTimeout(ctx, awaitFor)
	defer cancel()
	for {
		changed := s.changed.Listen()
		scan, derived, err := s.GetPromised(ctx, reference)
		if err != nil || derived {
			return scan, err
		}
		if scan.Error != "" {
			return scan, fmt.Errorf("%w: the webhook call that asks for this scan was set aside: %s", core.ErrNotFound, scan.Error)
		}
		select {
		case <-changed:
		case <-time.After(awaitPoll):
		case <-ctx.Done():
			return scan, fmt.Errorf("%w: the webhook call that asks for this scan is not derived yet", core.ErrUnavailable)
		}
	}
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

// GetLastScan returns the newest scan of a project, or core.ErrNotFound.
func (s *Store) GetLastScan(ctx context.Context, platform, name string) (scan core.Scan, err error) {
	project, err := s.GetProject(ctx, platform, name)
	if err == nil {
		var newest []int64
		newest, err = newestOfProject(ctx, s.db, project.ID, 1)
		if err == nil {
			err = s.db.GetContext(ctx, &scan, s.db.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), append(newest, 0)[0])
		}
		err = sqldb.Classify(err)
	}
	if err != nil {
		return core.Scan{}, fmt.Errorf("getting last scan of %s: %w", name, err)
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

func jobsOf(ctx context.Context, tx *sqlx.Tx, scan core.Scan) ([]core.Job, error) {
	jobs, err := jobsByScan(ctx, tx, []int64{scan.ID})
	return jobs[scan.ID], err
}

// jobsByScan sorts them here: asked for an order, PostgreSQL may read all jobs in it.
func jobsByScan(ctx context.Context, tx *sqlx.Tx, scans []int64) (map[int64][]core.Job, error) {
	var jobs []core.Job
	err := sqldb.SelectIn(ctx, tx, &jobs, `SELECT `+jobColumns+` FROM scan_jobs WHERE scan_id IN (?)`, scans)
	slices.SortFunc(jobs, func(a, b core.Job) int { return cmp.Compare(a.ID, b.ID) })
	by := map[int64][]core.Job{}
	for _, job := range jobs {
		by[job.ScanID] = append(by[job.ScanID], job)
	}
	return by, err
}

// ListScansOf returns all scans of a tracked project's commits, the oldest first.
func (s *Store) ListScansOf(ctx context.Context, w TrackedProject, commits []string) (all []core.Scan, err error) {
	for chunk := range slices.Chunk(commits, sqldb.RowsPerStatement) {
		var list []core.Scan
		err := sqldb.SelectIn(ctx, s.db, &list, `
			SELECT `+scanColumns+` FROM scans WHERE project_id + 0 = ? AND commit_sha IN (?) ORDER BY id`, w.ProjectID, chunk)
		if err != nil {
			return nil, fmt.Errorf("listing scans: %w", sqldb.Classify(err))
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

// ListScans returns the newest scans first that those who ask may see; with After, those that come directly before that one in
// the list.
func (s *Store) ListScans(ctx context.Context, f ScanFilter) ([]core.Scan, error) {
	list := []core.Scan{}
	unions, err := s.scanUnions(ctx, f)
	for _, union := range unions {
		if err == nil {
			var some []core.Scan
			picked, args := union.With()
			err = s.db.SelectContext(ctx, &some, s.db.Rebind(picked+`
				SELECT `+scansAs("scans")+`
				FROM picked JOIN scans ON scans.id = picked.id ORDER BY scans.id DESC`), args...)
			list = append(list, some...)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listing scans: %w", sqldb.Classify(err))
	}
	return pageOf(list, func(scan core.Scan) int64 { return scan.ID }, f.After, f.Limit), nil
}

// scanUnions read the scans that a filter selects, each kind of them from its own index.
func (s *Store) scanUnions(ctx context.Context, f ScanFilter) (unions []*sqldb.KeysetUnion, err error) {
	sees := seenBy(ctx, access.ReadScans)
	if job := sees.actor.Job(); job != nil { // which sees the scans of its commit only
		if f.CommitSHA != "" && f.CommitSHA != job.Commit {
			return nil, nil
		}
		f.CommitSHA, sees.commit = job.Commit, job.Commit
	}
	if sees.all && f == (ScanFilter{Before: f.Before, After: f.After, Limit: f.Limit}) {
		union := f.union()
		union.AddTable(f.conditions())
		return append(unions, union), nil
	}
	scopes, err := s.scanScopes(ctx, f, sees)
	if err != nil {
		return nil, err
	}
	for some := range slices.Chunk(scopes, projectsPerUnion) {
		union := f.union()
		for _, scope := range some {
			if f.CommitSHA != "" {
				union.AddKeyed(scope.and(f.conditions()))
				continue
			}
			addScans(union, f, scope)
			if err := s.addHead(ctx, union, f, scope); err != nil {
				return nil, err
			}
		}
		if !union.Empty() { // no scan has such a verdict and status
			unions = append(unions, union)
		}
	}
	return unions, nil
}

func (f ScanFilter) union() *sqldb.KeysetUnion {
	return &sqldb.KeysetUnion{Table: `scans`, Before: f.Before, After: f.After, Limit: f.Limit}
}

// addScans adds the ended scans of a scope by their outcome, and the open ones, which are few.
func addScans(union *sqldb.KeysetUnion, f ScanFilter, scope scanScope) {
	for _, outcome := range f.outcomes() {
		var where sqldb.Conditions
		where.Add(true, `outcome = ?`, outcome)
		where.Add(f.Branch != "", `branch = ?`, f.Branch)
		union.AddSource(endedScans, scope.and(where))
	}
	if f.Verdict == "" && !f.Status.Ended() {
		union.AddSource(openScans, scope.and(f.conditions()))
	}
}

// newestOfProject are the ids of a project's newest scans, the newest first.
func newestOfProject(ctx context.Context, q sqlx.ExtContext, project int64, limit int) (ids []int64, err error) {
	union := &sqldb.KeysetUnion{Table: `scans`, Limit: limit}
	addScans(union, ScanFilter{}, scanScope{`project_id`, project})
	picked, args := union.With()
	err = sqlx.SelectContext(ctx, q, &ids, q.Rebind(picked+`SELECT id FROM picked ORDER BY id DESC`), args...)
	return ids, err
}

// addHead adds the scans of the commit where the branch of a project stands, if another branch has brought it.
func (s *Store) addHead(ctx context.Context, union *sqldb.KeysetUnion, f ScanFilter, scope scanScope) error {
	if f.Project == "" || f.Branch == "" {
		return nil
	}
	project := scope.value.(int64) //nolint:forcetypeassert // scopes of a project's filter are projects
	head, err := getRef(ctx, s.db, project, core.BranchRef(f.Branch))
	if err != nil || head.SHA == "" {
		return err
	}
	branch := f.Branch
	f.Branch, f.CommitSHA = "", head.SHA
	where := scanScope{`project_id + 0`, project}.and(f.conditions())
	where.Add(true, `branch <> ?`, branch)
	union.AddKeyed(where)
	return nil
}

// scanScope is a column that indexes of scans begin with, and its value.
type scanScope struct {
	column string
	value  any
}

func (s scanScope) and(where sqldb.Conditions) sqldb.Conditions {
	where.Add(s.column != "", s.column+` = ?`, s.value)
	return where
}

// scanScopes are the projects that a filter names, or those that may be shown; else its platform, or all of them.
func (s *Store) scanScopes(ctx context.Context, f ScanFilter, sees sight) (scopes []scanScope, err error) {
	column := `project_id`
	if f.CommitSHA != "" { // by which the scans are found
		column += ` + 0`
	}
	platforms := []string{f.Platform}
	switch {
	case f.Project != "":
		named, err := s.projectsNamed(ctx, f.Platform, f.Project)
		for _, project := range named.members {
			if sees.has(project) {
				scopes = append(scopes, scanScope{column, project.ID})
			}
		}
		return scopes, err
	case !sees.all:
		shown, err := s.shownTo(ctx, sees)
		for _, id := range shown.on(f.Platform) {
			scopes = append(scopes, scanScope{column, id})
		}
		return scopes, err
	case f.Platform == "" && f.CommitSHA != "":
		return []scanScope{{}}, nil
	case f.Platform == "":
		platforms, err = s.db.DistinctValues(ctx, `projects`, `platform`)
	}
	for _, platform := range platforms {
		scopes = append(scopes, scanScope{`source_platform`, platform})
	}
	return scopes, err
}

// endedScans is a table of how scans ended, in the columns by which lists are filtered. It is written when a scan ends, so
// that a push writes no index of a list.
const endedScans = `(SELECT scan_id + 0 AS id, source_platform, project_id, branch, outcome FROM outcomes) AS ended_scans`

// kindsOfEnds is a table of all outcomes, for statements that look the newest scan of each up.
const kindsOfEnds = `kinds (outcome) AS (VALUES ('pass'), ('fail'), ('failed'))`

// openScans is a table of the scans that have not ended. Its order makes engines read their own small index.
const openScans = `(SELECT id, source_platform, project_id, branch, status FROM scans
	WHERE status IN ('pending', 'processing') ORDER BY deadline_at LIMIT 1000000) AS open_scans`

func (f ScanFilter) conditions() (where sqldb.Conditions) {
	where.Add(f.Branch != "", `branch = ?`, f.Branch)
	where.Add(f.CommitSHA != "", `commit_sha = ?`, f.CommitSHA)
	where.Add(f.Status != "", `status = ?`, f.Status)
	where.Add(f.Verdict != "", `verdict = ?`, f.Verdict)
	return where
}

// outcomes are those that the filter lets pass: a completed scan has a verdict, a failed one has none.
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
		scan, err := s.lockScanNamed(ctx, tx, reference)
		if err != nil {
			return err
		}
		if err := s.closeUnseen(ctx, tx, scan); err != nil {
			return err
		}
		if err := forgetScans(ctx, tx, []int64{scan.ID}); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM scans WHERE id = ?`), scan.ID); err != nil {
			return err
		}
		if err := removeStatuses(ctx, tx, []core.Scan{scan}); err != nil {
			return err
		}
		return s.audit(ctx, tx, core.AuditOf(scan, by, core.AuditScanDeleted))
	})
	if err != nil {
		return fmt.Errorf("deleting scan: %w", err)
	}
	return nil
}

// OverrideScan turns the status of a scan's commit green, and audits who did and why. It is undone by more that stands in the way than
// there is now; a newer commit and a newer scan of this one do not have it. core.ErrConflict where there is nothing to override.
func (s *Store) OverrideScan(ctx context.Context, reference, by, reason string) error {
	return s.changeOverride(ctx, reference, func(scan *core.Scan) (core.AuditEvent, error) {
		state, text := core.StatusFor(*scan)
		event := core.AuditOf(*scan, by, core.AuditOverride)
		err := scan.PutOverride(by, reason, s.clock.Timestamp())
		event.Detail = fmt.Sprintf("turned %s green: %s (it was: %s)", state, reason, text)
		return event, err
	})
}

// EndOverride takes back the word that turned the status of a scan's commit green; core.ErrConflict where none holds.
func (s *Store) EndOverride(ctx context.Context, reference, by string) error {
	return s.changeOverride(ctx, reference, func(scan *core.Scan) (core.AuditEvent, error) {
		event := core.AuditOf(*scan, by, core.AuditOverride)
		event.Detail = "taken back: the status is by the verdict again"
		return event, scan.EndOverride()
	})
}

func (s *Store) changeOverride(ctx context.Context, reference string, change func(*core.Scan) (core.AuditEvent, error)) error {
	err := s.write(ctx, func(tx *sqlx.Tx) error {
		scan, err := s.lockScanNamed(ctx, tx, reference)
		if err != nil {
			return err
		}
		var latest bool
		err = tx.GetContext(ctx, &latest, tx.Rebind(`SELECT `+latestAttempt+` FROM scans s WHERE s.id = ?`), scan.ID)
		if err == nil && !latest {
			err = fmt.Errorf("%w: the commit was scanned again, and shows that scan's result", core.ErrConflict)
		}
		if err != nil {
			return err
		}
		event, err := change(&scan)
		if err == nil {
			err = s.putOverride(ctx, tx, scan, event)
		}
		if err != nil {
			return err
		}
		return s.putStatuses(ctx, tx, []core.Scan{scan})
	})
	if err != nil {
		return fmt.Errorf("overriding a status: %w", err)
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

// gateOf is the gate of a scan, and whether the scan is of the default branch: only there findings are unresolved.
func (s *Store) gateOf(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (gate core.Gate, onMain bool, err error) {
	gate = s.policyOf(scan).Gate
	if onMain, err = onDefault(ctx, q, scan); err != nil {
		return gate, false, fmt.Errorf("asking where the default branch stands: %w", err)
	}
	gate.FailUnresolved = gate.FailUnresolved && onMain
	return gate, onMain, nil
}

// onDefault tells whether a scan is of the default branch: of one of its commits, or of that where it stands.
func onDefault(ctx context.Context, q sqlx.ExtContext, scan core.Scan) (is bool, err error) {
	if scan.OnDefaultBranch() || scan.DefaultBranch == "" {
		return scan.OnDefaultBranch(), nil
	}
	ref, err := getRef(ctx, q, scan.ProjectID, core.BranchRef(scan.DefaultBranch))
	return ref.SHA == scan.CommitSHA, err
}

// lockScan reads a scan and keeps other jobs of it from settling at the same time: of two that finish together each
// would see the other one running, and none would end the scan.
func (s *Store) lockScan(ctx context.Context, tx *sqlx.Tx, id int64) (core.Scan, error) {
	scans, err := s.lockScans(ctx, tx, []int64{id})
	if err == nil && len(scans) == 0 {
		err = sql.ErrNoRows
	}
	return append(scans, core.Scan{})[0], err
}

// lockScanNamed is lockScan for a reference_id.
func (s *Store) lockScanNamed(ctx context.Context, tx *sqlx.Tx, reference string) (core.Scan, error) {
	id, err := scanID(ctx, tx, reference)
	if err != nil {
		return core.Scan{}, err
	}
	return s.lockScan(ctx, tx, id)
}

// lockScans locks scans in one order for all transactions.
func (s *Store) lockScans(ctx context.Context, tx *sqlx.Tx, ids []int64) (scans []core.Scan, err error) {
	err = sqldb.SelectIn(ctx, tx, &scans, `SELECT `+scanColumns+` FROM scans WHERE id IN (?) ORDER BY id `+s.db.ForUpdate, ids)
	return scans, err
}

// lockOfProject is the key of a scan's project among advisory locks, and begins that of its commits.
const (
	lockOfProject = `'project ' || project_id`
	ofScan        = `FROM scans WHERE id = ?`
)
