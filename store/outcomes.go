package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// putOutcomes keeps how scans have ended. Those that run again have no outcome.
func (s *Store) putOutcomes(ctx context.Context, tx *sqlx.Tx, ended, open []core.Scan) error {
	if len(open) > 0 {
		_, err := sqldb.ExecIn(ctx, tx, `DELETE FROM outcomes WHERE scan_id IN (?)`, scanIDs(open))
		if err != nil {
			return err
		}
	}
	if len(ended) == 0 {
		return nil
	}
	given := sqldb.Given{Name: "ended", Columns: "scan_id BIGINT, source_platform TEXT, project_id BIGINT, branch TEXT, outcome TEXT"}
	for _, scan := range ended {
		given.Rows = append(given.Rows, []any{scan.ID, scan.SourcePlatform, scan.ProjectID, scan.Branch, outcomeOf(scan)})
	}
	_, err := s.db.ExecGiven(ctx, tx, given, given.Insert(`outcomes`)+`
		ON CONFLICT (scan_id) DO UPDATE SET branch = excluded.branch, outcome = excluded.outcome
			WHERE outcomes.branch <> excluded.branch OR outcomes.outcome <> excluded.outcome`)
	return err
}

// outcomeOf is the verdict of an ended scan, or else its status.
func outcomeOf(scan core.Scan) string {
	if scan.Verdict != nil {
		return string(*scan.Verdict)
	}
	return string(scan.Status)
}

func scanIDs(scans []core.Scan) []int64 {
	ids := make([]int64, len(scans))
	for i, scan := range scans {
		ids[i] = scan.ID
	}
	return ids
}
