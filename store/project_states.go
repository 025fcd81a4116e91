package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/store/sqldb"
)

// ProjectState is the state of a project: the ended scan of the commit where its default branch stands, or of the nearest one
// before it, or the newest one of the branch where its ref leads to none.
type ProjectState struct {
	SourcePlatform string     `db:"source_platform"`
	ProjectName    string     `db:"project_name"`
	Key            string     `db:"name_key"` // core.ProjectKey of the name
	Scanned        bool       `db:"scanned"`  // it has a scan
	Branch         string     `db:"branch"`   // the default branch, or that of the newest scan where that is unknown
	ProjectID      int64      `db:"id"`
	Head           *core.Scan // nil where none has ended
	Unresolved     int        // findings of the head that failed the gate and are neither fixed nor triaged
}

// Failing tells whether the gate fails the project, by this commit or by what is open of earlier ones, or whether its scan failed.
func (s ProjectState) Failing() bool {
	return s.Unresolved > 0 || s.Head != nil && (s.Head.Status == core.ScanFailed || s.Head.Verdict != nil && *s.Head.Verdict == core.Fail)
}

// ProjectFilter selects projects in the order of platform and name. The After fields name the last one already seen.
type ProjectFilter struct {
	Platform                    string // empty selects all
	Failing                     bool   // leaves out the others
	AfterPlatform, AfterProject string
	Limit                       int
}

// projectsPerStatement is how many projects one statement reads at most.
const projectsPerStatement = 500

// ListProjects returns the state of the projects that have ever been scanned.
func (s *Store) ListProjects(ctx context.Context, f ProjectFilter) (list []ProjectState, err error) {
	after := ProjectState{SourcePlatform: f.AfterPlatform, Key: core.ProjectKey(f.AfterProject)}
	page := projectsPerStatement
	if !f.Failing { // most are scanned
		page = min(f.Limit, page)
	}
	shown, err := s.shownTo(ctx, seenBy(ctx, access.Read))
	if err != nil {
		return nil, fmt.Errorf("listing projects: %w", err)
	}
	for more := true; more && len(list) < f.Limit; {
		some, err := s.projectStates(ctx, shown, f.Platform, after, page)
		if err != nil {
			return nil, fmt.Errorf("listing projects: %w", sqldb.Classify(err))
		}
		for _, project := range some {
			if project.Scanned && (!f.Failing || project.Failing()) {
				list = append(list, project)
			}
			after = project
		}
		more, page = len(some) == page, min(2*page, projectsPerStatement)
	}
	return list[:min(len(list), f.Limit)], nil
}

// projectStates reads the next live projects after one, and how their default branches stand.
func (s *Store) projectStates(
	ctx context.Context, shown shownProjects, platform string, after ProjectState, limit int,
) (list []ProjectState, err error) {
	var where sqldb.Conditions
	shown.limit(&where, `id`)
	where.Add(true, `gone_at IS NULL`)
	where.Add(platform != "", `platform = ?`, platform)
	where.Add(true, `(platform, name_key) > (?, ?)`, after.SourcePlatform, after.Key)
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT id, platform AS source_platform, name AS project_name, name_key,
			default_branch AS branch, (SELECT o.project_id FROM outcomes o WHERE o.project_id = p.id LIMIT 1) IS NOT NULL AS scanned
		FROM projects p `+where.SQL()+` ORDER BY platform, name_key LIMIT ?`), append(where.Args, limit)...)
	if err != nil || len(list) == 0 {
		return list, err
	}
	if err := s.addNewest(ctx, list); err != nil {
		return nil, err
	}
	heads, err := s.headScans(ctx, list)
	if err != nil {
		return nil, err
	}
	unresolved, err := s.unresolvedAt(ctx, heads)
	for i := range list {
		if scan, ended := heads[list[i].ProjectID]; ended {
			list[i].Head, list[i].Unresolved = &scan, unresolved[scan.ID]
		}
	}
	return list, err
}

// unresolvedAt counts the unresolved findings of heads, by scan.
func (s *Store) unresolvedAt(ctx context.Context, heads map[int64]core.Scan) (map[int64]int, error) {
	scans := []int64{0}
	for _, scan := range heads {
		scans = append(scans, scan.ID)
	}
	var rows []struct {
		ScanID int64 `db:"scan_id"`
		N      int   `db:"n"`
	}
	err := sqldb.SelectIn(ctx, s.db, &rows, `
		SELECT scan_id, COUNT(*) AS n FROM findings WHERE scan_id IN (?) AND `+stillUnresolved+` GROUP BY scan_id`, scans)
	unresolved := map[int64]int{}
	for _, row := range rows {
		unresolved[row.ScanID] = row.N
	}
	return unresolved, err
}

// addNewest looks at the newest scans of the projects of which none has ended or the default branch is not known.
func (s *Store) addNewest(ctx context.Context, list []ProjectState) error {
	var args []any
	for _, project := range list {
		if !project.Scanned || project.Branch == "" {
			args = append(args, project.ProjectID)
		}
	}
	if len(args) == 0 {
		return nil
	}
	var newest []ProjectState
	err := s.db.SelectContext(ctx, &newest, s.db.Rebind(`
		WITH wanted (project_id) AS (VALUES `+numberedTuples(len(args), 1)+`),
		`+kindsOfEnds+`,
		newest (id) AS (
			SELECT (SELECT o.scan_id + 0 FROM outcomes o
				WHERE o.project_id = wanted.project_id AND o.outcome = kinds.outcome ORDER BY o.scan_id + 0 DESC LIMIT 1)
			FROM wanted CROSS JOIN kinds
			UNION ALL
			SELECT MAX(id) FROM `+openScans+` WHERE project_id IN (SELECT project_id FROM wanted) GROUP BY project_id)
		SELECT s.project_id AS id, s.branch FROM newest JOIN scans s ON s.id = newest.id ORDER BY s.id`), args...)
	branches := map[int64]string{}
	for _, scan := range newest {
		branches[scan.ProjectID] = scan.Branch
	}
	for i := range list {
		if branch, found := branches[list[i].ProjectID]; found {
			list[i].Scanned, list[i].Branch = true, cmp.Or(list[i].Branch, branch)
		}
	}
	return err
}

// endedScan is the ended scan of the commit of a row of chain, or null.
const endedScan = `(SELECT MAX(s.id + 0) FROM scans s WHERE s.commit_sha = chain.sha AND s.project_id + 0 = chain.project_id
	AND s.status IN ('completed', 'failed') AND s.superseded_by = '')`

// maxUnended is how many commits of a branch are looked at for one whose scan has ended.
const maxUnended = 50

// headScans are, by project, the ended scans of the commits where the branches of the states stand, or of those before. Where
// neither these nor those before the branch's last move lead to one, it is the newest one of the branch.
func (s *Store) headScans(ctx context.Context, list []ProjectState) (map[int64]core.Scan, error) {
	heads := map[int64]core.Scan{}
	for _, find := range []func([]ProjectState) (string, []any){chainFrom("sha"), chainFrom("before_sha"), newestOfBranches} {
		missing := slices.DeleteFunc(slices.Clone(list), func(p ProjectState) bool { return heads[p.ProjectID].ID != 0 })
		if len(missing) == 0 {
			break
		}
		query, args := find(missing)
		var ids []int64
		if err := s.db.SelectContext(ctx, &ids, s.db.Rebind(query), args...); err != nil {
			return nil, err
		}
		var scans []core.Scan
		err := sqldb.SelectIn(ctx, s.db, &scans, `SELECT `+scanColumns+` FROM scans WHERE id IN (?)`, append(ids, 0))
		if err != nil {
			return nil, err
		}
		for _, scan := range scans {
			if scan.ID > heads[scan.ProjectID].ID {
				heads[scan.ProjectID] = scan
			}
		}
	}
	return heads, nil
}

// HeadScan is the ended scan by which a project's default branch stands, as in the list of projects; core.ErrNotFound where none has
// ended.
func (s *Store) HeadScan(ctx context.Context, project core.KeptProject) (core.Scan, error) {
	state := []ProjectState{{ProjectID: project.ID, Branch: project.DefaultBranch, Scanned: true}}
	err := s.addNewest(ctx, state)
	var heads map[int64]core.Scan
	if err == nil {
		heads, err = s.headScans(ctx, state)
	}
	scan, ended := heads[project.ID]
	switch {
	case err != nil:
		return scan, fmt.Errorf("finding the head of %s: %w", project.Name, sqldb.Classify(err))
	case !ended:
		return scan, fmt.Errorf("%w: no scan of the default branch of %s has ended", core.ErrNotFound, project.Name)
	}
	return scan, nil
}

// chainFrom finds the ended scan of the commit that the refs of branches have in a column, or of the nearest one before.
func chainFrom(column string) func([]ProjectState) (string, []any) {
	return func(list []ProjectState) (query string, args []any) {
		for _, project := range list {
			args = append(args, project.ProjectID, core.BranchRef(project.Branch))
		}
		return `
			WITH RECURSIVE wanted (project_id, name) AS (VALUES ` + numberedTuples(len(list), 2) + `),
			chain (project_id, sha, n) AS (
				SELECT project_id, ` + ofRef("refs", column) + `, 1 FROM wanted
				UNION ALL
				SELECT project_id, ` + pushedOnto(`chain.project_id`) + `, n + 1
				FROM chain WHERE sha IS NOT NULL AND n < ? AND ` + endedScan + ` IS NULL)
			SELECT id FROM (SELECT ` + endedScan + ` AS id FROM chain) AS ended WHERE id IS NOT NULL`, append(args, maxUnended)
	}
}

// newestOfBranches finds the newest scans of branches, one for each outcome, such as those of which pipelines or uploads alone
// tell. One that was superseded says nothing of the branch.
func newestOfBranches(list []ProjectState) (query string, args []any) {
	for _, project := range list {
		args = append(args, project.ProjectID, project.Branch)
	}
	return `
		WITH wanted (project_id, branch) AS (VALUES ` + numberedTuples(len(list), 2) + `),
		` + kindsOfEnds + `
		SELECT id FROM (SELECT (SELECT o.scan_id + 0 FROM outcomes o
			WHERE o.project_id = wanted.project_id AND o.branch = wanted.branch AND o.outcome = kinds.outcome
				AND (SELECT s.superseded_by FROM scans s WHERE s.id = o.scan_id) = ''
			ORDER BY o.scan_id + 0 DESC LIMIT 1) AS id FROM wanted CROSS JOIN kinds) AS ended
		WHERE id IS NOT NULL`, args
}

// TrendPoint is what one completed scan of a project's default branch found, dismissed findings left out.
type TrendPoint struct {
	ReferenceID string    `db:"reference_id"`
	CommitSHA   string    `db:"commit_sha"`
	Timestamp   time.Time `db:"timestamp"`
	New         int       `db:"fresh"`
	Open        int       `db:"open"` // the new ones included
	Fixed       int       `db:"fixed"`
}

// ListTrend returns the completed scans of a project's default branch, the oldest of the newest limit first: those of the
// commits through which it came to where it stands, and those that it brought itself. Of a project whose default branch is not
// known, it returns those of all branches.
func (s *Store) ListTrend(ctx context.Context, platform, project string, limit int) ([]TrendPoint, error) {
	found, err := s.FindProject(ctx, platform, project)
	if errors.Is(err, core.ErrNotFound) {
		return nil, nil
	}
	var list []TrendPoint
	if err == nil {
		var unions []*sqldb.KeysetUnion
		unions, err = s.scanUnions(ctx, ScanFilter{
			Platform: platform, Project: project, Branch: found.DefaultBranch, Status: core.ScanCompleted, Limit: limit,
		})
		if err == nil && len(unions) > 0 {
			list, err = s.trendOf(ctx, unions[0], found, limit)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listing trend: %w", sqldb.Classify(err))
	}
	return list, nil
}

// trendOf adds to scans those of the commits from which the default branch came to where it stands.
func (s *Store) trendOf(
	ctx context.Context, union *sqldb.KeysetUnion, project core.KeptProject, limit int) (list []TrendPoint, err error) {
	head, err := getRef(ctx, s.db, project.ID, core.BranchRef(project.DefaultBranch))
	if err != nil {
		return nil, err
	}
	var ids, reached []int64
	picked, args := union.With()
	if err := s.db.SelectContext(ctx, &ids, s.db.Rebind(picked+`SELECT id FROM picked`), args...); err != nil {
		return nil, err
	}
	err = s.db.SelectContext(ctx, &reached, s.db.Rebind(`
		WITH RECURSIVE chain (sha, n) AS (
			SELECT CAST(? AS TEXT), 1
			UNION ALL
			SELECT `+pushedOnto(`?`)+`, n + 1 FROM chain WHERE sha IS NOT NULL AND n < ?)
		SELECT id FROM (SELECT (SELECT MAX(s.id + 0) FROM scans s
			WHERE s.commit_sha = chain.sha AND s.project_id + 0 = ? AND s.status = 'completed') AS id FROM chain) AS found
		WHERE id IS NOT NULL`), head.SHA, project.ID, limit, project.ID)
	if err != nil {
		return nil, err
	}
	ids = append(ids, reached...)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return nil, nil
	}
	err = sqldb.SelectIn(ctx, s.db, &list, `
		SELECT s.reference_id, s.commit_sha, s.timestamp,
			`+countOpen(`baseline_state = 'new'`)+` AS fresh,
			`+countOpen(`TRUE`)+` AS open,
			(SELECT COALESCE(SUM(num_absent), 0) FROM scan_jobs WHERE scan_id = s.id) AS fixed
		FROM scans s WHERE s.id IN (?) ORDER BY s.id`, ids[max(0, len(ids)-limit):])
	return list, err
}

// countOpen is an SQL expression for how many findings of scan s meet a condition and are not dismissed: the rule of
// dismissed by indexes only.
func countOpen(condition string) string {
	const count = `(SELECT COUNT(*) FROM findings WHERE scan_id = s.id AND `
	return count + condition + `)
		- ` + count + condition + ` AND suppressed IS NOT NULL)
		- ` + count + condition + ` AND ` + decidedOnes + ` AND suppressed IS NULL AND ` + dismissed + `)`
}
