package store

import (
	"context"
	"fmt"

	"github.com/scanhook/scanhook/core"
)

// FindingFilter selects findings of one scan; empty fields select everything. The list is ordered by severity, gravest
// first, then by age; ByRisk puts known exploitation and its probability before the severity. ByAge is the cheapest
// order for going through all findings, most of all those of one job. The After fields name the last finding already
// seen.
type FindingFilter struct {
	JobID            int64 // of the scan that is asked for
	Severity         core.Severity
	BaselineState    core.BaselineState
	Tool, File       string
	RuleID           string
	ByRisk, ByAge    bool
	AfterKEV         bool    // asked ByRisk only, like AfterProbability
	AfterProbability float64 // 0 where unknown
	AfterRank        int     // Severity.Rank of the last finding seen, 0 at the start
	AfterID          int64
	Limit            int
}

// severityRank is core.Severity.Rank in SQL.
const severityRank = `CASE severity WHEN 'Critical' THEN 4 WHEN 'High' THEN 3 WHEN 'Medium' THEN 2 ELSE 1 END`

// kevRank and likelihood order findings by the risk of their CVE, which is joined as e and may be missing.
const (
	kevRank    = `CASE WHEN e.kev THEN 1 ELSE 0 END`
	likelihood = `COALESCE(e.probability, 0)`
)

// listedColumns are a finding's with what is known about its CVE; a probability of 0 means that EPSS has no score of it,
// as of the newest in KEV.
var listedColumns = of("findings", findingColumns) + `, NULLIF(e.probability, 0) AS epss_probability,
	CASE WHEN e.probability > 0 THEN e.percentile END AS epss_percentile, COALESCE(e.kev, FALSE) AS kev`

// selectFindings begins a query for findings.
var selectFindings = `
	SELECT ` + listedColumns + `
	FROM findings LEFT JOIN epss_data e ON e.cve_id = findings.cve_id
	`

// ListFindings returns the findings that a scan reports, or with BaselineState Absent those of its baseline that the
// same scanner no longer reports.
func (s *Store) ListFindings(ctx context.Context, scan core.Scan, f FindingFilter) ([]core.Finding, error) {
	var where conditions
	if f.BaselineState == core.Absent {
		whereFixed(&where, scan)
	} else {
		where.add(f.JobID == 0, `scan_id = ?`, scan.ID)
		where.add(f.BaselineState != "", `baseline_state = ?`, f.BaselineState)
	}
	where.add(f.JobID != 0, `job_id = ?`, f.JobID)
	where.add(f.Severity != "", `severity = ?`, f.Severity)
	where.add(f.Tool != "", `tool = ?`, f.Tool)
	where.add(f.File != "", `file = ?`, f.File)
	where.add(f.RuleID != "", `rule_id = ?`, f.RuleID)
	order := f.page(&where)
	list := []core.Finding{}
	query := s.db.Rebind(selectFindings + where.sql() + ` ORDER BY ` + order + ` LIMIT ?`)
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

// page asks for what comes after the last finding seen, and returns the order in which that is meant.
func (f FindingFilter) page(where *conditions) (order string) {
	switch {
	case f.ByAge:
		where.add(f.AfterID > 0, `id > ?`, f.AfterID)
		return `id`
	case !f.ByRisk:
		where.add(f.AfterID > 0, `(`+severityRank+`, -id) < (?, ?)`, f.AfterRank, -f.AfterID)
		return severityRank + ` DESC, id`
	}
	after := 0
	if f.AfterKEV {
		after = 1
	}
	where.add(f.AfterID > 0, `(`+kevRank+`, `+likelihood+`, `+severityRank+`, -id) < (?, ?, ?, ?)`,
		after, f.AfterProbability, f.AfterRank, -f.AfterID)
	return kevRank + ` DESC, ` + likelihood + ` DESC, ` + severityRank + ` DESC, id`
}

// whereFixed compares scanner by scanner, and only those that completed in both scans.
func whereFixed(where *conditions, scan core.Scan) {
	where.add(true, `job_id IN (SELECT old.id
		FROM scan_jobs fresh JOIN scan_jobs old ON old.scan_id = fresh.baseline_scan_id AND old.scanner = fresh.scanner
		WHERE fresh.scan_id = ? AND old.state = 'completed' AND fresh.state = 'completed')`, scan.ID)
	where.add(true, `NOT EXISTS (SELECT 1 FROM findings still JOIN scan_jobs fresh ON fresh.id = still.job_id
		JOIN scan_jobs old ON old.scanner = fresh.scanner
		WHERE still.scan_id = ? AND still.fingerprint = findings.fingerprint AND old.id = findings.job_id)`, scan.ID)
}
