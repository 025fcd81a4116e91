package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// likelyExploited is the EPSS probability from which a vulnerability is more urgent than any that is only grave: about
// one in twenty-five has it.
const likelyExploited = `0.1`

// urgency orders findings as people should look at them: those that are exploited or likely to be, then the gravest.
const urgency = kevRank + ` DESC, CASE WHEN ` + likelihood + ` >= ` + likelyExploited + ` THEN 1 ELSE 0 END DESC, ` +
	severityRank + ` DESC, ` + likelihood + ` DESC, findings.id`

// PageFindings returns a part of a scan's findings of one baseline state, the most urgent first; Absent are those of
// the baseline that the scan no longer has.
func (s *Store) PageFindings(ctx context.Context, scan core.Scan, state core.BaselineState, offset, limit int) ([]core.Finding, error) {
	var where conditions
	if state == core.Absent {
		whereFixed(&where, scan)
	} else {
		where.add(true, `scan_id = ?`, scan.ID)
		where.add(true, `baseline_state = ?`, state)
	}
	var list []core.Finding
	query := s.db.Rebind(selectFindings + `WHERE findings.id IN (
			SELECT findings.id FROM findings LEFT JOIN epss_data e ON e.cve_id = findings.cve_id
			` + where.sql() + ` ORDER BY ` + urgency + ` LIMIT ? OFFSET ?)
		ORDER BY ` + urgency)
	if err := s.db.SelectContext(ctx, &list, query, append(where.args, limit, offset)...); err != nil {
		return nil, fmt.Errorf("paging findings: %w", classify(err))
	}
	if state == core.Absent {
		for i := range list {
			list[i].BaselineState = core.Absent
		}
	}
	return list, nil
}

// CountFindings tallies a scan's findings by severity and baseline state; of their CVEs the tallies say nothing. It
// reads indexes only, which do not hold why a finding is suppressed and who decided: those are moved over afterwards.
func (s *Store) CountFindings(ctx context.Context, scan core.Scan) ([]core.Tally, error) {
	var tallies []core.Tally
	const suppressed = `FROM findings WHERE scan_id = ? AND suppressed IS NOT NULL AND COALESCE(triage_decision, '') <> 'FP'
		GROUP BY severity, baseline_state`
	const overruled = `FROM findings WHERE scan_id = ? AND ` + falsePositives + ` AND suppressed IS NULL
		AND ` + beyondAI + ` AND ` + byAI + ` GROUP BY severity, baseline_state`
	err := s.db.SelectContext(ctx, &tallies, s.db.Rebind(`
		SELECT severity, baseline_state, dismissed, SUM(alike) AS n FROM (
			SELECT severity, baseline_state, COALESCE(triage_decision, '') = 'FP' AS dismissed, COUNT(*) AS alike
			FROM findings WHERE scan_id = ? GROUP BY baseline_state, severity, triage_decision
			UNION ALL SELECT severity, baseline_state, FALSE, -COUNT(*) `+suppressed+`
			UNION ALL SELECT severity, baseline_state, TRUE, COUNT(*) `+suppressed+`
			UNION ALL SELECT severity, baseline_state, TRUE, -COUNT(*) `+overruled+`
			UNION ALL SELECT severity, baseline_state, FALSE, COUNT(*) `+overruled+`) counted
		GROUP BY severity, baseline_state, dismissed HAVING SUM(alike) > 0`),
		scan.ID, scan.ID, scan.ID, scan.ID, scan.ID)
	if err != nil {
		return nil, fmt.Errorf("counting findings: %w", classify(err))
	}
	return tallies, nil
}

// ListHistories returns what was said about several findings, the oldest first, at most limit events in all.
func (s *Store) ListHistories(ctx context.Context, findings []int64, limit int) ([]core.TriageEvent, error) {
	if len(findings) == 0 {
		return nil, nil
	}
	query, args, err := sqlx.In(`
		SELECT `+eventColumns+` FROM triage_events WHERE finding_id IN (?) ORDER BY id LIMIT ?`, findings, limit)
	if err != nil {
		return nil, fmt.Errorf("listing histories: %w", err)
	}
	var list []core.TriageEvent
	if err := s.db.SelectContext(ctx, &list, s.db.Rebind(query), args...); err != nil {
		return nil, fmt.Errorf("listing histories: %w", classify(err))
	}
	return list, nil
}
