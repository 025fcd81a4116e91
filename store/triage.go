package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/core/approval"
	"github.com/scanhook/scanhook/core/details"
	"github.com/scanhook/scanhook/store/catalog"
	"github.com/scanhook/scanhook/store/decisions"
	"github.com/scanhook/scanhook/store/particulars"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Triaged is a finding with its scan and the decision that prevails, nil where nobody has decided.
type Triaged struct {
	Finding  core.Finding
	Scan     core.Scan
	Decision *core.TriageDecision
	Waiting  *approval.Proposal // a dismissal that waits for a second person; nil for none
}

// GetFinding finds a finding by its id; core.ErrNotFound when there is none.
func (s *Store) GetFinding(ctx context.Context, id int64) (Triaged, error) {
	found, err := loadFinding(ctx, s.db, id)
	if err != nil {
		return Triaged{}, fmt.Errorf("getting finding: %w", err)
	}
	return triaged(ctx, s.db, found)
}

// ListDetails returns what reports say of findings besides, by their ids.
func (s *Store) ListDetails(ctx context.Context, findings []core.Finding) (map[int64]details.Details, error) {
	return particulars.List(ctx, s.db, findings)
}

// AddDetails adds what reports say of findings besides.
func (s *Store) AddDetails(ctx context.Context, findings []core.Finding) error {
	return particulars.Add(ctx, s.db, findings)
}

// HelpOf returns what rules of jobs are about.
func (s *Store) HelpOf(ctx context.Context, jobs []core.Job) (map[core.RuleName]details.Help, error) {
	return particulars.HelpOf(ctx, s.db, jobs)
}

// ListHelp returns what the rules of findings are about.
func (s *Store) ListHelp(ctx context.Context, findings []core.Finding) (particulars.Help, error) {
	return particulars.ListHelp(ctx, s.db, findings)
}

// triaged is a finding as lists of its scan show it.
func triaged(ctx context.Context, q sqlx.ExtContext, t core.Triaged) (Triaged, error) {
	list := []core.Finding{t.Finding}
	err := tellUnresolved(ctx, q, t.Scan, list)
	if err != nil {
		return Triaged{}, err
	}
	waiting, err := decisions.WaitingOn(ctx, q, t.Finding.AlertID)
	return Triaged{list[0], t.Scan, core.PrevailingDecision(t.Decisions), waiting}, err
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
	decided, err := decisions.MadeOn(ctx, q, []int64{found.Finding.AlertID})
	found.Decisions = decided[found.Finding.AlertID]
	return found, sqldb.Classify(err)
}

// RecordFeedback keeps a person's decision on a finding, which holds until a person decides again. It does all that
// PatchFinding does.
func (s *Store) RecordFeedback(ctx context.Context, feedback core.Feedback) (Triaged, error) {
	return s.triage(ctx, feedback.FindingID, feedback.Update(), func(tx *sqlx.Tx, _ []core.TriageDecision) error {
		return s.putFeedback(ctx, tx, feedback)
	})
}

func (s *Store) putFeedback(ctx context.Context, tx *sqlx.Tx, feedback core.Feedback) error {
	feedback.Timestamp, feedback.Dismissal = s.clock.Timestamp(), feedback.InUTC()
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO feedbacks (finding_id, user_verdict, reason, expires_at, comments, author, timestamp)
		VALUES (:finding_id, :user_verdict, :reason, :expires_at, :comments, :author, :timestamp)`, feedback)
	return err
}

// WithdrawFeedback withdraws the decision of people on a finding, here and in the other scans of the project: earlier
// decisions of machines and of the red team hold again, or the finding is undecided. core.ErrNotFound when there is no
// decision of a person, core.ErrConflict when it is another one than the withdrawal means.
func (s *Store) WithdrawFeedback(ctx context.Context, w core.Withdrawal) (Triaged, error) {
	return s.triage(ctx, w.FindingID, w.Update(), func(tx *sqlx.Tx, before []core.TriageDecision) error {
		return s.withdraw(ctx, tx, w, before)
	})
}

func (s *Store) withdraw(ctx context.Context, tx *sqlx.Tx, w core.Withdrawal, before []core.TriageDecision) error {
	decision, err := w.Pick(before)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE feedbacks SET withdrawn_at = ? WHERE finding_id = ? AND withdrawn_at IS NULL`), s.clock.Timestamp(), decision.FindingID)
	return err
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
		update, _, err := s.weigh(ctx, tx, before, update, "")
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
		after, err = judgedNow(ctx, tx, id)
		return err
	})
	if err != nil {
		return Triaged{}, fmt.Errorf("triaging finding: %w", err)
	}
	return after, nil
}

// weigh tells what an update of a finding comes to where dismissals need a second person, and keeps the proposal that waits from then on.
func (s *Store) weigh(
	ctx context.Context, tx *sqlx.Tx, before core.Triaged, u core.TriageUpdate, batch string,
) (update core.TriageUpdate, waits bool, err error) {
	if !u.TriageDecision.Set {
		return u, false, nil
	}
	waiting, err := decisions.WaitingOn(ctx, tx, before.Finding.AlertID)
	if err != nil {
		return u, false, err
	}
	update, next, err := approval.Weigh(u, before, waiting, s.clock.Timestamp())
	if err != nil || next == waiting {
		return update, false, err
	}
	if next == nil {
		return update, false, decisions.Propose(ctx, tx, before.Finding.AlertID, nil)
	}
	next.Batch = batch
	if err := decisions.Propose(ctx, tx, next.AlertID, next); err != nil {
		return update, false, err
	}
	if err := decisions.Record(ctx, tx, next.Event(before)); err != nil {
		return update, false, err
	}
	return update, true, s.audit(ctx, tx, next.Audit(before))
}

// judgedNow is a finding after a decision on it.
func judgedNow(ctx context.Context, tx *sqlx.Tx, id int64) (Triaged, error) {
	found, err := loadFinding(ctx, tx, id)
	if err != nil {
		return Triaged{}, err
	}
	return triaged(ctx, tx, found)
}

// maxPropagated is in how many scans, the newest, a decision reaches the same finding.
const maxPropagated = 200

// loadTriaged locks the project and loads a finding, the decisions on it, and the same finding in the newest scans that
// commits show: those since the first that saw it, or since one that a head shows and that ended later.
func (s *Store) loadTriaged(ctx context.Context, tx *sqlx.Tx, id int64) (core.Triaged, error) {
	if err := s.lockProjectOf(ctx, tx, id); err != nil {
		return core.Triaged{}, err
	}
	found, err := loadFinding(ctx, tx, id)
	if err != nil {
		return found, err
	}
	found.Approval = s.policyOf(found.Scan).Approval
	scan, alert := found.Scan, found.Finding.AlertID
	err = tx.SelectContext(ctx, &found.Same, tx.Rebind(`
		SELECT f.id, f.scan_id, f.severity, f.triage_decision FROM findings f
		WHERE f.alert_id = ? AND f.scan_id IN (SELECT s.id FROM (
				SELECT o.scan_id + 0 AS id FROM outcomes o
				WHERE o.project_id = ? AND o.outcome IN ('pass', 'fail', 'failed') AND o.scan_id + 0 >= (SELECT MIN(scan_id) FROM (
					SELECT first_seen_scan_id AS scan_id FROM alerts WHERE alerts.id = ?
					UNION ALL SELECT h.scan_id FROM alert_heads h WHERE h.project_id = ? AND (
						SELECT COUNT(*) FROM findings shown WHERE shown.scan_id = h.scan_id AND shown.alert_id = ?) <> 0) early)
				UNION ALL
				SELECT id FROM `+openScans+` WHERE project_id = ?) AS ours
			JOIN scans s ON s.id = ours.id
			WHERE (s.id = ? OR `+latestAttempt+`)
				AND (SELECT COUNT(*) FROM findings same WHERE same.scan_id = s.id AND same.alert_id = ?) <> 0
			ORDER BY CASE WHEN s.id = ? THEN 0 ELSE 1 END, s.id DESC
			LIMIT ?)`),
		alert, scan.ProjectID, alert, scan.ProjectID, alert, scan.ProjectID, scan.ID, alert, scan.ID, maxPropagated)
	return found, err
}

// saveTriage writes what an update changes, and judges the scans again that it concerns.
func (s *Store) saveTriage(ctx context.Context, tx *sqlx.Tx, before core.Triaged, c core.TriageChange) error {
	if len(c.Scans) == 0 {
		return nil
	}
	if err := s.recordTriage(ctx, tx, before, c); err != nil {
		return err
	}
	if err := s.judgeAll(ctx, tx, c.Scans, before.Scan.ID); err != nil {
		return err
	}
	return s.decideAlert(ctx, tx, before.Scan.ProjectID, before.Finding.AlertID)
}

// recordTriage writes what an update changes about an alert and its findings.
func (s *Store) recordTriage(ctx context.Context, tx *sqlx.Tx, before core.Triaged, c core.TriageChange) error {
	if err := decisions.Put(ctx, tx, before.Scan.ProjectID, before.Finding.AlertID, c.Decisions, s.clock.Timestamp()); err != nil {
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
	if err := decisions.Record(ctx, tx, c.Event); err != nil {
		return err
	}
	return s.audit(ctx, tx, c.Audit)
}

// decideAlert lets the heads of a project show what was decided on one of its alerts.
func (s *Store) decideAlert(ctx context.Context, tx *sqlx.Tx, project, alert int64) error {
	if _, err := lockAlerts(ctx, tx, project); err != nil {
		return err
	}
	const scanned = `SELECT h.id FROM alert_heads h JOIN scans s ON s.id = h.scan_id WHERE h.project_id = ?`
	_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM open_alerts WHERE alert_id = ? AND head_id IN (`+scanned+`)`), alert, project)
	if err != nil {
		return err
	}
	const atHeads = `FROM alert_heads h JOIN findings ON findings.scan_id = h.scan_id AND findings.alert_id = ? WHERE h.project_id = ?`
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO open_alerts (head_id, alert_id) SELECT DISTINCT h.id, findings.alert_id `+atHeads+` AND NOT `+dismissed), alert, project)
	if err != nil {
		return err
	}
	var have int
	if err := tx.GetContext(ctx, &have, tx.Rebind(`SELECT COUNT(*) `+atHeads), alert, project); err != nil {
		return err
	}
	states, err := loadStates(ctx, tx, []int64{alert}, map[int64]bool{alert: have > 0})
	for state := range states {
		if err == nil {
			_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE alerts SET state = ? WHERE id = ?`), state, alert)
		}
	}
	return err
}

// CommentAlert adds a person's comment to the history of an alert, and decides nothing.
func (s *Store) CommentAlert(ctx context.Context, story AlertStory, author, comment string) error {
	var decision *core.Triage
	if story.Decision != nil {
		decision = &story.Decision.Decision
	}
	event, err := core.Remark(story.ID, story.Finding, decision, author, comment, s.clock.Timestamp())
	if err == nil {
		err = s.writeIn(ctx, s.triaging, func(tx *sqlx.Tx) error {
			if err := decisions.Record(ctx, tx, event); err != nil {
				return err
			}
			return s.audit(ctx, tx, core.AuditEvent{
				Actor: author, Action: core.AuditComment, ProjectID: &story.ProjectID, SourcePlatform: story.Project.Platform, ProjectName: story.Project.Name,
				Subject: alerts.Name(story.Project.Name, story.Number),
			})
		})
	}
	if err != nil {
		return fmt.Errorf("commenting alert: %w", err)
	}
	return nil
}

// MaxBatch is how many alerts one transaction decides on.
const MaxBatch = 100

// Batch is one decision of a person on several alerts, which is withdrawn as one.
type Batch struct {
	Key     string  // names the batch; the decisions of several calls of its author may have one
	Alerts  []int64 // at most MaxBatch
	Verdict core.Triage
	Comment string
	Author  string
	core.Dismissal
}

// On is the decision on one finding.
func (b Batch) On(finding int64) core.Feedback {
	return core.Feedback{FindingID: finding, UserVerdict: b.Verdict, Comments: b.Comment, Author: b.Author, Dismissal: b.Dismissal}
}

// DecideAlerts decides on alerts in one transaction, and judges each scan again once. Alerts that no head has any more are left as
// they are; decided are the others. core.ErrInvalid when the batch breaks a bound, core.ErrUncommented when one of its alerts needs a
// comment, core.ErrConflict when it is another author's.
func (s *Store) DecideAlerts(ctx context.Context, b Batch) (decided Decided, err error) {
	if len(b.Alerts) > MaxBatch || b.Key == "" {
		return decided, fmt.Errorf("deciding on alerts: %w: a batch has a key and at most %d alerts", core.ErrInvalid, MaxBatch)
	}
	err = s.triageTogether(ctx, b.Alerts, s.loadNewest, func(tx *sqlx.Tx, before core.Triaged) (change core.TriageChange, err error) {
		feedback := b.On(before.Finding.ID)
		if err := feedback.Update().Check(); err != nil {
			return change, err
		}
		update, waits, err := s.weigh(ctx, tx, before, feedback.Update(), b.Key)
		if err == nil {
			change, err = update.Triage(before, s.clock.Timestamp())
		}
		if err != nil {
			return change, err
		}
		for i, decision := range change.Decisions {
			if decision.ID == 0 && decision.Source == core.ByPerson {
				change.Decisions[i].Batch = b.Key
			}
		}
		decided.Done++
		if waits {
			decided.Waiting++
		}
		return change, s.putFeedback(ctx, tx, feedback)
	}, func(tx *sqlx.Tx) error {
		decided = Decided{}
		return s.checkBatch(ctx, tx, b)
	})
	if err != nil {
		return Decided{}, fmt.Errorf("deciding on alerts: %w", err)
	}
	return decided, nil
}

// Decided is on how many alerts a batch has decided, and how many of them wait for a second person.
type Decided struct{ Done, Waiting int }

// checkBatch keeps a batch to one author: who withdraws it must not withdraw what somebody else has decided. Nobody else joins it until
// the transaction ends.
func (s *Store) checkBatch(ctx context.Context, tx *sqlx.Tx, b Batch) error {
	if err := s.db.LockKey(ctx, tx, `CAST(? AS TEXT)`, ``, "batch "+b.Key); err != nil {
		return err
	}
	others, err := decisions.HasBatchOfOthers(ctx, tx, b.Key, b.Author)
	if err == nil && others {
		err = fmt.Errorf("%w: the batch is somebody else's; decide without naming one, which begins another", core.ErrConflict)
	}
	return err
}

// EndAcceptedRisks withdraws decisions whose end has come, on at most MaxBatch alerts, and judges the scans again that they concern. It
// returns on how many alerts.
func (s *Store) EndAcceptedRisks(ctx context.Context) (ended int, err error) {
	var ids []int64
	now := s.clock.Timestamp()
	err = s.db.SelectContext(ctx, &ids, s.db.Rebind(endedDecisions), now, MaxBatch)
	if err == nil && len(ids) > 0 {
		err = s.triageTogether(ctx, ids, s.loadEnded, func(_ *sqlx.Tx, before core.Triaged) (core.TriageChange, error) {
			ended++
			return core.Expiry(now).Triage(before, now)
		}, func(*sqlx.Tx) error {
			ended = 0
			return nil
		})
	}
	if err != nil {
		return 0, fmt.Errorf("ending accepted risks: %w", sqldb.Classify(err))
	}
	return ended, nil
}

const endedDecisions = `SELECT alert_id FROM alert_decisions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?`

// loadEnded is loadNewest also for an alert that no head has: by the finding that was judged, or what is known of that if it is gone.
func (s *Store) loadEnded(ctx context.Context, tx *sqlx.Tx, alert int64) (core.Triaged, error) {
	found, err := s.loadNewest(ctx, tx, alert)
	if err != nil || found.Finding.ID != 0 {
		return found, err
	}
	decided, err := decisions.MadeOn(ctx, tx, []int64{alert})
	if err != nil || len(decided[alert]) == 0 {
		return found, err
	}
	judged := decided[alert][0].FindingID
	if found, err = s.loadTriaged(ctx, tx, judged); !errors.Is(err, core.ErrNotFound) {
		return found, err
	}
	project := alerts.ProjectOf(alert)
	if err := s.db.LockKey(ctx, tx, `'project ' || id`, `FROM projects WHERE id = ?`, project); err != nil {
		return found, err
	}
	found = core.Triaged{Decisions: decided[alert]}
	if err := tx.GetContext(ctx, &found.Finding, tx.Rebind(`SELECT id AS alert_id, rule_id, file, line FROM alerts WHERE id = ?`), alert); err != nil {
		return found, err
	}
	found.Finding.ID = judged
	return found, tx.GetContext(ctx, &found.Scan, tx.Rebind(`
		SELECT id AS project_id, platform AS source_platform, name AS project_name FROM projects WHERE id = ?`), project)
}

// HasBatch tells whether decisions or proposals of a person's batch hold.
func (s *Store) HasBatch(ctx context.Context, key, author string) (bool, error) {
	has, err := decisions.HasBatch(ctx, s.db, key, author)
	return has, sqldb.Classify(err)
}

// triageTogether applies updates to findings of alerts, which load finds, in one transaction, each try of which begins with begin. All of
// them are left as they are where whoever asks may not judge one.
func (s *Store) triageTogether(
	ctx context.Context, ids []int64, load func(context.Context, *sqlx.Tx, int64) (core.Triaged, error),
	update func(*sqlx.Tx, core.Triaged) (core.TriageChange, error), begin func(*sqlx.Tx) error,
) error {
	ids = slices.Compact(slices.Sorted(slices.Values(ids))) // in one order, so that no two transactions wait for each other
	return s.writeIn(ctx, s.triaging, func(tx *sqlx.Tx) error {
		if err := begin(tx); err != nil {
			return err
		}
		var changed []core.Triaged
		var scans []int64
		uncommented := 0
		for _, id := range ids {
			before, err := load(ctx, tx, id)
			if err != nil || before.Finding.ID == 0 {
				if err != nil {
					return err
				}
				continue
			}
			if err := admitTo(ctx, access.Judge, before.Scan); err != nil {
				return err
			}
			change, err := update(tx, before)
			if errors.Is(err, core.ErrUncommented) {
				uncommented++
				continue
			}
			if err == nil && len(change.Scans) > 0 {
				err = s.recordTriage(ctx, tx, before, change)
				changed, scans = append(changed, before), append(scans, change.Scans...)
			}
			if err != nil {
				return err
			}
		}
		if uncommented > 0 {
			return core.Uncommented(uncommented)
		}
		return s.settleTogether(ctx, tx, changed, scans)
	})
}

// loadNewest is loadTriaged for the newest finding of an alert at a head; it is zero where no head has one.
func (s *Store) loadNewest(ctx context.Context, tx *sqlx.Tx, alert int64) (core.Triaged, error) {
	var finding int64
	err := tx.GetContext(ctx, &finding, tx.Rebind(newestFinding), alert, alerts.ProjectOf(alert))
	if err != nil || finding == 0 {
		return core.Triaged{}, err
	}
	return s.loadTriaged(ctx, tx, finding)
}

// settleTogether judges the scans again that decisions concern, each once, and lets heads show what was decided.
func (s *Store) settleTogether(ctx context.Context, tx *sqlx.Tx, changed []core.Triaged, scans []int64) error {
	if len(changed) == 0 {
		return nil
	}
	scans = slices.DeleteFunc(scans, func(id int64) bool { return id == 0 }) // of a finding that is gone
	slices.Sort(scans)
	for chunk := range slices.Chunk(slices.Compact(scans), sqldb.RowsPerStatement) {
		if err := s.judgeAll(ctx, tx, chunk, 0); err != nil {
			return err
		}
	}
	for _, before := range changed {
		if err := s.decideAlert(ctx, tx, before.Scan.ProjectID, before.Finding.AlertID); err != nil {
			return err
		}
	}
	return nil
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

// ListDecisions returns the prevailing decision on each of the findings that has one, by alert.
func (s *Store) ListDecisions(ctx context.Context, findings []core.Finding) (map[int64]core.TriageDecision, error) {
	decided, err := decisions.MadeOn(ctx, s.db, alertsOf(findings))
	if err != nil {
		return nil, fmt.Errorf("listing decisions: %w", sqldb.Classify(err))
	}
	return decisions.Prevailing(decided), nil
}

// DecisionsOn are the prevailing decisions on alerts of a list, by their ids.
func (s *Store) DecisionsOn(ctx context.Context, items []catalog.Item) (map[int64]core.TriageDecision, error) {
	found := map[int64]core.TriageDecision{}
	for chunk := range slices.Chunk(items, sqldb.RowsPerStatement) {
		ids := make([]int64, len(chunk))
		for i, item := range chunk {
			ids[i] = item.ID
		}
		decided, err := decisions.MadeOn(ctx, s.db, ids)
		if err != nil {
			return nil, fmt.Errorf("reading decisions: %w", sqldb.Classify(err))
		}
		maps.Copy(found, decisions.Prevailing(decided))
	}
	return found, nil
}
