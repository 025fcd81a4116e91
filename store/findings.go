package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

var findingColumns = sqldb.ColumnsOf[core.Finding]()

// FindingFilter selects findings of one scan; empty fields select everything. The list is ordered by severity, the most
// severe first, then by age; ByRisk puts known exploitation and its probability before the severity. ByAge is the
// cheapest order for reading all findings, especially those of one job. The After fields name the last finding already
// read.
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

// listedColumns are a finding's with what is known about its CVE; a probability of 0 means that EPSS has no score of it,
// as of the newest in KEV.
var listedColumns = sqldb.Qualify("findings", findingColumns) + `, NULLIF(e.probability, 0) AS epss_probability,
	CASE WHEN e.probability > 0 THEN e.percentile END AS epss_percentile, COALESCE(e.kev, FALSE) AS kev`

// ListFindings returns the findings that a scan reports, or with BaselineState Absent those of its baseline that the
// same scanner no longer reports.
func (s *Store) ListFindings(ctx context.Context, scan core.Scan, f FindingFilter) ([]core.Finding, error) {
	var where sqldb.Conditions
	if f.BaselineState == core.Absent {
		whereFixed(&where, scan)
	} else {
		where.Add(f.JobID == 0, `scan_id = ?`, scan.ID)
		where.Add(f.BaselineState != "", `baseline_state = ?`, f.BaselineState)
	}
	where.Add(f.JobID != 0, `job_id = ?`, f.JobID)
	where.Add(f.Severity != "", `severity = ?`, f.Severity)
	where.Add(f.Tool != "", `tool = ?`, f.Tool)
	where.Add(f.File != "", `file = ?`, f.File)
	where.Add(f.RuleID != "", `rule_id = ?`, f.RuleID)
	order := f.page(&where)
	list := []core.Finding{}
	query := s.db.Rebind(selectFindings + where.SQL() + ` ORDER BY ` + order + ` LIMIT ?`)
	if err := s.db.SelectContext(ctx, &list, query, append(where.Args, f.Limit)...); err != nil {
		return nil, fmt.Errorf("listing findings: %w", sqldb.Classify(err))
	}
	if f.BaselineState == core.Absent {
		for i := range list {
			list[i].BaselineState = core.Absent
		}
	}
	return list, nil
}

// page selects what comes after the last finding read, and returns the order in which that is meant.
func (f FindingFilter) page(where *sqldb.Conditions) (order string) {
	switch {
	case f.ByAge:
		where.Add(f.AfterID > 0, `id > ?`, f.AfterID)
		return `id`
	case !f.ByRisk:
		where.Add(f.AfterID > 0, `(`+severityRank+`, -id) < (?, ?)`, f.AfterRank, -f.AfterID)
		return severityRank + ` DESC, id`
	}
	after := 0
	if f.AfterKEV {
		after = 1
	}
	where.Add(f.AfterID > 0, `(`+kevRank+`, `+likelihood+`, `+severityRank+`, -id) < (?, ?, ?, ?)`,
		after, f.AfterProbability, f.AfterRank, -f.AfterID)
	return kevRank + ` DESC, ` + likelihood + ` DESC, ` + severityRank + ` DESC, id`
}

// whereFixed compares scanner by scanner, and only those that completed in both scans.
func whereFixed(where *sqldb.Conditions, scan core.Scan) {
	where.Add(true, `job_id IN (SELECT old.id
		FROM scan_jobs fresh JOIN scan_jobs old ON old.scan_id = fresh.baseline_scan_id AND old.scanner = fresh.scanner
		WHERE fresh.scan_id = ? AND old.state = 'completed' AND fresh.state = 'completed')`, scan.ID)
	where.Add(true, `NOT EXISTS (SELECT 1 FROM findings still JOIN scan_jobs fresh ON fresh.id = still.job_id
		JOIN scan_jobs old ON old.scanner = fresh.scanner
		WHERE still.scan_id = ? AND still.fingerprint = findings.fingerprint AND old.id = findings.job_id)`, scan.ID)
}

// likelyExploited is the EPSS probability from which a vulnerability is more urgent than any severity: about one in
// twenty-five has it.
const likelyExploited = `0.1`

// urgency orders findings as people should read them: those that are exploited or likely to be, then the most severe.
const urgency = kevRank + ` DESC, CASE WHEN ` + likelihood + ` >= ` + likelyExploited + ` THEN 1 ELSE 0 END DESC, ` +
	severityRank + ` DESC, ` + likelihood + ` DESC, findings.id`

// FindingPage is a part of a scan's findings, as a page lists them: each is in one list, those that count in the one of
// their baseline state, dismissed ones in their own.
type FindingPage struct {
	State     core.BaselineState // Absent are those of the baseline that the scan no longer has; empty with Dismissed
	Dismissed bool
	Also      int64 // id of a finding of the scan that is listed here too, because it was just triaged; or 0
	Offset    int
	Limit     int
}

func (p FindingPage) where(scan core.Scan) (where sqldb.Conditions) {
	if p.State == core.Absent {
		whereFixed(&where, scan)
		return where
	}
	where.Add(true, `findings.scan_id = ?`, scan.ID)
	where.Add(p.Dismissed, `(`+dismissed+` OR findings.id = ?)`, p.Also)
	where.Add(!p.Dismissed, `(findings.baseline_state = ? AND NOT `+dismissed+` OR findings.id = ?)`, p.State, p.Also)
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
			` + where.SQL() + ` ORDER BY ` + urgency + ` LIMIT ? OFFSET ?)
		ORDER BY ` + urgency)
	if err := s.db.SelectContext(ctx, &list, query, append(where.Args, page.Limit, page.Offset)...); err != nil {
		return nil, fmt.Errorf("paging findings: %w", sqldb.Classify(err))
	}
	if page.State == core.Absent {
		for i := range list {
			list[i].BaselineState = core.Absent
		}
	}
	return list, nil
}

// PlaceFinding finds the list of its scan in which a finding is; Offset is how many come before it.
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
		return FindingPage{}, fmt.Errorf("placing finding %d: %w", id, sqldb.Classify(err))
	}
	place := FindingPage{State: at.State, Offset: at.Before}
	if at.Dismissed {
		place.State, place.Dismissed = "", true
	}
	return place, nil
}

// CountFindings tallies a scan's findings by severity and baseline state, without their CVEs. It reads indexes only,
// which do not hold why a finding is suppressed and who decided: such findings are moved afterwards.
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
		return nil, fmt.Errorf("counting findings: %w", sqldb.Classify(err))
	}
	return tallies, nil
}

// dismissed is core.FindingGroup.Dismissed for lists, which page through more rows than are worth loading. A test compares
// the two on random findings.
const dismissed = `(findings.suppressed IS NOT NULL
	OR COALESCE(findings.triage_decision, '') = 'FP' AND NOT (` + beyondAI + ` AND ` + byAI + `))`

// beyondAI is core.Finding.AIMayDismiss, negated.
const beyondAI = `(findings.severity = 'Critical' OR COALESCE(findings.red_team_success, FALSE)
	OR EXISTS (SELECT 1 FROM epss_data exploited WHERE exploited.cve_id = findings.cve_id AND exploited.kev))`

// byAI is true where nobody but an AI decided FP.
const byAI = `COALESCE((SELECT MAX(CASE w.source WHEN 'ai' THEN 1 ELSE 2 END)
	FROM triage_decisions w
	JOIN scans own ON own.source_platform = w.source_platform AND own.project_name = w.project_name
	WHERE own.id = findings.scan_id AND w.fingerprint = findings.fingerprint AND w.decision = 'FP'), 0) = 1`

// falsePositives finds those of a scan by the index of its findings, in which the decision is the fourth column.
const falsePositives = `findings.baseline_state IN ('new', 'unchanged', 'absent')
	AND findings.severity IN ('Critical', 'High', 'Medium', 'Low') AND findings.triage_decision = 'FP'`

// countOpen is an SQL expression for how many findings of scan s meet a condition and are not dismissed: the rule of
// dismissed by indexes only.
func countOpen(condition string) string {
	const count = `(SELECT COUNT(*) FROM findings WHERE scan_id = s.id AND `
	return count + condition + `)
		- ` + count + condition + ` AND suppressed IS NOT NULL)
		- ` + count + condition + ` AND ` + falsePositives + ` AND suppressed IS NULL AND NOT (` + beyondAI + ` AND ` + byAI + `))`
}

// ListUndecided returns the new findings of a job without any triage yet, the most severe first, at most limit.
func (s *Store) ListUndecided(ctx context.Context, job core.Job, limit int) ([]core.Finding, error) {
	var list []core.Finding
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(selectFindings+`
		WHERE job_id = ? AND baseline_state = 'new' AND suppressed IS NULL AND triage_decision IS NULL AND ai_verdict IS NULL
		ORDER BY `+severityRank+` DESC, id
		LIMIT ?`), job.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("listing undecided findings: %w", sqldb.Classify(err))
	}
	return list, nil
}

// ListWithoutCode returns the findings of a job that people will read but for which no code is kept: the new ones, and
// known ones where the gate counts them too. The most severe come first, at most limit.
func (s *Store) ListWithoutCode(ctx context.Context, job core.Job, limit int) ([]core.Finding, error) {
	var scan core.Scan
	err := s.db.GetContext(ctx, &scan, s.db.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), job.ScanID)
	if err != nil {
		return nil, fmt.Errorf("listing findings without code: %w", sqldb.Classify(err))
	}
	gate := s.policyOf(scan).Gate
	var list []core.Finding
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(selectFindings+`
		WHERE job_id = ? AND file <> '' AND line > 0 AND code = ''
			AND (baseline_state = 'new' OR ? AND `+severityRank+` >= ?)
		ORDER BY `+severityRank+` DESC, id
		LIMIT ?`), job.ID, !gate.NewOnly && gate.FailOn != core.Never, gate.FailOn.Rank(), limit)
	if err != nil {
		return nil, fmt.Errorf("listing findings without code: %w", sqldb.Classify(err))
	}
	return list, nil
}

// PutCode keeps the code around findings of a job, where they still are. Findings without code are skipped.
func (s *Store) PutCode(ctx context.Context, job core.Job, findings []core.Finding) error {
	err := s.write(ctx, func(tx *sqlx.Tx) error {
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

// selectFindings begins a query for findings.
var selectFindings = `
	SELECT ` + listedColumns + `
	FROM findings LEFT JOIN epss_data e ON e.cve_id = findings.cve_id
	`

// kevRank and likelihood order findings by the risk of their CVE, which is joined as e and may be missing.
const (
	kevRank    = `CASE WHEN e.kev THEN 1 ELSE 0 END`
	likelihood = `COALESCE(e.probability, 0)`
)
