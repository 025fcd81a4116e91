// Package removal deletes projects with everything that is known of them. From the moment at which somebody asks for it, nobody finds the
// project any more: a call that names it makes another one. What it has goes in batches, each in a transaction of its own, so that nothing
// else waits for it, however much there is. What was done stays in the audit.
package removal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Removal is a project that is deleted. Its db tags are the columns of the table project_removals.
type Removal struct {
	ProjectID   int64      `db:"project_id"`
	Platform    string     `db:"platform"`
	PlatformRef string     `db:"platform_ref"` // its id on the platform, or empty
	Name        string     `db:"name"`
	RepoURL     string     `db:"repo_url"`
	AskedBy     string     `db:"asked_by"`
	AskedAt     time.Time  `db:"asked_at"`
	EndedAt     *time.Time `db:"ended_at"` // nil while something is left
}

var columns = sqldb.ColumnsOf[Removal]()

const (
	// batch is how many rows a transaction deletes at most, besides those that go with them.
	batch = 1000
	// scansAtOnce is how many scans go together. Their findings, of which there may be very many, go before.
	scansAtOnce = 20
	// staleFor is how long a process may take the name for the deleted project, because it read that before.
	staleFor = 2 * time.Minute
	// keptFor is how long it is known that a project was deleted, for processes that were away.
	keptFor = 30 * 24 * time.Hour
)

// Removals reads and does them in a database.
type Removals struct {
	db  *sqldb.DB
	now func() time.Time
}

// New returns the removals of a database. now is in whole microseconds.
func New(db *sqldb.DB, now func() time.Time) *Removals { return &Removals{db, now} }

// Ask has a project deleted: it loses its names, and its rows go later. It is part of a transaction.
func (r *Removals) Ask(ctx context.Context, tx *sqlx.Tx, project core.KeptProject, by string) error {
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO project_removals (project_id, platform, platform_ref, name, repo_url, asked_by, asked_at)
		VALUES (:project_id, :platform, :platform_ref, :name, :repo_url, :asked_by, :asked_at)`, Removal{
		ProjectID: project.ID, Platform: project.Platform, PlatformRef: project.Ref, Name: project.Name, RepoURL: project.RepoURL,
		AskedBy: by, AskedAt: r.now(),
	})
	for _, statement := range []string{
		`DELETE FROM former_names WHERE project_id = ?`,
		`DELETE FROM tracked_projects WHERE project_id = ?`,
		`DELETE FROM status_holds WHERE project_id = ?`,
		`DELETE FROM hook_targets WHERE project_id = ?`,
	} {
		if err == nil {
			_, err = tx.ExecContext(ctx, tx.Rebind(statement), project.ID)
		}
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE projects SET name_key = ?, platform_ref = '', gone_at = COALESCE(gone_at, ?) WHERE id = ?`),
		fmt.Sprintf("deleted %d", project.ID), r.now(), project.ID)
	return err
}

// Since are the projects that somebody had deleted since then, for those who keep something of them elsewhere.
func (r *Removals) Since(ctx context.Context, then time.Time) (list []Removal, err error) {
	err = r.db.SelectContext(ctx, &list, r.db.Rebind(`SELECT `+columns+` FROM project_removals WHERE asked_at >= ? ORDER BY asked_at`), then.UTC())
	if err != nil {
		return nil, fmt.Errorf("listing deleted projects: %w", sqldb.Classify(err))
	}
	return list, nil
}

// Step deletes a batch of the rows of a project that somebody had deleted; worked is false when nothing is left to do. ended is the project
// whose last rows this was.
func (r *Removals) Step(ctx context.Context) (worked bool, ended *Removal, err error) {
	var next []Removal
	err = r.db.SelectContext(ctx, &next, `SELECT `+columns+` FROM project_removals WHERE ended_at IS NULL ORDER BY asked_at LIMIT 1`)
	if err != nil || len(next) == 0 {
		if err == nil {
			err = r.forget(ctx)
		}
		return false, nil, wrap(err)
	}
	for _, step := range steps {
		n, err := step(ctx, r, next[0])
		if errors.Is(err, errBusy) {
			return false, nil, nil
		}
		if err != nil || n > 0 {
			return err == nil, nil, wrap(err)
		}
	}
	if r.now().Sub(next[0].AskedAt) < staleFor {
		return false, nil, nil
	}
	if err := r.end(ctx, next[0]); err != nil {
		if errors.Is(err, errBusy) {
			err = nil
		}
		return false, nil, wrap(err)
	}
	return true, &next[0], nil
}

func wrap(err error) error {
	if err = sqldb.Classify(err); err != nil {
		return fmt.Errorf("deleting a project: %w", err)
	}
	return nil
}

// forget removes the notes of projects that were deleted long ago.
func (r *Removals) forget(ctx context.Context) error {
	before := r.now().Add(-keptFor)
	var old []int64
	err := r.db.SelectContext(ctx, &old, r.db.Rebind(`SELECT project_id FROM project_removals WHERE ended_at < ?`), before)
	if err != nil || len(old) == 0 {
		return err
	}
	return r.transact(ctx, func(tx *sqlx.Tx) error {
		_, err := sqldb.ExecIn(ctx, tx, `DELETE FROM project_removals WHERE project_id IN (?)`, old)
		return err
	})
}

// errBusy says that another process deletes.
var errBusy = errors.New("another process deletes projects")

// transact lets one process at a time delete.
func (r *Removals) transact(ctx context.Context, work func(*sqlx.Tx) error) error {
	return r.db.Transact(ctx, func(tx *sqlx.Tx) error {
		locked, err := r.db.TryLockTable(ctx, tx, "project_removals")
		if err == nil && !locked {
			err = errBusy
		}
		if err != nil {
			return err
		}
		return work(tx)
	})
}

// step deletes a batch of something that a project has, and returns how many rows; 0 when none is left.
type step func(ctx context.Context, r *Removals, of Removal) (int64, error)

// steps are all of them, in order: what lists of all projects show goes first, and rows before those that they name.
var steps = []step{
	keyed("alert_tallies", "shelf, project_id, severity, tool, rule_id", `shelf IN ('open', 'branch', 'dismissed', 'fixed') AND project_id = ?`),
	removeAlerts, // lists of all projects have them until then
	removeScans,
	keyed("open_alerts", "head_id, alert_id", `head_id IN (SELECT id FROM alert_heads WHERE project_id = ?)`),
	keyed("searched_contents", "project_id, rules, blob, class", `project_id = ?`),
	keyed("searched_commits", "project_id, rules, commit_sha", `project_id = ?`),
	keyed("refs", "project_id, name", `project_id = ?`),
	keyed("ref_doubts", "project_id, name", `project_id = ?`),
	keyed("requests", "project_id, number", `project_id = ?`),
	keyed("request_notes", "project_id, number", `project_id = ?`),
	keyed("alert_heads", "project_id, ref", `project_id = ?`),
	keyed("project_days", "project_id, day", `project_id = ?`),
	removeDeliveries,
	forgetInAudit,
}

// keyed deletes the rows of a table that a condition selects by the project.
func keyed(table, key, condition string) step {
	return func(ctx context.Context, r *Removals, of Removal) (n int64, err error) {
		var left bool
		err = r.db.GetContext(ctx, &left, r.db.Rebind(`SELECT EXISTS (SELECT 1 FROM `+table+` WHERE `+condition+`)`), of.ProjectID)
		if err != nil || !left {
			return 0, err
		}
		err = r.transact(ctx, func(tx *sqlx.Tx) error {
			n, err = sqldb.Exec(ctx, tx, `DELETE FROM `+table+` WHERE `+condition+` AND (`+key+`) IN (SELECT `+key+` FROM `+table+`
				WHERE `+condition+` LIMIT ?)`, of.ProjectID, of.ProjectID, batch)
			return err
		})
		return n, err
	}
}

// removeScans deletes a few scans: their findings and what reports say of them first, in batches, then the rest with the scans.
func removeScans(ctx context.Context, r *Removals, of Removal) (n int64, err error) {
	var scans []int64
	err = r.db.SelectContext(ctx, &scans, r.db.Rebind(`
		SELECT scan_id FROM outcomes WHERE project_id = ? ORDER BY outcome, scan_id + 0 LIMIT ?`), of.ProjectID, scansAtOnce)
	if err == nil && len(scans) == 0 { // those that have not ended have no outcome, but an index
		err = r.db.SelectContext(ctx, &scans, r.db.Rebind(`
			SELECT id FROM scans WHERE project_id = ? AND status IN ('pending', 'processing') LIMIT ?`), of.ProjectID, scansAtOnce)
	}
	if err != nil || len(scans) == 0 {
		return 0, err
	}
	err = r.transact(ctx, func(tx *sqlx.Tx) error {
		for _, statement := range []string{
			`DELETE FROM findings WHERE id IN (SELECT id FROM findings WHERE scan_id IN (?) LIMIT ?)`,
			`DELETE FROM finding_details WHERE (job_id, fingerprint) IN (SELECT d.job_id, d.fingerprint FROM scan_jobs j
				JOIN finding_details d ON d.job_id = j.id WHERE j.scan_id IN (?) LIMIT ?)`,
		} {
			if n, err = sqldb.ExecIn(ctx, tx, statement, scans, batch); err != nil || n > 0 {
				return err
			}
		}
		for _, statement := range []string{
			`UPDATE deliveries SET scan_id = NULL WHERE id IN (SELECT delivery_id FROM scans WHERE id IN (?))`,
			`UPDATE deliveries SET scan_id = NULL WHERE scan_id IN (?) AND outcome <> 'scan_created'`,
			`DELETE FROM commit_statuses WHERE first_scan_id IN (?)`,
			`DELETE FROM scans WHERE id IN (?)`,
		} {
			if n, err = sqldb.ExecIn(ctx, tx, statement, scans); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// removeAlerts deletes alerts with what was said of them.
func removeAlerts(ctx context.Context, r *Removals, of Removal) (n int64, err error) {
	var ids []int64
	err = r.db.SelectContext(ctx, &ids, r.db.Rebind(`SELECT id FROM alerts WHERE id > ? AND id < ? ORDER BY id LIMIT ?`),
		alerts.IDOf(of.ProjectID, 0), alerts.IDOf(of.ProjectID+1, 0), batch)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	err = r.transact(ctx, func(tx *sqlx.Tx) error {
		for _, table := range []string{`triage_events WHERE alert_id`, `proposals WHERE alert_id`, `alert_decisions WHERE alert_id`, `alerts WHERE id`} {
			if n, err = sqldb.ExecIn(ctx, tx, `DELETE FROM `+table+` IN (?)`, ids); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// giveBack has calls that came after a project was deleted read again, as those of another project: a process that had not heard of it took
// them for calls of this one. Those without a body cannot be read again.
const giveBack = `
	UPDATE deliveries SET state = 'kept', told = FALSE, outcome = '', error = '', derived_at = NULL, scan_id = NULL, project_id = NULL
	WHERE id IN (?) AND state IN ('derived', 'failed') AND received_at >= ? AND EXISTS (SELECT 1 FROM delivery_bodies b WHERE b.delivery_id = deliveries.id)`

// removeDeliveries deletes the log of the project's calls. What is not read yet stays: it makes another project.
func removeDeliveries(ctx context.Context, r *Removals, of Removal) (n int64, err error) {
	var ids []int64
	err = r.db.SelectContext(ctx, &ids, r.db.Rebind(`
		SELECT id FROM deliveries WHERE project_id = ? AND state <> 'kept' ORDER BY state, id LIMIT ?`), of.ProjectID, batch)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	err = r.transact(ctx, func(tx *sqlx.Tx) error {
		if n, err = sqldb.ExecIn(ctx, tx, giveBack, ids, of.AskedAt.UTC()); err != nil || n > 0 {
			return err
		}
		if _, err := sqldb.ExecIn(ctx, tx, `DELETE FROM delivery_bodies WHERE delivery_id IN (?)`, ids); err != nil {
			return err
		}
		n, err = sqldb.ExecIn(ctx, tx, `DELETE FROM deliveries WHERE id IN (?)`, ids)
		return err
	})
	return n, err
}

// forgetInAudit takes the project's number out of the audit, which keeps its name.
func forgetInAudit(ctx context.Context, r *Removals, of Removal) (n int64, err error) {
	var ids []int64
	err = r.db.SelectContext(ctx, &ids, r.db.Rebind(`SELECT id FROM audit_events WHERE project_id = ? ORDER BY id LIMIT ?`), of.ProjectID, batch)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	err = r.transact(ctx, func(tx *sqlx.Tx) error {
		n, err = sqldb.ExecIn(ctx, tx, `UPDATE audit_events SET project_id = NULL WHERE id IN (?)`, ids)
		return err
	})
	return n, err
}

// end deletes what is one row for each project, and the project.
func (r *Removals) end(ctx context.Context, of Removal) error {
	return r.transact(ctx, func(tx *sqlx.Tx) error {
		for _, statement := range []string{
			`UPDATE deliveries SET project_id = NULL WHERE project_id = ? AND state = 'kept'`,
			`DELETE FROM alert_numbers WHERE project_id = ?`, `DELETE FROM hook_calls WHERE project_id = ?`,
			`DELETE FROM signed_projects WHERE project_id = ?`, `DELETE FROM tracked_projects WHERE project_id = ?`,
			`DELETE FROM status_holds WHERE project_id = ?`, `DELETE FROM hook_targets WHERE project_id = ?`,
			`DELETE FROM former_names WHERE project_id = ?`, `DELETE FROM commit_statuses WHERE project_id = ?`,
			`DELETE FROM projects WHERE id = ?`,
		} {
			if _, err := tx.ExecContext(ctx, tx.Rebind(statement), of.ProjectID); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(`DELETE FROM removed_scans WHERE source_platform = ? AND project_name = ?`), of.Platform, of.Name); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE project_removals SET ended_at = ? WHERE project_id = ?`), r.now(), of.ProjectID)
		return err
	})
}
