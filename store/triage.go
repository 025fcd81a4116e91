package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// Triaged is a finding with the scan that it stands in and the word that holds for it, nil where none was said.
type Triaged struct {
	Finding core.Finding
	Scan    core.Scan
	Word    *core.Word
}

// GetFinding finds a finding by its id; core.ErrNotFound when there is none.
func (s *Store) GetFinding(ctx context.Context, id int64) (Triaged, error) {
	found, _, err := getFinding(ctx, s.db, id)
	if err != nil {
		return Triaged{}, fmt.Errorf("getting finding: %w", err)
	}
	return found, nil
}

func getFinding(ctx context.Context, q sqlx.ExtContext, id int64) (found Triaged, words []core.Word, err error) {
	err = sqlx.GetContext(ctx, q, &found.Finding, q.Rebind(selectFindings+`WHERE findings.id = ?`), id)
	if err != nil {
		return found, nil, fmt.Errorf("finding %d: %w", id, classify(err))
	}
	scan := found.Finding.ScanID
	err = sqlx.GetContext(ctx, q, &found.Scan, q.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), scan)
	if err != nil {
		return found, nil, classify(err)
	}
	err = sqlx.SelectContext(ctx, q, &words, q.Rebind(`
		SELECT `+wordColumns+` FROM triage_words
		WHERE source_platform = ? AND project_name = ? AND fingerprint = ?
		ORDER BY id`), found.Scan.SourcePlatform, found.Scan.ProjectName, found.Finding.Fingerprint)
	found.Word = core.Decide(words)
	return found, words, classify(err)
}

// RecordFeedback keeps a person's word on a finding, which holds until a person speaks again. It does all that
// PatchFinding does.
func (s *Store) RecordFeedback(ctx context.Context, feedback core.Feedback) (Triaged, error) {
	return s.triage(ctx, feedback.FindingID, feedback.Statement(), func(tx *sqlx.Tx, _ []core.Word) error {
		feedback.Timestamp = s.clock()
		_, err := tx.NamedExecContext(ctx, `
			INSERT INTO feedbacks (finding_id, user_verdict, comments, author, timestamp)
			VALUES (:finding_id, :user_verdict, :comments, :author, :timestamp)`, feedback)
		return err
	})
}

// WithdrawFeedback takes back what people have decided on a finding, here and in the other scans of the project: what
// machines and the red team have said holds again, as before, or the finding is undecided. core.ErrNotFound when no
// person's decision stands, core.ErrConflict when it is another one than the withdrawal means.
func (s *Store) WithdrawFeedback(ctx context.Context, w core.Withdrawal) (Triaged, error) {
	return s.triage(ctx, w.FindingID, w.Statement(), func(tx *sqlx.Tx, before []core.Word) error {
		word, err := w.Word(before)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, tx.Rebind(`
			UPDATE feedbacks SET withdrawn_at = ? WHERE finding_id = ? AND withdrawn_at IS NULL`),
			s.clock(), word.FindingID)
		return err
	})
}

// PatchFinding makes a statement true of a finding. Its decision is carried to the same finding in the other scans of
// the project; the gate is asked again about each, and the commit statuses change in the same transaction.
// core.ErrNotFound when there is no such finding, core.ErrInvalid when the statement breaks a bound.
func (s *Store) PatchFinding(ctx context.Context, id int64, said core.Statement) (Triaged, error) {
	return s.triage(ctx, id, said, func(*sqlx.Tx, []core.Word) error { return nil })
}

// triage takes a statement in, and in the same transaction does what also adds, which hears of the words before.
func (s *Store) triage(
	ctx context.Context, id int64, said core.Statement, also func(tx *sqlx.Tx, before []core.Word) error,
) (Triaged, error) {
	var after Triaged
	err := said.Check()
	if err == nil {
		err = s.changeInTurn(ctx, s.triaging, func(tx *sqlx.Tx) error {
			before, err := s.hear(ctx, tx, id, said)
			if err == nil {
				err = also(tx, before)
			}
			if err == nil {
				after, _, err = getFinding(ctx, tx, id)
			}
			return err
		})
	}
	if err != nil {
		return Triaged{}, fmt.Errorf("triaging finding: %w", err)
	}
	return after, nil
}

// maxTriaging bounds the transactions that wait for a project with a connection in their hands; intake needs some too.
const maxTriaging = 4

// maxReporting bounds the reports from outside that are stored at a time: the database does not get done with more of
// them for it, and webhooks would wait behind all.
const maxReporting = 4

// changeInTurn is changeAgain, when few others are at the same kind of work, for which places has room.
func (s *Store) changeInTurn(ctx context.Context, places chan struct{}, work func(*sqlx.Tx) error) error {
	if err := enter(ctx, places); err != nil {
		return classify(err)
	}
	defer func() { <-places }()
	return s.changeAgain(ctx, work)
}

// hear takes a statement in: the finding and what holds of it, history, the same finding elsewhere, and all verdicts. It
// returns the words that stood before.
func (s *Store) hear(ctx context.Context, tx *sqlx.Tx, id int64, said core.Statement) (stood []core.Word, err error) {
	if err := s.lockProjectOf(ctx, tx, id); err != nil {
		return nil, err
	}
	found, stood, err := getFinding(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	finding := found.Finding
	words, news := said.Apply(&finding, stood)
	if len(news) == 0 {
		return stood, nil
	}
	if err := s.putWords(ctx, tx, found.Scan, finding.Fingerprint, words); err != nil {
		return nil, err
	}
	_, err = tx.NamedExecContext(ctx, `
		UPDATE findings SET ai_verdict = :ai_verdict, ai_confidence = :ai_confidence, ai_reasoning = :ai_reasoning,
			remediation_patch = :remediation_patch, red_team_success = :red_team_success
		WHERE id = :id`, finding)
	if err != nil {
		return nil, err
	}
	changes, err := json.Marshal(news)
	if err != nil {
		return nil, err
	}
	event := core.TriageEvent{
		FindingID: id, Source: said.Source, Origin: said.Source, Author: said.Author, Changes: string(changes),
		Decision: finding.TriageDecision, Comment: said.Comment, Timestamp: s.clock(),
	}
	if err := recordEvents(ctx, tx, []core.TriageEvent{event}); err != nil {
		return nil, err
	}
	if err := s.audit(ctx, tx, said.Audit(found.Scan, finding, news)); err != nil {
		return nil, err
	}
	before := found.Word
	found.Finding, found.Word = finding, core.Decide(words)
	return stood, s.spread(ctx, tx, found, before, event)
}

// lockProjectOf lets one transaction at a time triage a project, and no report in that would miss the decision.
func (s *Store) lockProjectOf(ctx context.Context, tx *sqlx.Tx, finding int64) error {
	var scan int64
	err := tx.GetContext(ctx, &scan, tx.Rebind(`SELECT scan_id FROM findings WHERE id = ?`), finding)
	if err != nil {
		return fmt.Errorf("finding %d: %w", finding, classify(err))
	}
	return lockRow(ctx, tx, s.dialect.lockProject, scan)
}

// lockForReport locks a scan whose findings are about to change. The project comes first, as in triage. Of a run and the
// one that it is compared with, the later one sees the other.
func (s *Store) lockForReport(ctx context.Context, tx *sqlx.Tx, scan int64) (core.Scan, error) {
	for _, lock := range []string{s.dialect.shareProject, s.dialect.lockCommit, s.dialect.shareBase} {
		if err := lockRow(ctx, tx, lock, scan); err != nil {
			return core.Scan{}, err
		}
	}
	return s.lockScan(ctx, tx, scan)
}

func lockRow(ctx context.Context, tx *sqlx.Tx, lock string, id int64) error {
	if lock == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(lock), id)
	return err
}
