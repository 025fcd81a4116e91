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
		SELECT `+wordColumns+` FROM triage_words WHERE source_platform = ? AND project_name = ? ORDER BY fingerprint, id`),
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
func (s *Store) putWords(
	ctx context.Context, tx *sqlx.Tx, scan core.Scan, fingerprint string, words []core.Word,
) error {
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
