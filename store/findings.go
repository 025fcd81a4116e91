package store

import (
	"context"
	"fmt"

	"github.com/scanhook/scanhook/core"
)

// FindingFilter selects findings of one scan; empty fields select everything. The list is ordered by severity, gravest
// first, then by age; AfterRank and AfterID name the last finding already seen.
type FindingFilter struct {
	Severity      core.Severity
	BaselineState core.BaselineState
	Tool, File    string
	RuleID        string
	AfterRank     int // Severity.Rank of the last finding seen, 0 at the start
	AfterID       int64
	Limit         int
}

// severityRank is core.Severity.Rank in SQL.
const severityRank = `CASE severity WHEN 'Critical' THEN 4 WHEN 'High' THEN 3 WHEN 'Medium' THEN 2 ELSE 1 END`

// ListFindings returns the findings that a scan reports, or with BaselineState Absent those of its baseline that the same
// scanner no longer reports.
func (s *Store) ListFindings(ctx context.Context, scan core.Scan, f FindingFilter) ([]core.Finding, error) {
	var where conditions
	if f.BaselineState == core.Absent {
		whereFixed(&where, scan)
	} else {
		where.add(true, `scan_id = ?`, scan.ID)
		where.add(f.BaselineState != "", `baseline_state = ?`, f.BaselineState)
	}
	where.add(f.Severity != "", `severity = ?`, f.Severity)
	where.add(f.Tool != "", `tool = ?`, f.Tool)
	where.add(f.File != "", `file = ?`, f.File)
	where.add(f.RuleID != "", `rule_id = ?`, f.RuleID)
	where.add(f.AfterID > 0, `(`+severityRank+` < ? OR `+severityRank+` = ? AND id > ?)`, f.AfterRank, f.AfterRank, f.AfterID)

	list := []core.Finding{}
	query := s.db.Rebind(`SELECT * FROM findings ` + where.sql() + ` ORDER BY ` + severityRank + ` DESC, id LIMIT ?`)
	if err := s.db.SelectContext(ctx, &list, query, append(where.args, f.Limit)...); err != nil {
		return nil, fmt.Errorf("listing findings: %w", classify(err))
	}
	if f.BaselineState == core.Absent {
		for i := range list {
			list[i].BaselineState = core.Absent
		}
	}
	return list, nil
}

// whereFixed compares scanner by scanner, and only those that completed in both scans.
func whereFixed(where *conditions, scan core.Scan) {
	baseline := int64(0)
	if scan.BaselineScanID != nil {
		baseline = *scan.BaselineScanID
	}
	where.add(true, `scan_id = ?`, baseline)
	where.add(true, `EXISTS (SELECT 1 FROM scan_jobs old JOIN scan_jobs fresh ON fresh.scanner = old.scanner
		WHERE old.id = findings.job_id AND fresh.scan_id = ? AND old.state = 'completed' AND fresh.state = 'completed'
			AND NOT EXISTS (SELECT 1 FROM findings still
				WHERE still.scan_id = fresh.scan_id AND still.job_id = fresh.id
					AND still.fingerprint = findings.fingerprint))`, scan.ID)
}
