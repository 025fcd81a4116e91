package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Triaged is a finding with its scan and the decision that prevails, nil where nobody has decided.
type Triaged struct {
	Finding  core.Finding
	Scan     core.Scan
	Decision *core.TriageDecision
}

// GetFinding finds a finding by its id; core.ErrNotFound when there is none.
func (s *Store) GetFinding(ctx context.Context, id int64) (Triaged, error) {
	found, err := loadFinding(ctx, s.db, id)
	if err != nil {
		return Triaged{}, fmt.Errorf("getting finding: %w", err)
	}
	return triaged(found), nil
}

func triaged(t core.Triaged) Triaged {
	return Triaged{t.Finding, t.Scan, core.PrevailingDecision(t.Decisions)}
}

// loadFinding loads a finding with its scan and the decisions on it.
func loadFinding(ctx context.Context, q sqlx.ExtContext, id int64) (found core.Triaged, err error) {
	err = sqlx.GetContext(ctx, q, &found.Finding, q.Rebind(selectFindings+`WHERE findings.id = ?`), id)
	if err != nil {
		return found, fmt.Errorf("finding %d: %w", id, sqldb.Classify(err))
	}
	err = sqlx.GetContext(ctx, q, &found.Scan, q.Rebind(`SELECT `+scanColumns+` FROM scans WHERE id = ?`), found.Finding.ScanID)
	if err != nil {
		return found, sqldb.Classify(err)
	}
	err = sqlx.SelectContext(ctx, q, &found.Decisions, q.Rebind(`
		SELECT `+decisionColumns+` FROM triage_decisions
		WHERE source_platform = ? AND project_name = ? AND fingerprint = ?
		ORDER BY id`), found.Scan.SourcePlatform, found.Scan.ProjectName, found.Finding.Fingerprint)
	return found, sqldb.Classify(err)
}

// RecordFeedback keeps a person's decision on a finding, which holds until a person decides again. It does all that
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

// WithdrawFeedback withdraws the decision of people on a finding, here and in the other scans of the project: earlier
// decisions of machines and of the red team hold again, or the finding is undecided. core.ErrNotFound when there is no
// decision of a person, core.ErrConflict when it is another one than the withdrawal means.
func (s *Store) WithdrawFeedback(ctx context.Context, w core.Withdrawal) (Triaged, error) {
	return s.triage(ctx, w.FindingID, w.Update(), func(tx *sqlx.Tx, before []core.TriageDecision) error {
		decision, err := w.Pick(before)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, tx.Rebind(`
			UPDATE feedbacks SET withdrawn_at = ? WHERE finding_id = ? AND withdrawn_at IS NULL`),
			s.clock.Timestamp(), decision.FindingID)
		return err
	})
}

// PatchFinding applies an update to a finding. Its decision is propagated to the same finding in the other scans of the
// project; each is judged again, and the commit statuses change in the same transaction. core.ErrNotFound when there is no
// such finding, core.ErrInvalid when the update breaks a bound.
func (s *Store) PatchFinding(ctx context.Context, id int64, update core.TriageUpdate) (Triaged, error) {
	return s.triage(ctx, id, update, func(*sqlx.Tx, []core.TriageDecision) error { return nil })
}

// triage applies an update. In the same transaction it calls also, with the decisions before.
func (s *Store) triage(
	ctx context.Context, id int64, update core.TriageUpdate, also func(tx *sqlx.Tx, before []core.TriageDecision) error,
) (after Triaged, err error) {
	if err := update.Check(); err != nil {
		return Triaged{}, fmt.Errorf("triaging finding: %w", err)
	}
	err = s.writeIn(ctx, s.triaging, func(tx *sqlx.Tx) error {
		before, err := s.loadTriaged(ctx, tx, id)
		if err != nil {
			return err
		}
		change, err := update.Triage(before, s.clock.Timestamp())
		if err != nil {
			return err
		}
		if err := s.saveTriage(ctx, tx, before, change); err != nil {
			return err
		}
		if err := also(tx, before.Decisions); err != nil {
			return err
		}
		found, err := loadFinding(ctx, tx, id)
		after = triaged(found)
		return err
	})
	if err != nil {
		return Triaged{}, fmt.Errorf("triaging finding: %w", err)
	}
	return after, nil
}

// maxPropagated is in how many scans, the newest, a decision reaches the same finding.
const maxPropagated = 200

// loadTriaged locks the project and loads a finding, the decisions on it, and the same finding in the newest scans that
// commits show.
func (s *Store) loadTriaged(ctx context.Context, tx *sqlx.Tx, id int64) (core.Triaged, error) {
	if err := s.lockProjectOf(ctx, tx, id); err != nil {
		return core.Triaged{}, err
	}
	found, err := loadFinding(ctx, tx, id)
	if err != nil {
		return found, err
	}
	scan, fingerprint := found.Scan, found.Finding.Fingerprint
	err = tx.SelectContext(ctx, &found.Same, tx.Rebind(`
		SELECT f.id, f.scan_id, f.triage_decision FROM findings f
		WHERE f.fingerprint = ? AND f.scan_id IN (SELECT s.id FROM scans s
			WHERE s.source_platform = ? AND s.project_name = ? AND (s.id = ? OR `+latestAttempt+`)
				AND EXISTS (SELECT 1 FROM findings same WHERE same.scan_id = s.id AND same.fingerprint = ?)
			ORDER BY CASE WHEN s.id = ? THEN 0 ELSE 1 END, s.id DESC
			LIMIT ?)`),
		fingerprint, scan.SourcePlatform, scan.ProjectName, scan.ID, fingerprint, scan.ID, maxPropagated)
	return found, err
}

// saveTriage writes what an update changes, and judges the scans again that it concerns.
func (s *Store) saveTriage(ctx context.Context, tx *sqlx.Tx, before core.Triaged, c core.TriageChange) error {
	if len(c.Scans) == 0 {
		return nil
	}
	if err := s.putDecisions(ctx, tx, before.Scan, before.Finding.Fingerprint, c.Decisions); err != nil {
		return err
	}
	_, err := tx.NamedExecContext(ctx, `
		UPDATE findings SET ai_verdict = :ai_verdict, ai_confidence = :ai_confidence, ai_reasoning = :ai_reasoning,
			remediation_patch = :remediation_patch, red_team_success = :red_team_success
		WHERE id = :id`, c.Finding)
	if err != nil {
		return err
	}
	if len(c.Decided) > 0 {
		_, err := sqldb.ExecIn(ctx, tx, `UPDATE findings SET triage_decision = ? WHERE id IN (?)`, c.Finding.TriageDecision, c.Decided)
		if err != nil {
			return err
		}
	}
	if err := recordEvents(ctx, tx, append([]core.TriageEvent{c.Event}, c.Events...)); err != nil {
		return err
	}
	if err := s.audit(ctx, tx, c.Audit); err != nil {
		return err
	}
	return s.judgeAll(ctx, tx, c.Scans, before.Scan.ID)
}

// lockProjectOf lets one transaction at a time triage a project, and no report that would miss the decision.
func (s *Store) lockProjectOf(ctx context.Context, tx *sqlx.Tx, finding int64) error {
	var scan int64
	err := tx.GetContext(ctx, &scan, tx.Rebind(`SELECT scan_id FROM findings WHERE id = ?`), finding)
	if err != nil {
		return fmt.Errorf("finding %d: %w", finding, sqldb.Classify(err))
	}
	return s.db.LockKey(ctx, tx, lockOfProject, ofScan, scan)
}

var decisionColumns = sqldb.ColumnsOf[core.TriageDecision]()

// ListDecisions returns the prevailing decision on each of a scan's findings that has one, by fingerprint.
func (s *Store) ListDecisions(ctx context.Context, scan core.Scan, fingerprints []string) (map[string]core.TriageDecision, error) {
	if len(fingerprints) == 0 {
		return nil, nil
	}
	var decisions []core.TriageDecision
	err := sqldb.SelectIn(ctx, s.db, &decisions, `
		SELECT `+decisionColumns+` FROM triage_decisions WHERE source_platform = ? AND project_name = ? AND fingerprint IN (?)
		ORDER BY fingerprint, id`, scan.SourcePlatform, scan.ProjectName, fingerprints)
	if err != nil {
		return nil, fmt.Errorf("listing decisions: %w", sqldb.Classify(err))
	}
	return prevailing(decisions), nil
}

// decisionsIn are the prevailing decisions of a scan's project, by fingerprint.
func decisionsIn(ctx context.Context, tx *sqlx.Tx, scan core.Scan) (map[string]core.TriageDecision, error) {
	var decisions []core.TriageDecision
	err := tx.SelectContext(ctx, &decisions, tx.Rebind(`
		SELECT `+decisionColumns+` FROM triage_decisions WHERE source_platform = ? AND project_name = ? ORDER BY fingerprint, id`),
		scan.SourcePlatform, scan.ProjectName)
	return prevailing(decisions), err
}

// prevailing picks the decision that prevails for each finding; decisions are in the order of fingerprint and id.
func prevailing(decisions []core.TriageDecision) map[string]core.TriageDecision {
	decided := map[string]core.TriageDecision{}
	for len(decisions) > 0 {
		n := 1
		for n < len(decisions) && decisions[n].Fingerprint == decisions[0].Fingerprint {
			n++
		}
		decided[decisions[0].Fingerprint] = *core.PrevailingDecision(decisions[:n])
		decisions = decisions[n:]
	}
	return decided
}

// putDecisions replaces the decisions on a finding. Decisions that stay keep their ids, by which a withdrawal names
// them; new ones come last, so that ids keep the order in which they were made.
func (s *Store) putDecisions(
	ctx context.Context, tx *sqlx.Tx, scan core.Scan, fingerprint string, decisions []core.TriageDecision,
) error {
	kept, fresh := []int64{0}, []core.TriageDecision{}
	for _, decision := range decisions {
		if decision.ID != 0 {
			kept = append(kept, decision.ID)
			continue
		}
		decision.SourcePlatform, decision.ProjectName, decision.Timestamp = scan.SourcePlatform, scan.ProjectName, s.clock.Timestamp()
		fresh = append(fresh, decision)
	}
	_, err := sqldb.ExecIn(ctx, tx, `
		DELETE FROM triage_decisions WHERE source_platform = ? AND project_name = ? AND fingerprint = ? AND id NOT IN (?)`,
		scan.SourcePlatform, scan.ProjectName, fingerprint, kept)
	if err != nil || len(fresh) == 0 {
		return err
	}
	_, err = tx.NamedExecContext(ctx, `
		INSERT INTO triage_decisions (source_platform, project_name, fingerprint, source, decision, author, comment,
			finding_id, timestamp)
		VALUES (:source_platform, :project_name, :fingerprint, :source, :decision, :author, :comment,
			:finding_id, :timestamp)`, fresh)
	return err
}

var eventColumns = sqldb.ColumnsOf[core.TriageEvent]()

// ListTriage returns the history of a finding, the oldest event first; after is the id of the last event already read.
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

// ListHistories returns the histories of several findings, the oldest event first, at most limit events in all.
func (s *Store) ListHistories(ctx context.Context, findings []int64, limit int) ([]core.TriageEvent, error) {
	if len(findings) == 0 {
		return nil, nil
	}
	var list []core.TriageEvent
	err := sqldb.SelectIn(ctx, s.db, &list, `
		SELECT `+eventColumns+` FROM triage_events WHERE finding_id IN (?) ORDER BY id LIMIT ?`, findings, limit)
	if err != nil {
		return nil, fmt.Errorf("listing histories: %w", sqldb.Classify(err))
	}
	return list, nil
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
