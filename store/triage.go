package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Triaged is a finding with the scan that it stands in and the word that holds for it, nil where none was said.
type Triaged struct {
	Finding  core.Finding
	Scan     core.Scan
	Decision *core.TriageDecision
}

// GetFinding finds a finding by its id; core.ErrNotFound when there is none.
func (s *Store) GetFinding(ctx context.Context, id int64) (Triaged, error) {
	found, _, err := getFinding(ctx, s.db, id)
	if err != nil {
		return Triaged{}, fmt.Errorf("getting finding: %w", err)
	}
	return found, nil
}

func getFinding(ctx context.Context, q sqlx.ExtContext, id int64) (found Triaged, words []core.TriageDecision, err error) {
	err = sqlx.GetContext(ctx, q, &found.Finding, q.Rebind(selectFindings+`WHERE findings.id = ?`), id)
	if err != nil {
		return found, nil, fmt.Errorf("finding %d: %w", id, sqldb.Classify(err))
	}
	scan := found.Finding.ScanID
	err = sqlx.GetContext(ctx, q, &found.Scan, q.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), scan)
	if err != nil {
		return found, nil, sqldb.Classify(err)
	}
	err = sqlx.SelectContext(ctx, q, &words, q.Rebind(`
		SELECT `+decisionColumns+` FROM triage_decisions
		WHERE source_platform = ? AND project_name = ? AND fingerprint = ?
		ORDER BY id`), found.Scan.SourcePlatform, found.Scan.ProjectName, found.Finding.Fingerprint)
	found.Decision = core.PrevailingDecision(words)
	return found, words, sqldb.Classify(err)
}

// RecordFeedback keeps a person's word on a finding, which holds until a person speaks again. It does all that
// PatchFinding does.
func (s *Store) RecordFeedback(ctx context.Context, feedback core.Feedback) (Triaged, error) {
	return s.triage(ctx, feedback.FindingID, feedback.Update(), func(tx *sqlx.Tx, _ []core.TriageDecision) error {
		feedback.Timestamp = s.clock.Timestamp()
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
	return s.triage(ctx, w.FindingID, w.Update(), func(tx *sqlx.Tx, before []core.TriageDecision) error {
		word, err := w.Pick(before)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, tx.Rebind(`
			UPDATE feedbacks SET withdrawn_at = ? WHERE finding_id = ? AND withdrawn_at IS NULL`),
			s.clock.Timestamp(), word.FindingID)
		return err
	})
}

// PatchFinding makes a statement true of a finding. Its decision is carried to the same finding in the other scans of
// the project; the gate is asked again about each, and the commit statuses change in the same transaction.
// core.ErrNotFound when there is no such finding, core.ErrInvalid when the statement breaks a bound.
func (s *Store) PatchFinding(ctx context.Context, id int64, said core.TriageUpdate) (Triaged, error) {
	return s.triage(ctx, id, said, func(*sqlx.Tx, []core.TriageDecision) error { return nil })
}

// triage takes a statement in, and in the same transaction does what also adds, which hears of the words before.
func (s *Store) triage(
	ctx context.Context, id int64, said core.TriageUpdate, also func(tx *sqlx.Tx, before []core.TriageDecision) error,
) (Triaged, error) {
	var after Triaged
	err := said.Check()
	if err == nil {
		err = s.writeIn(ctx, s.triaging, func(tx *sqlx.Tx) error {
			before, err := s.applyUpdate(ctx, tx, id, said)
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

// applyUpdate takes a statement in: the finding and what holds of it, history, the same finding elsewhere, and all verdicts. It
// returns the words that stood before.
func (s *Store) applyUpdate(ctx context.Context, tx *sqlx.Tx, id int64, said core.TriageUpdate) (stood []core.TriageDecision, err error) {
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
	if err := s.putDecisions(ctx, tx, found.Scan, finding.Fingerprint, words); err != nil {
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
		Decision: finding.TriageDecision, Comment: said.Comment, Timestamp: s.clock.Timestamp(),
	}
	if err := recordEvents(ctx, tx, []core.TriageEvent{event}); err != nil {
		return nil, err
	}
	if err := s.audit(ctx, tx, said.AuditEvent(found.Scan, finding, news)); err != nil {
		return nil, err
	}
	before := found.Decision
	found.Finding, found.Decision = finding, core.PrevailingDecision(words)
	return stood, s.propagate(ctx, tx, found, before, event)
}

// lockProjectOf lets one transaction at a time triage a project, and no report in that would miss the decision.
func (s *Store) lockProjectOf(ctx context.Context, tx *sqlx.Tx, finding int64) error {
	var scan int64
	err := tx.GetContext(ctx, &scan, tx.Rebind(`SELECT scan_id FROM findings WHERE id = ?`), finding)
	if err != nil {
		return fmt.Errorf("finding %d: %w", finding, sqldb.Classify(err))
	}
	return s.db.LockKey(ctx, tx, lockOfProject, ofScan, scan)
}

// maxPropagated is in how many scans, the newest, a decision reaches the same finding.
const maxPropagated = 200

// propagate takes the decision on a finding to the same finding in the other scans that commits show, and judges all of
// them and its own scan again. before is the word that held until now: whoever takes an AI's word over gives it more
// weight, and whoever withdraws that takes it away.
func (s *Store) propagate(
	ctx context.Context, tx *sqlx.Tx, found Triaged, before *core.TriageDecision, event core.TriageEvent,
) error {
	finding, scan := found.Finding, found.Scan
	weighed := before != nil && found.Decision != nil && (before.Source == core.ByAI) != (found.Decision.Source == core.ByAI)
	var moved []core.Finding
	err := tx.SelectContext(ctx, &moved, tx.Rebind(`
		SELECT f.id, f.scan_id FROM findings f
		WHERE f.fingerprint = ? AND (COALESCE(f.triage_decision, '') <> COALESCE(?, '') OR ?)
			AND f.scan_id IN (SELECT s.id FROM scans s
				WHERE s.source_platform = ? AND s.project_name = ? AND (s.id = ? OR `+latestAttempt+`)
					AND EXISTS (SELECT 1 FROM findings same WHERE same.scan_id = s.id AND same.fingerprint = ?)
				ORDER BY CASE WHEN s.id = ? THEN 0 ELSE 1 END, s.id DESC
				LIMIT ?)`),
		finding.Fingerprint, finding.TriageDecision, weighed, scan.SourcePlatform, scan.ProjectName, scan.ID,
		finding.Fingerprint, scan.ID, maxPropagated)
	if err != nil {
		return err
	}
	scans, ids := []int64{scan.ID}, []int64{}
	var events []core.TriageEvent
	for _, f := range moved {
		scans, ids = append(scans, f.ScanID), append(ids, f.ID)
		if f.ID != finding.ID {
			events = append(events, propagated(event, f.ID))
		}
	}
	if err := decideFindings(ctx, tx, ids, finding.TriageDecision); err != nil {
		return err
	}
	if err := recordEvents(ctx, tx, events); err != nil {
		return err
	}
	return s.judgeAll(ctx, tx, scans, scan.ID)
}

// branchHead is true for the newest scan of a branch.
const branchHead = `COALESCE((SELECT newer.id FROM scans newer
	WHERE newer.source_platform = s.source_platform AND newer.project_name = s.project_name
		AND newer.branch >= s.branch AND newer.branch <= s.branch AND NOT newer.stale
	ORDER BY newer.branch DESC, newer.id DESC LIMIT 1), 0) <= s.id`

func decideFindings(ctx context.Context, tx *sqlx.Tx, ids []int64, decision *core.Triage) error {
	if len(ids) == 0 {
		return nil
	}
	query, args, err := sqlx.In(`UPDATE findings SET triage_decision = ? WHERE id IN (?)`, decision, ids)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(query), args...)
	return err
}

var decisionColumns = sqldb.ColumnsOf[core.TriageDecision]()

// ListDecisions returns the word that holds of each of a scan's findings of which something was said, by fingerprint.
func (s *Store) ListDecisions(ctx context.Context, scan core.Scan, fingerprints []string) (map[string]core.TriageDecision, error) {
	if len(fingerprints) == 0 {
		return nil, nil
	}
	query, args, err := sqlx.In(`
		SELECT `+decisionColumns+` FROM triage_decisions WHERE source_platform = ? AND project_name = ? AND fingerprint IN (?)
		ORDER BY fingerprint, id`, scan.SourcePlatform, scan.ProjectName, fingerprints)
	var words []core.TriageDecision
	if err == nil {
		err = s.db.SelectContext(ctx, &words, s.db.Rebind(query), args...)
	}
	if err != nil {
		return nil, fmt.Errorf("listing words: %w", sqldb.Classify(err))
	}
	return decideEach(words), nil
}

// decisionsIn are the words that hold in a scan's project, by fingerprint.
func decisionsIn(ctx context.Context, tx *sqlx.Tx, scan core.Scan) (map[string]core.TriageDecision, error) {
	var words []core.TriageDecision
	err := tx.SelectContext(ctx, &words, tx.Rebind(`
		SELECT `+decisionColumns+` FROM triage_decisions WHERE source_platform = ? AND project_name = ? ORDER BY fingerprint, id`),
		scan.SourcePlatform, scan.ProjectName)
	return decideEach(words), err
}

// decideEach picks the word that holds of each finding; words are in order of fingerprint and id.
func decideEach(words []core.TriageDecision) map[string]core.TriageDecision {
	decided := map[string]core.TriageDecision{}
	for len(words) > 0 {
		n := 1
		for n < len(words) && words[n].Fingerprint == words[0].Fingerprint {
			n++
		}
		decided[words[0].Fingerprint] = *core.PrevailingDecision(words[:n])
		words = words[n:]
	}
	return decided
}

// putDecisions replaces what is held of a finding. Words that stay keep their ids, by which those who saw them name them; new
// ones come last, and ids keep the order in which it was said.
func (s *Store) putDecisions(
	ctx context.Context, tx *sqlx.Tx, scan core.Scan, fingerprint string, words []core.TriageDecision,
) error {
	kept, fresh := []int64{0}, []core.TriageDecision{}
	for _, word := range words {
		if word.ID != 0 {
			kept = append(kept, word.ID)
			continue
		}
		word.SourcePlatform, word.ProjectName, word.Timestamp = scan.SourcePlatform, scan.ProjectName, s.clock.Timestamp()
		fresh = append(fresh, word)
	}
	query, args, err := sqlx.In(`
		DELETE FROM triage_decisions WHERE source_platform = ? AND project_name = ? AND fingerprint = ? AND id NOT IN (?)`,
		scan.SourcePlatform, scan.ProjectName, fingerprint, kept)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, tx.Rebind(query), args...); err != nil || len(fresh) == 0 {
		return err
	}
	_, err = tx.NamedExecContext(ctx, `
		INSERT INTO triage_decisions (source_platform, project_name, fingerprint, source, decision, author, comment,
			finding_id, timestamp)
		VALUES (:source_platform, :project_name, :fingerprint, :source, :decision, :author, :comment,
			:finding_id, :timestamp)`, fresh)
	return err
}

// recordPropagated enters into the history of a job's new findings what was decided about them in other scans.
func (s *Store) recordPropagated(ctx context.Context, tx *sqlx.Tx, job core.Job, decided map[string]core.TriageDecision) error {
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
		events[i] = propagated(core.TriageEvent{
			FindingID: word.FindingID, Origin: word.Source, Author: word.Author, Decision: &word.Decision,
			Comment: word.Comment, Timestamp: s.clock.Timestamp(),
		}, f.ID)
	}
	return recordEvents(ctx, tx, events)
}

var eventColumns = sqldb.ColumnsOf[core.TriageEvent]()

// ListTriage returns what was said about a finding, the oldest first; after is the id of the last event already seen.
// A finding that does not exist has no history.
func (s *Store) ListTriage(ctx context.Context, finding, after int64, limit int) ([]core.TriageEvent, error) {
	list := []core.TriageEvent{}
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+eventColumns+` FROM triage_events
		WHERE finding_id = ? AND id > ? ORDER BY id LIMIT ?`), finding, after, limit)
	if err != nil {
		return nil, fmt.Errorf("listing triage: %w", sqldb.Classify(err))
	}
	return list, nil
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
		return nil, fmt.Errorf("listing histories: %w", sqldb.Classify(err))
	}
	return list, nil
}

// propagated is an event as the same finding in another scan hears of it.
func propagated(event core.TriageEvent, finding int64) core.TriageEvent {
	from, news := event.FindingID, map[string]any{"triage_decision": event.Decision} // a word or null
	if event.Withdrawn() {
		news["user_verdict"] = nil
	}
	event.Source, event.PropagatedFrom, event.FindingID = core.Propagated, &from, finding
	changes, _ := json.Marshal(news)
	event.Changes = string(changes)
	return event
}

func recordEvents(ctx context.Context, tx *sqlx.Tx, events []core.TriageEvent) error {
	for len(events) > 0 {
		n := min(len(events), sqldb.RowsPerStatement)
		_, err := tx.NamedExecContext(ctx, `
			INSERT INTO triage_events (finding_id, source, origin, propagated_from, author, changes, decision, comment, timestamp)
			VALUES (:finding_id, :source, :origin, :propagated_from, :author, :changes, :decision, :comment, :timestamp)`,
			events[:n])
		if err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}
