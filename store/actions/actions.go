// Package actions keeps the buttons of check runs that people have pressed until it is found out what they may do, and then for as long
// as it takes to know a call that is sent once more.
package actions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/buttons"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Action is a button that was pressed. Its db tags are the columns of the table check_actions.
type Action struct {
	ID             int64      `db:"id"`
	ProjectID      int64      `db:"project_id"`
	SourcePlatform string     `db:"source_platform"`
	CommitSHA      string     `db:"commit_sha"`
	CheckID        int64      `db:"check_id"`
	Button         string     `db:"button"`
	Login          string     `db:"login"`
	UserID         int64      `db:"user_id"`
	Digest         string     `db:"digest"`
	Attempts       int        `db:"attempts"` // to find out what the person may do
	RequestedAt    time.Time  `db:"requested_at"`
	NextAttemptAt  time.Time  `db:"next_attempt_at"`
	LeaseUntil     *time.Time `db:"lease_until"`
	DoneAt         *time.Time `db:"done_at"` // nil until it is decided

	ProjectName string `db:"project_name,computed"` // the project's present name
	ProjectRef  string `db:"project_ref,computed"`  // the project's id on its platform, or empty
}

// Asked is the action as its event told it.
func (a Action) Asked() core.CheckAction {
	return core.CheckAction{
		Project: core.Project{Name: a.ProjectName, Ref: a.ProjectRef}, CommitSHA: a.CommitSHA, CheckID: a.CheckID, Button: a.Button, Login: a.Login,
		UserID: a.UserID, Digest: a.Digest,
	}
}

// Of is the action of a delivery that was taken in at a time. The project has the names of the delivery.
func Of(asked core.CheckAction, d core.Delivery, at time.Time) Action {
	return Action{
		ProjectID: d.ProjectID, SourcePlatform: d.Platform, CommitSHA: asked.CommitSHA, CheckID: asked.CheckID, Button: asked.Button,
		Login: asked.Login, UserID: asked.UserID, Digest: asked.Digest, RequestedAt: at, ProjectName: d.Project,
	}
}

// Refusal is the event that says why the action is refused. The scan is that of the commit, if there is one.
func (a Action) Refusal(scan core.Scan, why string) core.AuditEvent {
	scan.ProjectID, scan.SourcePlatform, scan.ProjectName, scan.CommitSHA = a.ProjectID, a.SourcePlatform, a.ProjectName, a.CommitSHA
	return buttons.Refusal(a.Asked(), scan, why)
}

var columns = sqldb.ColumnsOf[Action]()

// Actions reads and writes them in a database.
type Actions struct {
	db  *sqldb.DB
	now func() time.Time
}

// New returns the actions of a database. now is in whole microseconds.
func New(db *sqldb.DB, now func() time.Time) *Actions { return &Actions{db, now} }

// remembered is how long an action is kept that was decided. After that, its check run is of a commit that nobody has.
const remembered = 90 * 24 * time.Hour

// Put keeps an action of a project. It is false for one whose call was taken in before, whatever its key was then.
func (a *Actions) Put(ctx context.Context, tx *sqlx.Tx, action Action) (fresh bool, err error) {
	now := a.now()
	if _, err := sqldb.Exec(ctx, tx, `DELETE FROM check_actions WHERE done_at < ?`, now.Add(-remembered)); err != nil {
		return false, fmt.Errorf("forgetting old actions: %w", err)
	}
	put, err := sqldb.Exec(ctx, tx, `
		INSERT INTO check_actions (project_id, source_platform, commit_sha, check_id, button, login, user_id, digest, requested_at, next_attempt_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING`,
		action.ProjectID, action.SourcePlatform, action.CommitSHA, action.CheckID, action.Button, action.Login, action.UserID, action.Digest,
		action.RequestedAt, now)
	if err != nil {
		return false, fmt.Errorf("keeping an action: %w", err)
	}
	return put > 0, nil
}

const due = `done_at IS NULL AND source_platform = ? AND next_attempt_at <= ? AND (lease_until IS NULL OR lease_until <= ?)`

// Claim leases the action of a platform that has waited longest; core.ErrNotFound when none is due.
func (a *Actions) Claim(ctx context.Context, platform string, lease time.Duration) (claimed Action, err error) {
	now := a.now()
	var waits bool
	err = a.db.GetContext(ctx, &waits, a.db.Rebind(`SELECT EXISTS (SELECT 1 FROM check_actions WHERE `+due+`)`), platform, now, now)
	if err == nil && !waits { // which spares a transaction that others wait for
		err = core.ErrNotFound
	}
	if err != nil {
		return claimed, fmt.Errorf("looking for actions: %w", sqldb.Classify(err))
	}
	until := now.Add(lease)
	err = a.db.Transact(ctx, func(tx *sqlx.Tx) error {
		err := tx.GetContext(ctx, &claimed, tx.Rebind(`
			SELECT `+sqldb.Qualify("a", columns)+`, (SELECT name FROM projects p WHERE p.id = a.project_id) AS project_name,
				(SELECT platform_ref FROM projects p WHERE p.id = a.project_id) AS project_ref
			FROM check_actions a WHERE `+due+` ORDER BY next_attempt_at, id LIMIT 1 `+a.db.SkipLocked), platform, now, now)
		if err != nil {
			return err
		}
		claimed.LeaseUntil = &until
		_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE check_actions SET lease_until = ? WHERE id = ?`), until, claimed.ID)
		return err
	})
	if err != nil {
		return Action{}, fmt.Errorf("claiming action: %w", err)
	}
	return claimed, nil
}

// Subject reads what an action is about now.
func (a *Actions) Subject(ctx context.Context, action Action) (s buttons.Subject, err error) {
	err = a.db.GetContext(ctx, &s.Scan, a.db.Rebind(`
		SELECT `+sqldb.ColumnsOf[core.Scan]()+` FROM scans WHERE commit_sha = ? AND project_id + 0 = ? ORDER BY attempt DESC LIMIT 1`),
		action.CommitSHA, action.ProjectID)
	s.Scan.ProjectName = action.ProjectName
	if err == nil {
		err = a.db.GetContext(ctx, &s.Check, a.db.Rebind(`
			SELECT `+sqldb.ColumnsOf[core.Status]()+` FROM commit_statuses WHERE first_scan_id = ? AND kind || '' = 'check' ORDER BY context LIMIT 1`),
			s.Scan.First())
	}
	if err = sqldb.Classify(err); err == nil || errors.Is(err, core.ErrNotFound) {
		err = sqldb.Classify(a.db.GetContext(ctx, &s.IsHead, a.db.Rebind(`
			SELECT EXISTS (SELECT 1 FROM refs WHERE project_id = ? AND sha = ?) OR EXISTS (SELECT 1 FROM requests
				WHERE project_id = ? AND head_sha = ? AND is_open)`), action.ProjectID, action.CommitSHA, action.ProjectID, action.CommitSHA))
	}
	if err != nil {
		return s, fmt.Errorf("reading what an action is about: %w", err)
	}
	return s, nil
}

// Finish ends the lease of a claimed action that is decided. core.ErrConflict when the lease was lost.
func (a *Actions) Finish(ctx context.Context, action Action) error {
	return a.settle(ctx, action, `done_at = ?`, a.now())
}

// Retry ends the lease of a claimed action that could not be decided. core.ErrConflict when the lease was lost.
func (a *Actions) Retry(ctx context.Context, action Action, after time.Duration) error {
	return a.settle(ctx, action, `attempts = attempts + 1, next_attempt_at = ?`, a.now().Add(after))
}

func (a *Actions) settle(ctx context.Context, action Action, set string, at time.Time) error {
	err := a.db.Transact(ctx, func(tx *sqlx.Tx) error {
		done, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE check_actions SET `+set+`, lease_until = NULL WHERE id = ? AND lease_until = ?`),
			at, action.ID, action.LeaseUntil)
		return sqldb.OneRow(done, err, "the lease was lost")
	})
	if err != nil {
		return fmt.Errorf("settling action %d: %w", action.ID, err)
	}
	return nil
}
