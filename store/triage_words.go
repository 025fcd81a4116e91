package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// decidedWords are the words that hold in a scan's project, by fingerprint.
func decidedWords(ctx context.Context, tx *sqlx.Tx, scan core.Scan) (map[string]core.Word, error) {
	var words []core.Word
	err := tx.SelectContext(ctx, &words, tx.Rebind(`
		SELECT * FROM triage_words WHERE source_platform = ? AND project_name = ? ORDER BY fingerprint, id`),
		scan.SourcePlatform, scan.ProjectName)
	decided := map[string]core.Word{}
	for len(words) > 0 {
		n := 1
		for n < len(words) && words[n].Fingerprint == words[0].Fingerprint {
			n++
		}
		decided[words[0].Fingerprint] = *core.Decide(words[:n])
		words = words[n:]
	}
	return decided, err
}

// putWords replaces what is held of a finding; fresh ids keep the order in which it was said.
func (s *Store) putWords(ctx context.Context, tx *sqlx.Tx, scan core.Scan, fingerprint string, words []core.Word) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		DELETE FROM triage_words WHERE source_platform = ? AND project_name = ? AND fingerprint = ?`),
		scan.SourcePlatform, scan.ProjectName, fingerprint)
	if err != nil || len(words) == 0 {
		return err
	}
	now := s.clock()
	for i := range words {
		words[i].SourcePlatform, words[i].ProjectName = scan.SourcePlatform, scan.ProjectName
		if words[i].Timestamp.IsZero() {
			words[i].Timestamp = now
		}
	}
	_, err = tx.NamedExecContext(ctx, `
		INSERT INTO triage_words (source_platform, project_name, fingerprint, source, decision, author, comment,
			finding_id, timestamp)
		VALUES (:source_platform, :project_name, :fingerprint, :source, :decision, :author, :comment,
			:finding_id, :timestamp)`, words)
	return err
}

// recordCarried enters into the history of a job's new findings what was decided about them in other scans.
func (s *Store) recordCarried(ctx context.Context, tx *sqlx.Tx, job core.Job, decided map[string]core.Word) error {
	if len(decided) == 0 {
		return nil
	}
	var findings []core.Finding
	err := tx.SelectContext(ctx, &findings, tx.Rebind(`
		SELECT id, fingerprint FROM findings
		WHERE job_id = ? AND triage_decision IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM triage_events e WHERE e.finding_id = findings.id)`), job.ID)
	if err != nil {
		return err
	}
	events := make([]core.TriageEvent, len(findings))
	for i, f := range findings {
		word := decided[f.Fingerprint]
		events[i] = carried(core.TriageEvent{
			FindingID: word.FindingID, Origin: word.Source, Author: word.Author, Decision: &word.Decision,
			Comment: word.Comment, Timestamp: s.clock(),
		}, f.ID)
	}
	return recordEvents(ctx, tx, events)
}

// updateTriaged removes the findings that a job had before, but for those that it reports again and that somebody spoke
// about: they keep their ids and history. It returns the findings that are left to insert.
func updateTriaged(ctx context.Context, tx *sqlx.Tx, job core.Job, findings []core.Finding) ([]core.Finding, error) {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		DELETE FROM findings WHERE job_id = ? AND NOT EXISTS (SELECT 1 FROM triage_events e
			WHERE e.finding_id = findings.id AND e.source <> 'carried')`), job.ID)
	if err != nil {
		return nil, err
	}
	var triaged []core.Finding
	err = tx.SelectContext(ctx, &triaged, tx.Rebind(`SELECT id, fingerprint FROM findings WHERE job_id = ?`), job.ID)
	if err != nil || len(triaged) == 0 {
		return findings, err
	}
	kept := make(map[string]int64, len(triaged))
	for _, f := range triaged {
		kept[f.Fingerprint] = f.ID
	}
	fresh := make([]core.Finding, 0, len(findings))
	for _, f := range findings {
		if f.ID = kept[f.Fingerprint]; f.ID == 0 {
			fresh = append(fresh, f)
			continue
		}
		delete(kept, f.Fingerprint)
		if err := updateFinding(ctx, tx, f); err != nil {
			return nil, err
		}
	}
	for _, id := range kept {
		if _, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM findings WHERE id = ?`), id); err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

// updateFinding writes what a report says of a finding, not what was said about it.
func updateFinding(ctx context.Context, tx *sqlx.Tx, f core.Finding) error {
	_, err := tx.NamedExecContext(ctx, `
		UPDATE findings SET tool = :tool, line = :line, end_line = :end_line, severity = :severity, title = :title,
			message = :message, cve_id = :cve_id, cwe = :cwe, help_uri = :help_uri, snippet = :snippet,
			baseline_state = :baseline_state, suppressed = :suppressed, triage_decision = :triage_decision
		WHERE id = :id`, f)
	return err
}
