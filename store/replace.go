package store

import (
	"context"
	"reflect"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// rowsPerStatement keeps one statement below PostgreSQL's 65,535 and SQLite's 32,766 parameters.
const rowsPerStatement = 1000

// replaceFindings makes a job's findings those of its report. A finding that the job had before keeps its id, and with
// it its links and history; a report that says nothing new writes nothing.
func (s *Store) replaceFindings(ctx context.Context, tx *sqlx.Tx, d *delivered) error {
	if err := keepFindings(ctx, tx, d); err != nil {
		return err
	}
	var fresh []int
	for i := 0; len(d.ids) > 0 && i < d.Len(); i++ {
		if d.ids[i] == 0 {
			fresh = append(fresh, i)
		}
	}
	return s.load(ctx, tx, bulk{
		table: "findings",
		columns: []string{
			"scan_id", "job_id", "tool", "rule_id", "file", "line", "end_line", "severity", "title", "message", "cve_id",
			"cwe", "help_uri", "snippet", "fingerprint", "anchor", "baseline_state", "suppressed", "triage_decision",
		},
		rows: d.Len() - len(d.ids),
		row: func(i int, values []any) []any {
			if fresh != nil {
				i = fresh[i]
			}
			f := d.at(i)
			d.told.Add(f)
			return append(values, f.ScanID, f.JobID, f.Tool, f.RuleID, f.File, f.Line, f.EndLine, string(f.Severity),
				f.Title, f.Message, f.CVEID, f.CWE, f.HelpURI, f.Snippet, f.Fingerprint, f.Anchor, string(f.BaselineState),
				f.Suppressed, (*string)(f.TriageDecision))
		},
	})
}

// keepFindings updates what the job has already, notes its ids and removes what it no longer reports.
func keepFindings(ctx context.Context, tx *sqlx.Tx, d *delivered) error {
	gone, changed, err := compareFindings(ctx, tx, d)
	if err != nil {
		return err
	}
	for _, i := range changed {
		if err := updateFinding(ctx, tx, *d.at(i)); err != nil {
			return err
		}
	}
	return deleteFindings(ctx, tx, gone)
}

// compareFindings notes the ids of findings that the job has already, and tells the ids that are gone and the numbers
// of those that changed. It reads row by row, for there may be many.
func compareFindings(ctx context.Context, tx *sqlx.Tx, d *delivered) (gone []int64, changed []int, err error) {
	rows, err := tx.QueryxContext(ctx, tx.Rebind(`SELECT `+findingColumns+` FROM findings WHERE job_id = ?`), d.job.ID)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	var index map[string]int
	for rows.Next() {
		if index == nil {
			index, d.ids = d.index(), make(map[int]int64)
		}
		var before core.Finding
		if err := rows.StructScan(&before); err != nil {
			return nil, nil, err
		}
		i, ok := index[before.Fingerprint]
		if !ok {
			gone = append(gone, before.ID)
			continue
		}
		delete(index, before.Fingerprint)
		d.ids[i] = before.ID
		if !reportedAlike(before, *d.at(i)) {
			changed = append(changed, i)
		}
	}
	return gone, changed, rows.Err()
}

// index finds the numbers of findings by their fingerprints.
func (d *delivered) index() map[string]int {
	index := make(map[string]int, d.Len())
	for i := range d.Len() {
		index[d.at(i).Fingerprint] = i
	}
	return index
}

// reportedAlike tells whether a report says of a finding what it said before; what was said about it does not matter.
func reportedAlike(before, f core.Finding) bool {
	f.AIVerdict, f.AIConfidence, f.AIReasoning = before.AIVerdict, before.AIConfidence, before.AIReasoning
	f.RemediationPatch, f.RedTeamSuccess, f.PartialFingerprint = before.RemediationPatch, before.RedTeamSuccess, ""
	f.Surroundings, f.Code, f.CodeLine = before.Surroundings, before.Code, before.CodeLine
	return reflect.DeepEqual(before, f)
}

func updateFinding(ctx context.Context, tx *sqlx.Tx, f core.Finding) error {
	_, err := tx.NamedExecContext(ctx, `
		UPDATE findings SET tool = :tool, rule_id = :rule_id, file = :file, line = :line, end_line = :end_line,
			severity = :severity, title = :title, message = :message, cve_id = :cve_id, cwe = :cwe, help_uri = :help_uri,
			snippet = :snippet, anchor = :anchor,
			code = CASE WHEN findings.file = :file AND findings.line = :line THEN code ELSE '' END,
			baseline_state = :baseline_state, suppressed = :suppressed, triage_decision = :triage_decision
		WHERE id = :id`, f)
	return err
}

func deleteFindings(ctx context.Context, tx *sqlx.Tx, ids []int64) error {
	for len(ids) > 0 {
		n := min(len(ids), rowsPerStatement)
		query, args, err := sqlx.In(`DELETE FROM findings WHERE id IN (?)`, ids[:n])
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(query), args...); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}
