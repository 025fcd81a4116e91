package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// decidedWords are the words that hold in a scan's project, by fingerprint.
func decidedWords(ctx context.Context, tx *sqlx.Tx, scan core.Scan) (map[string]core.Word, error) {
	var words []core.Word
	err := tx.SelectContext(ctx, &words, tx.Rebind(`
		SELECT `+wordColumns+` FROM triage_words WHERE source_platform = ? AND project_name = ? ORDER BY fingerprint, id`),
		scan.SourcePlatform, scan.ProjectName)
	return decideEach(words), err
}

// decideEach picks the word that holds of each finding; words are in order of fingerprint and id.
func decideEach(words []core.Word) map[string]core.Word {
	decided := map[string]core.Word{}
	for len(words) > 0 {
		n := 1
		for n < len(words) && words[n].Fingerprint == words[0].Fingerprint {
			n++
		}
		decided[words[0].Fingerprint] = *core.Decide(words[:n])
		words = words[n:]
	}
	return decided
}

// ListWords returns the word that holds of each of a scan's findings of which something was said, by fingerprint.
func (s *Store) ListWords(ctx context.Context, scan core.Scan, fingerprints []string) (map[string]core.Word, error) {
	if len(fingerprints) == 0 {
		return nil, nil
	}
	query, args, err := sqlx.In(`
		SELECT `+wordColumns+` FROM triage_words WHERE source_platform = ? AND project_name = ? AND fingerprint IN (?)
		ORDER BY fingerprint, id`, scan.SourcePlatform, scan.ProjectName, fingerprints)
	var words []core.Word
	if err == nil {
		err = s.db.SelectContext(ctx, &words, s.db.Rebind(query), args...)
	}
	if err != nil {
		return nil, fmt.Errorf("listing words: %w", classify(err))
	}
	return decideEach(words), nil
}

// putWords replaces what is held of a finding. Words that stay keep their ids, by which those who saw them name them; new
// ones come last, and ids keep the order in which it was said.
func (s *Store) putWords(
	ctx context.Context, tx *sqlx.Tx, scan core.Scan, fingerprint string, words []core.Word,
) error {
	kept, fresh := []int64{0}, []core.Word{}
	for _, word := range words {
		if word.ID != 0 {
			kept = append(kept, word.ID)
			continue
		}
		word.SourcePlatform, word.ProjectName, word.Timestamp = scan.SourcePlatform, scan.ProjectName, s.clock()
		fresh = append(fresh, word)
	}
	query, args, err := sqlx.In(`
		DELETE FROM triage_words WHERE source_platform = ? AND project_name = ? AND fingerprint = ? AND id NOT IN (?)`,
		scan.SourcePlatform, scan.ProjectName, fingerprint, kept)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, tx.Rebind(query), args...); err != nil || len(fresh) == 0 {
		return err
	}
	_, err = tx.NamedExecContext(ctx, `
		INSERT INTO triage_words (source_platform, project_name, fingerprint, source, decision, author, comment,
			finding_id, timestamp)
		VALUES (:source_platform, :project_name, :fingerprint, :source, :decision, :author, :comment,
			:finding_id, :timestamp)`, fresh)
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
