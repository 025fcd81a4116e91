package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// ListUnshown returns the findings of a job that people look at, and of which no code is kept: the new ones, and known
// ones where the gate counts them too. The gravest come first, at most limit.
func (s *Store) ListUnshown(ctx context.Context, job core.Job, limit int) ([]core.Finding, error) {
	var scan core.Scan
	err := s.db.GetContext(ctx, &scan, s.db.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), job.ScanID)
	if err != nil {
		return nil, fmt.Errorf("listing findings without code: %w", classify(err))
	}
	gate := s.policyOf(scan).Gate
	var list []core.Finding
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(selectFindings+`
		WHERE job_id = ? AND file <> '' AND line > 0 AND code = ''
			AND (baseline_state = 'new' OR ? AND `+severityRank+` >= ?)
		ORDER BY `+severityRank+` DESC, id
		LIMIT ?`), job.ID, !gate.NewOnly && gate.FailOn != core.Never, gate.FailOn.Rank(), limit)
	if err != nil {
		return nil, fmt.Errorf("listing findings without code: %w", classify(err))
	}
	return list, nil
}

// PutCode keeps the code around findings of a job, where they still are. Those without code are passed over.
func (s *Store) PutCode(ctx context.Context, job core.Job, findings []core.Finding) error {
	err := s.changeAgain(ctx, func(tx *sqlx.Tx) error {
		for _, f := range findings {
			if f.Code == "" {
				continue
			}
			_, err := tx.ExecContext(ctx, tx.Rebind(`
				UPDATE findings SET code = ?, code_line = ? WHERE id = ? AND job_id = ? AND file = ? AND line = ?`),
				f.Code, f.CodeLine, f.ID, job.ID, f.File, f.Line)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keeping code: %w", err)
	}
	return nil
}
