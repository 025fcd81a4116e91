package store

import (
	"context"
	"fmt"

	"github.com/scanhook/scanhook/core"
)

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
	ways, err := s.waysTo(ctx, f)
	if err == nil && len(ways.parts) > 0 {
		picked, args := ways.picked()
		err = s.db.SelectContext(ctx, &list, s.db.Rebind(picked+`
			SELECT `+of("scans", scanColumns)+`
			FROM picked JOIN scans ON scans.id = picked.id ORDER BY scans.id DESC`), args...)
	}
	if err != nil {
		return nil, fmt.Errorf("listing scans: %w", classify(err))
	}
	return list, nil
}

// waysTo walks ended scans by their outcome. Those that are open change it too often for an index, and are few.
func (s *Store) waysTo(ctx context.Context, f ScanFilter) (*walks, error) {
	ways := &walks{table: `scans`, before: f.Before, after: f.After, limit: f.Limit}
	project, err := s.spellingsOf(ctx, f.Platform, f.Project)
	if err != nil {
		return nil, err
	}
	if f == (ScanFilter{Before: f.Before, After: f.After, Limit: f.Limit}) || f.CommitSHA != "" {
		ways.along(f.conditions(project))
		return ways, nil
	}
	platforms := []string{f.Platform}
	if f.Platform == "" {
		if platforms, err = s.platformsIn(ctx, `scans`, `source_platform`); err != nil {
			return nil, err
		}
	}
	for _, platform := range platforms {
		for _, outcome := range f.outcomes() {
			var where conditions
			where.add(true, `status IN ('completed', 'failed') AND source_platform = ?`, platform)
			where.add(true, `COALESCE(verdict, status) = ?`, outcome)
			where.add(f.Project != "", `project_name = ?`, project.on(platform))
			where.add(f.Branch != "", `branch = ?`, f.Branch)
			ways.along(where)
		}
	}
	if f.Verdict == "" && !f.Status.Ended() {
		ways.through(openScans, f.conditions(project))
	}
	return ways, nil
}

// openScans is a table of the scans that have not ended. Its order keeps it a look into their own small index.
const openScans = `(SELECT id, source_platform, project_name, branch, status FROM scans
	WHERE status IN ('pending', 'processing') ORDER BY deadline_at LIMIT 1000000) AS open_scans`

func (f ScanFilter) conditions(project namedProject) (where conditions) {
	where.add(f.Platform != "", `source_platform = ?`, f.Platform)
	project.addTo(&where)
	where.add(f.Branch != "", `branch = ?`, f.Branch)
	where.add(f.CommitSHA != "", `commit_sha = ?`, f.CommitSHA)
	where.add(f.Status != "", `status = ?`, f.Status)
	where.add(f.Verdict != "", `verdict = ?`, f.Verdict)
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
