package store

import (
	"context"
	"fmt"

	"github.com/scanhook/scanhook/core"
)

// ListUndecided returns the new findings of a job about which nobody has said anything yet, the gravest first, at most
// limit.
func (s *Store) ListUndecided(ctx context.Context, job core.Job, limit int) ([]core.Finding, error) {
	var list []core.Finding
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(selectFindings+`
		WHERE job_id = ? AND baseline_state = 'new' AND suppressed IS NULL AND triage_decision IS NULL AND ai_verdict IS NULL
		ORDER BY `+severityRank+` DESC, id
		LIMIT ?`), job.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("listing undecided findings: %w", classify(err))
	}
	return list, nil
}
