package store

import (
	"context"
	"fmt"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// ProjectState is the state of a project: the latest scan of its default branch that was neither superseded nor stale.
type ProjectState struct {
	SourcePlatform string
	ProjectName    string     `db:"project_name"`
	Branch         string     `db:"branch"` // the default branch, or that of the newest scan where that is unknown
	HeadID         int64      `db:"head_id"`
	Head           *core.Scan // nil where none has ended
}

// Failing tells whether the gate fails the project, or whether its scan failed.
func (s ProjectState) Failing() bool {
	return s.Head != nil && (s.Head.Status == core.ScanFailed || s.Head.Verdict != nil && *s.Head.Verdict == core.Fail)
}

// ProjectFilter selects projects in the order of platform and name. The After fields name the last one already seen.
type ProjectFilter struct {
	Platform                    string // empty selects all
	Failing                     bool   // leaves out the others
	AfterPlatform, AfterProject string
	Limit                       int
}

// projectsPerStatement is how many projects one statement reads.
const projectsPerStatement = 500

// ListProjects returns the state of the projects that have ever been scanned.
func (s *Store) ListProjects(ctx context.Context, f ProjectFilter) (list []ProjectState, err error) {
	platforms := []string{f.Platform}
	if f.Platform == "" {
		if platforms, err = s.db.DistinctValues(ctx, `scans`, `source_platform`); err != nil {
			return nil, fmt.Errorf("listing projects: %w", sqldb.Classify(err))
		}
	}
	for _, platform := range platforms {
		after, more := "", platform >= f.AfterPlatform
		if platform == f.AfterPlatform {
			after = f.AfterProject
		}
		for more && len(list) < f.Limit {
			some, err := s.projectStates(ctx, platform, after)
			if err != nil {
				return nil, fmt.Errorf("listing projects: %w", sqldb.Classify(err))
			}
			for _, project := range some {
				if !f.Failing || project.Failing() {
					list = append(list, project)
				}
				after = project.ProjectName
			}
			more = len(some) == projectsPerStatement
		}
	}
	return list[:min(len(list), f.Limit)], nil
}

// projectStates goes from one project's name to the next, and reads the newest rows of each: no index lists projects.
func (s *Store) projectStates(ctx context.Context, platform, after string) (list []ProjectState, err error) {
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		WITH RECURSIVE names (name, n) AS (
			SELECT (SELECT MIN(project_name) FROM scans WHERE source_platform = ? AND project_name > ?), 1
			UNION ALL
			SELECT (SELECT MIN(project_name) FROM scans WHERE source_platform = ? AND project_name > names.name), n + 1
			FROM names WHERE names.name IS NOT NULL AND n < ?)
		SELECT name AS project_name, branch, COALESCE((SELECT id FROM scans
			WHERE source_platform = ? AND project_name = name AND scans.branch = projects.branch
				AND status IN ('completed', 'failed') AND superseded_by = '' AND NOT stale
			ORDER BY id DESC LIMIT 1), 0) AS head_id
		FROM (SELECT name, (SELECT COALESCE(NULLIF(default_branch, ''), branch) FROM scans s
				WHERE `+wholeProject("s")+` <= name || '@' || CAST(? AS TEXT)
				ORDER BY `+wholeProject("s")+` DESC, id DESC LIMIT 1) AS branch
			FROM names WHERE name IS NOT NULL) AS projects
		ORDER BY name`), platform, after, platform, projectsPerStatement, platform, platform)
	if err != nil {
		return nil, err
	}
	heads := map[int64]*ProjectState{}
	ids := []int64{0}
	for i := range list {
		list[i].SourcePlatform = platform
		heads[list[i].HeadID], ids = &list[i], append(ids, list[i].HeadID)
	}
	var scans []core.Scan
	err = sqldb.SelectIn(ctx, s.db, &scans, `SELECT `+scanColumns+` FROM scans WHERE id IN (?)`, ids)
	for i := range scans {
		heads[scans[i].ID].Head = &scans[i]
	}
	return list, err
}

// TrendPoint is what one completed scan of a project's default branch found, dismissed findings left out.
type TrendPoint struct {
	ReferenceID string `db:"reference_id"`
	CommitSHA   string `db:"commit_sha"`
	New         int    `db:"fresh"`
	Open        int    `db:"open"` // the new ones included
	Fixed       int    `db:"fixed"`
}

// ListTrend returns the completed scans of a project's default branch, the oldest of the newest limit first; of a
// project whose default branch is not known, those of all branches.
func (s *Store) ListTrend(ctx context.Context, platform, project string, limit int) ([]TrendPoint, error) {
	var list []TrendPoint
	branch, err := defaultBranch(ctx, s.db, core.Scan{SourcePlatform: platform, ProjectName: project})
	if err == nil {
		var union *sqldb.KeysetUnion
		union, err = s.scanUnion(ctx, ScanFilter{
			Platform: platform, Project: project, Branch: branch, Status: core.ScanCompleted, Limit: limit,
		})
		if err == nil {
			list, err = s.trendOf(ctx, union)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listing trend: %w", sqldb.Classify(err))
	}
	return list, nil
}

func (s *Store) trendOf(ctx context.Context, union *sqldb.KeysetUnion) (list []TrendPoint, err error) {
	picked, args := union.With()
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(picked+`
		SELECT s.reference_id, s.commit_sha,
			`+countOpen(`baseline_state = 'new'`)+` AS fresh,
			`+countOpen(`TRUE`)+` AS open,
			(SELECT COALESCE(SUM(num_absent), 0) FROM scan_jobs WHERE scan_id = s.id) AS fixed
		FROM picked JOIN scans s ON s.id = picked.id
		ORDER BY s.id`), args...)
	return list, err
}
