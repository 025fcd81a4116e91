// Package decisions keeps what was decided on alerts, by whom, and what is proposed and waits for a second person.
package decisions

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/approval"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Columns are those of a decision.
var Columns = sqldb.ColumnsOf[core.TriageDecision]()

var proposalColumns = sqldb.ColumnsOf[approval.Proposal]()

// MadeOn are the decisions on some alerts, in the order in which they were made.
func MadeOn(ctx context.Context, q sqlx.ExtContext, alerts []int64) (map[int64][]core.TriageDecision, error) {
	if len(alerts) == 0 {
		return nil, nil
	}
	var list []core.TriageDecision
	err := sqldb.SelectIn(ctx, q, &list, `SELECT `+Columns+` FROM alert_decisions WHERE alert_id IN (?) ORDER BY id`, alerts)
	return byAlert(list), err
}

// Decided are the decisions that hold in a project.
type Decided struct {
	ByAlert map[int64]core.TriageDecision // as far as reports ask for them

	by core.Approval
}

// Propagate sets the decision on a finding that was made about the same one in other scans.
func (d Decided) Propagate(f *core.Finding) { approval.Propagate(f, d.ByAlert, d.by) }

// In are the decisions that hold in a project whose policy is given.
func In(ctx context.Context, q sqlx.ExtContext, project int64, by core.Approval) (Decided, error) {
	var list []core.TriageDecision
	err := sqlx.SelectContext(ctx, q, &list, q.Rebind(`
		SELECT alert_id, source, decision, reason, proposed_by FROM alert_decisions WHERE project_id = ? ORDER BY id`), project)
	return Decided{Prevailing(byAlert(list)), by}, err
}

func byAlert(list []core.TriageDecision) map[int64][]core.TriageDecision {
	decided := map[int64][]core.TriageDecision{}
	for _, decision := range list {
		decided[decision.AlertID] = append(decided[decision.AlertID], decision)
	}
	return decided
}

// Prevailing is the decision that counts on each alert.
func Prevailing(decided map[int64][]core.TriageDecision) map[int64]core.TriageDecision {
	prevail := make(map[int64]core.TriageDecision, len(decided))
	for alert, decisions := range decided {
		prevail[alert] = *core.PrevailingDecision(decisions)
	}
	return prevail
}

// Put replaces the decisions on an alert. Decisions that stay keep their ids, by which a withdrawal names them; new ones come last, so that
// ids keep the order in which they were made.
func Put(ctx context.Context, tx *sqlx.Tx, project, alert int64, decisions []core.TriageDecision, now time.Time) error {
	kept, fresh := []int64{0}, []core.TriageDecision{}
	for _, decision := range decisions {
		if decision.ID != 0 {
			kept = append(kept, decision.ID)
			continue
		}
		decision.ProjectID, decision.Timestamp = project, now
		fresh = append(fresh, decision)
	}
	_, err := sqldb.ExecIn(ctx, tx, `DELETE FROM alert_decisions WHERE alert_id = ? AND id NOT IN (?)`, alert, kept)
	if err != nil || len(fresh) == 0 {
		return err
	}
	_, err = tx.NamedExecContext(ctx, `
		INSERT INTO alert_decisions (project_id, alert_id, source, decision, reason, expires_at, author, comment, finding_id, timestamp, batch,
			proposed_by)
		VALUES (:project_id, :alert_id, :source, :decision, :reason, :expires_at, :author, :comment, :finding_id, :timestamp, :batch,
			:proposed_by)`, fresh)
	return err
}

// Record adds an entry to the history of an alert.
func Record(ctx context.Context, tx *sqlx.Tx, event core.TriageEvent) error {
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO triage_events (alert_id, finding_id, source, author, changes, decides, decision, comment, timestamp)
		VALUES (:alert_id, :finding_id, :source, :author, :changes, :decides, :decision, :comment, :timestamp)`, event)
	return err
}

// Proposed are the proposals that wait on some alerts, by alert.
func Proposed(ctx context.Context, q sqlx.ExtContext, alerts []int64) (map[int64]approval.Proposal, error) {
	if len(alerts) == 0 {
		return nil, nil
	}
	var list []approval.Proposal
	err := sqldb.SelectIn(ctx, q, &list, `SELECT `+proposalColumns+` FROM proposals WHERE alert_id IN (?)`, alerts)
	waiting := make(map[int64]approval.Proposal, len(list))
	for _, proposal := range list {
		waiting[proposal.AlertID] = proposal
	}
	return waiting, err
}

// WaitingOn is the proposal that waits on an alert; nil for none.
func WaitingOn(ctx context.Context, q sqlx.ExtContext, alert int64) (*approval.Proposal, error) {
	waiting, err := Proposed(ctx, q, []int64{alert})
	if proposal, waits := waiting[alert]; waits {
		return &proposal, err
	}
	return nil, err
}

// Propose replaces the proposal that waits on an alert; nil for none.
func Propose(ctx context.Context, tx *sqlx.Tx, alert int64, proposal *approval.Proposal) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM proposals WHERE alert_id = ?`), alert)
	if err != nil || proposal == nil {
		return err
	}
	_, err = tx.NamedExecContext(ctx, `
		INSERT INTO proposals (project_id, alert_id, finding_id, decision, reason, expires_at, author, comment, timestamp, batch)
		VALUES (:project_id, :alert_id, :finding_id, :decision, :reason, :expires_at, :author, :comment, :timestamp, :batch)`, proposal)
	return err
}

// Waiting is a proposal with the alert that it would dismiss.
type Waiting struct {
	approval.Proposal
	Number   int           `db:"number"` // of the alert within the project
	Platform string        `db:"platform"`
	Project  string        `db:"name"`
	Severity core.Severity `db:"severity"`
	Title    string        `db:"title"`
	RuleID   string        `db:"rule_id"`
	File     string        `db:"file"`
	Line     int           `db:"line"`
}

// List returns proposals that wait, the newest first, as long as their alerts are open: nobody needs to agree on others; where chooses the projects. before is the id of the last one already read, or 0.
func List(ctx context.Context, q sqlx.ExtContext, where sqldb.Conditions, before int64, limit int) ([]Waiting, error) {
	list := []Waiting{}
	where.Add(true, `a.state = 'open'`)
	where.Add(before > 0, `p.id < ?`, before)
	err := sqldb.SelectIn(ctx, q, &list, `
		SELECT `+sqldb.Qualify("p", proposalColumns)+`, a.number, a.severity, a.title, a.rule_id, a.file, a.line, projects.platform, projects.name
		FROM proposals p JOIN alerts a ON a.id = p.alert_id JOIN projects ON projects.id = p.project_id
		`+where.SQL()+` ORDER BY p.id DESC LIMIT ?`, append(where.Args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("listing proposals: %w", sqldb.Classify(err))
	}
	return list, nil
}

// HasBatch tells whether decisions or proposals of a person's batch hold.
func HasBatch(ctx context.Context, q sqlx.ExtContext, key, author string) (bool, error) {
	return hasBatch(ctx, q, `author = ?`, key, author)
}

// HasBatchOfOthers tells whether decisions or proposals of other people have the key of a batch.
func HasBatchOfOthers(ctx context.Context, q sqlx.ExtContext, key, author string) (bool, error) {
	return hasBatch(ctx, q, `author <> ?`, key, author)
}

func hasBatch(ctx context.Context, q sqlx.ExtContext, whose, key, author string) (has bool, err error) {
	err = sqlx.GetContext(ctx, q, &has, q.Rebind(`
		SELECT EXISTS (SELECT 1 FROM alert_decisions WHERE batch = ? AND batch <> '' AND `+whose+`)
			OR EXISTS (SELECT 1 FROM proposals WHERE batch = ? AND batch <> '' AND `+whose+`)`), key, author, key, author)
	return has, err
}

// ProposedIn are the alerts with proposals of a batch, at most limit.
func ProposedIn(ctx context.Context, q sqlx.ExtContext, batch string, limit int) (alerts []int64, err error) {
	err = sqlx.SelectContext(ctx, q, &alerts, q.Rebind(`
		SELECT alert_id FROM proposals WHERE batch = ? AND batch <> '' ORDER BY id LIMIT ?`), batch, limit)
	return alerts, err
}
