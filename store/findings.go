package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/catalog"
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

// listedColumns are a finding's with what is known about its CVE, and whether it is dismissed; a probability of 0 means that EPSS has
// no score of it, as of the newest in KEV.
var listedColumns = sqldb.Qualify("findings", findingColumns) + `, NULLIF(e.probability, 0) AS epss_probability,
	CASE WHEN e.probability > 0 THEN e.percentile END AS epss_percentile, COALESCE(e.kev, FALSE) AS kev,
	(SELECT number FROM alerts WHERE alerts.id = findings.alert_id) AS alert_number, ` + dismissed + ` AS dismissed,
	CASE WHEN findings.triage_decision = 'TP' THEN ` + prevailingReason + ` ELSE '' END AS reason`

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
	return list, s.present(ctx, scan, list, f.BaselineState)
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

// whereFixed compares scanner by scanner, and only those that completed in both scans. What is in history is never fixed.
func whereFixed(where *sqldb.Conditions, scan core.Scan) {
	where.Add(true, `findings.commit_sha = ''`)
	where.Add(true, `job_id IN (SELECT old.id
		FROM scan_jobs fresh JOIN scan_jobs old ON old.scan_id = fresh.baseline_scan_id AND old.scanner = fresh.scanner
		WHERE fresh.scan_id = ? AND old.state = 'completed' AND fresh.state = 'completed')`, scan.ID)
	where.Add(true, `NOT EXISTS (SELECT 1 FROM findings still JOIN scan_jobs fresh ON fresh.id = still.job_id
		JOIN scan_jobs old ON old.scanner = fresh.scanner
		WHERE still.scan_id = ? AND still.alert_id = findings.alert_id AND old.id = findings.job_id)`, scan.ID)
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
		SELECT ` + listedColumns + `
		FROM findings LEFT JOIN epss_data e ON e.cve_id = findings.cve_id
		WHERE findings.id IN (
			SELECT findings.id FROM findings LEFT JOIN epss_data e ON e.cve_id = findings.cve_id
			` + where.SQL() + ` ORDER BY ` + urgency + ` LIMIT ? OFFSET ?)
		ORDER BY ` + urgency)
	if err := s.db.SelectContext(ctx, &list, query, append(where.Args, page.Limit, page.Offset)...); err != nil {
		return nil, fmt.Errorf("paging findings: %w", sqldb.Classify(err))
	}
	return list, s.present(ctx, scan, list, page.State)
}

// present says of listed findings what they are for their scan, in a list of some state or of all.
func (s *Store) present(ctx context.Context, scan core.Scan, list []core.Finding, state core.BaselineState) error {
	for i := range list {
		if state == core.Absent {
			list[i].BaselineState, list[i].MatchedBy = core.Absent, ""
		}
	}
	return tellUnresolved(ctx, s.db, scan, list)
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
	accepts := `FROM findings WHERE scan_id = ? AND ` + truePositives + ` AND suppressed IS NULL
		AND ` + dismissedReal + ` GROUP BY severity, baseline_state`
	err := s.db.SelectContext(ctx, &tallies, s.db.Rebind(`
		SELECT severity, baseline_state, dismissed, SUM(alike) AS n FROM (
			SELECT severity, baseline_state, COALESCE(triage_decision, '') = 'FP' AS dismissed, COUNT(*) AS alike
			FROM findings WHERE scan_id = ? GROUP BY baseline_state, severity, triage_decision
			UNION ALL SELECT severity, baseline_state, FALSE, -COUNT(*) `+suppressed+`
			UNION ALL SELECT severity, baseline_state, TRUE, COUNT(*) `+suppressed+`
			UNION ALL SELECT severity, baseline_state, TRUE, -COUNT(*) `+overruled+`
			UNION ALL SELECT severity, baseline_state, FALSE, COUNT(*) `+overruled+`
			UNION ALL SELECT severity, baseline_state, FALSE, -COUNT(*) `+accepts+`
			UNION ALL SELECT severity, baseline_state, TRUE, COUNT(*) `+accepts+`) counted
		GROUP BY severity, baseline_state, dismissed HAVING SUM(alike) > 0`),
		scan.ID, scan.ID, scan.ID, scan.ID, scan.ID, scan.ID, scan.ID)
	if err != nil {
		return nil, fmt.Errorf("counting findings: %w", sqldb.Classify(err))
	}
	return tallies, nil
}

// dismissed is core.FindingGroup.Dismissed for lists, which page through more rows than are worth loading. A test compares
// the two on random findings.
var dismissed = `(findings.suppressed IS NOT NULL
	OR COALESCE(findings.triage_decision, '') = 'FP' AND NOT (` + beyondAI + ` AND ` + byAI + `)
	OR COALESCE(findings.triage_decision, '') = 'TP' AND ` + dismissedReal + `)`

// prevailingReason is why the decision that holds on a finding's alert dismisses it, and dismissedReal tells whether it does so though
// the finding is real.
var (
	prevailingReason = catalog.ReasonOf(`findings.alert_id`)
	dismissedReal    = prevailingReason + ` NOT IN ('', 'false_positive')`
)

// beyondAI is core.Finding.AIMayDismiss, negated.
const beyondAI = `(findings.severity = 'Critical' OR COALESCE(findings.red_team_success, FALSE)
	OR EXISTS (SELECT 1 FROM epss_data exploited WHERE exploited.cve_id = findings.cve_id AND exploited.kev))`

// byAI is true where nobody but an AI decided FP.
const byAI = `COALESCE((SELECT MAX(CASE w.source WHEN 'ai' THEN 1 ELSE 2 END)
	FROM alert_decisions w WHERE w.alert_id = findings.alert_id AND w.decision = 'FP'), 0) = 1`

// falsePositives finds those of a scan by the index of its findings, in which the decision is the fourth column.
const falsePositives = inIndex + `findings.triage_decision = 'FP'`

// truePositives finds those that are real, and decidedOnes both.
const (
	truePositives = inIndex + `findings.triage_decision = 'TP'`
	decidedOnes   = inIndex + `findings.triage_decision IN ('FP', 'TP')`
	inIndex       = `findings.baseline_state IN ('new', 'unchanged', 'absent')
	AND findings.severity IN ('Critical', 'High', 'Medium', 'Low') AND `
)

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

// reported are the columns that a report fills, of new findings and of those that it changes.
var reported = []struct {
	name  string
	value func(*core.Finding) any
}{
	{"tool", func(f *core.Finding) any { return f.Tool }},
	{"rule_id", func(f *core.Finding) any { return f.RuleID }},
	{"file", func(f *core.Finding) any { return f.File }},
	{"line", func(f *core.Finding) any { return f.Line }},
	{"end_line", func(f *core.Finding) any { return f.EndLine }},
	{"severity", func(f *core.Finding) any { return string(f.Severity) }},
	{"title", func(f *core.Finding) any { return f.Title }},
	{"message", func(f *core.Finding) any { return f.Message }},
	{"cve_id", func(f *core.Finding) any { return f.CVEID }},
	{"vulnerability_ids", func(f *core.Finding) any { return f.VulnerabilityIDs }},
	{"cwe", func(f *core.Finding) any { return f.CWE }},
	{"help_uri", func(f *core.Finding) any { return f.HelpURI }},
	{"snippet", func(f *core.Finding) any { return f.Snippet }},
	{"commit_sha", func(f *core.Finding) any { return f.Commit }},
	{"anchor", func(f *core.Finding) any { return f.Anchor }},
	{"secret_hash", func(f *core.Finding) any { return f.SecretHash }},
	{"baseline_state", func(f *core.Finding) any { return string(f.BaselineState) }},
	{"matched_by", func(f *core.Finding) any { return f.MatchedBy }},
	{"suppressed", func(f *core.Finding) any { return f.Suppressed }},
	{"unresolved", func(f *core.Finding) any { return f.Unresolved }},
	{"triage_decision", func(f *core.Finding) any { return (*string)(f.TriageDecision) }},
}

func reportedNames() (names []string) {
	for _, column := range reported {
		names = append(names, column.name)
	}
	return names
}

// keptFinding is a finding as it is kept with the contents that it is in.
type keptFinding struct {
	Tool, Rule, File, Title, Message, CWE, Snippet, Fingerprint string        `json:",omitempty"`
	Hash, Former                                                string        `json:",omitempty"`
	Severity                                                    core.Severity `json:",omitempty"`
	Line, EndLine                                               int           `json:",omitempty"`
}

// keptContents are core.Contents as JSON.
type keptContents struct {
	Findings []keptFinding   `json:",omitempty"`
	Left     []core.Omission `json:",omitempty"`
}

// contentsRow is a row of searched_contents.
type contentsRow struct {
	ProjectID int64  `db:"project_id"`
	Rules     string `db:"rules"`
	Blob      string `db:"blob"`
	Class     string `db:"class"`
	Result    string `db:"result"`
}

// IsSearched tells whether a commit of a project, and all that came before it, was searched with rules of a version.
func (s *Store) IsSearched(ctx context.Context, project int64, sha, rules string) (bool, error) {
	searched, err := s.FindSearched(ctx, project, rules, sha)
	return len(searched) > 0, err
}

// FindSearched returns those of a few commits of a project that were searched with rules of a version, with all that came before
// them. One that is named twice is returned twice.
func (s *Store) FindSearched(ctx context.Context, project int64, rules string, shas ...string) (searched []string, err error) {
	// A list would be looked for among all commits of the project, by an engine without statistics.
	each := slices.Repeat([]string{`SELECT commit_sha FROM searched_commits WHERE project_id = ? AND rules = ? AND commit_sha = ?`}, len(shas))
	var args []any
	for _, sha := range shas {
		args = append(args, project, rules, sha)
	}
	err = s.db.SelectContext(ctx, &searched, s.db.Rebind(strings.Join(each, ` UNION ALL `)), args...)
	if err != nil {
		return nil, fmt.Errorf("looking for searched commits: %w", sqldb.Classify(err))
	}
	return searched, nil
}

// ListSearched returns what is kept of contents in a project that were searched with rules of a version.
func (s *Store) ListSearched(ctx context.Context, project int64, rules string) (core.SearchedContents, error) {
	var rows []contentsRow
	err := s.db.SelectContext(ctx, &rows, s.db.Rebind(`
		SELECT blob, class, result FROM searched_contents WHERE project_id = ? AND rules = ?`), project, rules)
	if err != nil {
		return nil, fmt.Errorf("listing searched contents: %w", sqldb.Classify(err))
	}
	known := make(core.SearchedContents, len(rows))
	for _, row := range rows {
		contents, err := unpackContents(row.Result)
		if err != nil {
			return nil, fmt.Errorf("reading what was found in %s: %w", row.Blob, err)
		}
		known[core.ContentsKey{Blob: row.Blob, Class: row.Class}] = contents
	}
	return known, nil
}

// RecordSearch keeps that the commit of a scan was searched with all that came before it, and what was found in contents that were
// new, together: a commit counts as searched only with its findings. since is when the search began to read what earlier ones came
// to, zero if it relied on none: when retention has removed that meanwhile it returns core.ErrConflict.
func (s *Store) RecordSearch(
	ctx context.Context, scan core.Scan, rules string, fresh core.SearchedContents, since time.Time,
) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		err := s.putContents(ctx, tx, scan, rules, fresh)
		if err != nil {
			return err
		}
		_, err = sqldb.Exec(ctx, tx, `
			INSERT INTO searched_commits (project_id, rules, commit_sha, searched_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (project_id, rules, commit_sha) DO UPDATE SET searched_at = excluded.searched_at`,
			scan.ProjectID, rules, scan.CommitSHA, s.clock.Timestamp())
		if err != nil || since.IsZero() {
			return err
		}
		return wantEarlier(ctx, tx, scan, rules, since)
	})
	if err != nil {
		return fmt.Errorf("recording a search: %w", sqldb.Classify(err))
	}
	return nil
}

// RecordContents keeps what was found in contents, and which were clean, of a search that did not come to its end.
func (s *Store) RecordContents(ctx context.Context, scan core.Scan, rules string, fresh core.SearchedContents) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error { return s.putContents(ctx, tx, scan, rules, fresh) })
	if err != nil {
		return fmt.Errorf("recording a part of a search: %w", sqldb.Classify(err))
	}
	return nil
}

func (s *Store) putContents(ctx context.Context, tx *sqlx.Tx, scan core.Scan, rules string, fresh core.SearchedContents) error {
	rows := make([]contentsRow, 0, len(fresh))
	for key, contents := range fresh {
		result, err := packContents(contents)
		if err != nil {
			return err
		}
		rows = append(rows, contentsRow{scan.ProjectID, rules, key.Blob, key.Class, result})
	}
	// In one order, so that two transactions do not wait for each other's rows.
	slices.SortFunc(rows, func(a, b contentsRow) int { return cmp.Or(cmp.Compare(a.Blob, b.Blob), cmp.Compare(a.Class, b.Class)) })
	given := sqldb.GivenOf("fresh", "project_id BIGINT, rules TEXT, blob TEXT, class TEXT, result TEXT", rows)
	_, err := s.db.ExecGiven(ctx, tx, given, given.Insert(`searched_contents`)+`
		ON CONFLICT (project_id, rules, blob, class) DO UPDATE SET result = excluded.result`)
	return err
}

// ForgetClean removes what is kept of clean contents, once a search has come to its end.
func (s *Store) ForgetClean(ctx context.Context, project int64, rules string) error {
	clean, err := packContents(core.Contents{})
	if err == nil {
		err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
			_, err := sqldb.Exec(ctx, tx, `DELETE FROM searched_contents WHERE project_id = ? AND rules = ? AND result = ?`, project, rules, clean)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("removing clean contents: %w", sqldb.Classify(err))
	}
	return nil
}

// SearchedRules are the rules of a version with which commits of a project were searched.
type SearchedRules struct {
	ProjectID int64  `db:"project_id"`
	Rules     string `db:"rules"`
}

// PruneSearched examines what is kept of searches, the first rules after some, and removes it when the last search with them was
// before a time. It returns how many rows were removed, and the rules to go on after, the zero value when there are none left.
// Commits go first: contents of a searched commit that have no row count as clean. While a scan of the project is open, which may
// be reading the rows, they stay.
func (s *Store) PruneSearched(ctx context.Context, before time.Time, after SearchedRules) (removed int, next SearchedRules, err error) {
	next, err = s.nextSearched(ctx, after)
	for n := 1; err == nil && next.ProjectID != 0 && n > 0; removed += n {
		n, err = s.removeSearched(ctx, next, before)
	}
	if err != nil {
		return removed, SearchedRules{}, fmt.Errorf("pruning searches: %w", sqldb.Classify(err))
	}
	return removed, next, nil
}

// nextSearched also finds contents whose commits went before an interruption.
func (s *Store) nextSearched(ctx context.Context, after SearchedRules) (next SearchedRules, err error) {
	first := func(table string) string {
		return `SELECT project_id, rules FROM (SELECT project_id, rules FROM ` + table + `
			WHERE (project_id, rules) > (?, ?) ORDER BY project_id, rules LIMIT 1) ` + table
	}
	err = s.db.GetContext(ctx, &next, s.db.Rebind(first(`searched_commits`)+` UNION `+first(`searched_contents`)+`
		ORDER BY project_id, rules LIMIT 1`), after.ProjectID, after.Rules, after.ProjectID, after.Rules)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return next, err
}

// removeSearched removes a batch. It locks the project, whose scans cannot be opened nor searches recorded meanwhile.
func (s *Store) removeSearched(ctx context.Context, of SearchedRules, before time.Time) (n int, err error) {
	if used, err := areRulesUsed(ctx, s.db, of, before); err != nil || used {
		return 0, err
	}
	err = s.prune(ctx, func(tx *sqlx.Tx) error {
		if _, err := sqldb.Exec(ctx, tx, `SELECT id FROM projects WHERE id = ? `+s.db.ForUpdate, of.ProjectID); err != nil {
			return err
		}
		if used, err := areRulesUsed(ctx, tx, of, before); err != nil || used {
			return err
		}
		n, err = removeRows(ctx, tx, of, `searched_commits`, `commit_sha`)
		if err == nil && n == 0 {
			n, err = removeRows(ctx, tx, of, `searched_contents`, `blob`)
		}
		return err
	})
	return n, err
}

// areRulesUsed tells whether a search with the rules ended since a time, or a scan of the project is open.
func areRulesUsed(ctx context.Context, q sqlx.ExtContext, of SearchedRules, since time.Time) (used bool, err error) {
	err = sqlx.GetContext(ctx, q, &used, q.Rebind(`
		SELECT EXISTS (SELECT 1 FROM searched_commits WHERE project_id = ? AND rules = ? AND searched_at >= ?)
			OR EXISTS (SELECT 1 FROM scans WHERE project_id = ? AND status IN ('pending', 'processing'))`),
		of.ProjectID, of.Rules, since.UTC(), of.ProjectID)
	return used, err
}

// removeRows removes the rows of a table that have one of the first keys. Given these, PostgreSQL finds the rows by them also
// without statistics.
func removeRows(ctx context.Context, tx *sqlx.Tx, of SearchedRules, table, key string) (int, error) {
	var keys []string
	err := tx.SelectContext(ctx, &keys, tx.Rebind(`
		SELECT `+key+` FROM `+table+` WHERE project_id = ? AND rules = ? LIMIT ?`), of.ProjectID, of.Rules, pruneBatch)
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	n, err := sqldb.ExecIn(ctx, tx, `
		DELETE FROM `+table+` WHERE project_id = ? AND rules = ? AND `+key+` IN (?)`, of.ProjectID, of.Rules, keys)
	return int(n), err
}

// wantEarlier fails when no earlier search with the rules is kept that a search could have relied on. Retention, which removes all
// of them, waits for the transaction because of the project of rows that it has added.
func wantEarlier(ctx context.Context, tx *sqlx.Tx, scan core.Scan, rules string, since time.Time) error {
	var kept bool
	err := tx.GetContext(ctx, &kept, tx.Rebind(`
		SELECT EXISTS (SELECT 1 FROM searched_commits WHERE project_id = ? AND rules = ? AND searched_at <= ? AND commit_sha <> ?)`),
		scan.ProjectID, rules, since.UTC(), scan.CommitSHA)
	if err == nil && !kept {
		err = fmt.Errorf("what it relied on was removed: %w", core.ErrConflict)
	}
	return err
}

func packContents(c core.Contents) (string, error) {
	kept := keptContents{Left: c.Coverage.Left}
	for _, f := range c.Findings {
		kept.Findings = append(kept.Findings, keptFinding{
			f.Tool, f.RuleID, f.File, f.Title, f.Message, f.CWE, f.Snippet, f.PartialFingerprint, f.SecretHash, f.Former,
			f.Severity, f.Line, f.EndLine,
		})
	}
	text, err := json.Marshal(kept)
	return string(text), err
}

func unpackContents(text string) (c core.Contents, err error) {
	var kept keptContents
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		return c, err
	}
	c.Coverage.Left = kept.Left
	for _, f := range kept.Findings {
		c.Findings = append(c.Findings, core.Finding{
			Tool: f.Tool, RuleID: f.Rule, File: f.File, Title: f.Title, Message: f.Message, CWE: f.CWE, Snippet: f.Snippet,
			PartialFingerprint: f.Fingerprint, SecretHash: f.Hash, Former: f.Former, Severity: f.Severity, Line: f.Line,
			EndLine: f.EndLine,
		})
	}
	return c, nil
}
