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

// FindingPage is a part of a scan's findings, as a page lists them: each stands in one list, those that count in the one
// of their baseline state, dismissed ones in their own.
type FindingPage struct {
	State     core.BaselineState // Absent are those of the baseline that the scan no longer has; empty with Dismissed
	Dismissed bool
	Also      int64 // id of a finding of the scan that stands here too, because somebody has just judged it; or 0
	Offset    int
	Limit     int
}

func (p FindingPage) where(scan core.Scan) (where conditions) {
	if p.State == core.Absent {
		whereFixed(&where, scan)
		return where
	}
	where.add(true, `findings.scan_id = ?`, scan.ID)
	where.add(p.Dismissed, `(`+dismissed+` OR findings.id = ?)`, p.Also)
	where.add(!p.Dismissed, `(findings.baseline_state = ? AND NOT `+dismissed+` OR findings.id = ?)`, p.State, p.Also)
	return where
}

// PageFindings returns a part of a scan's findings, the most urgent first.
func (s *Store) PageFindings(ctx context.Context, scan core.Scan, page FindingPage) ([]core.Finding, error) {
	where := page.where(scan)
	var list []core.Finding
	query := s.db.Rebind(`
		SELECT ` + listedColumns + `, ` + dismissed + ` AS dismissed
		FROM findings LEFT JOIN epss_data e ON e.cve_id = findings.cve_id
		WHERE findings.id IN (
			SELECT findings.id FROM findings LEFT JOIN epss_data e ON e.cve_id = findings.cve_id
			` + where.sql() + ` ORDER BY ` + urgency + ` LIMIT ? OFFSET ?)
		ORDER BY ` + urgency)
	if err := s.db.SelectContext(ctx, &list, query, append(where.args, page.Limit, page.Offset)...); err != nil {
		return nil, fmt.Errorf("paging findings: %w", classify(err))
	}
	if page.State == core.Absent {
		for i := range list {
			list[i].BaselineState = core.Absent
		}
	}
	return list, nil
}

// PlaceFinding tells in which list of its scan a finding stands; Offset is how many stand before it.
func (s *Store) PlaceFinding(ctx context.Context, scan core.Scan, id int64) (FindingPage, error) {
	var at struct {
		State     core.BaselineState `db:"baseline_state"`
		Dismissed bool               `db:"dismissed"`
		Before    int                `db:"before"`
	}
	err := s.db.GetContext(ctx, &at, s.db.Rebind(`
		SELECT baseline_state, dismissed, before FROM (
			SELECT findings.id, baseline_state, `+dismissed+` AS dismissed, ROW_NUMBER() OVER (
				PARTITION BY CASE WHEN `+dismissed+` THEN 'dismissed' ELSE baseline_state END ORDER BY `+urgency+`) - 1 AS before
			FROM findings LEFT JOIN epss_data e ON e.cve_id = findings.cve_id
			WHERE findings.scan_id = ?) listed
		WHERE id = ?`), scan.ID, id)
	if err != nil {
		return FindingPage{}, fmt.Errorf("placing finding %d: %w", id, classify(err))
	}
	place := FindingPage{State: at.State, Offset: at.Before}
	if at.Dismissed {
		place.State, place.Dismissed = "", true
	}
	return place, nil
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
