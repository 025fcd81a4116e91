package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// holdLimit is how long a status waits for somebody to fix the token. Statuses of older commits help nobody.
const holdLimit = 7 * 24 * time.Hour

// heldForNamed selects the statuses that a hold of a project and branch keeps from being posted.
const heldForNamed = `held AND project_id = :project AND (:branch = '' OR branch = :branch)`

// heldFor is the same for the project, and twice the branch.
var heldFor = strings.NewReplacer(`:project`, `?`, `:branch`, `?`).Replace(heldForNamed)

// holds are those of some projects.
type holds []core.Hold

// keep tells whether one of the holds keeps a project's statuses for a branch from being posted, and why.
func (h holds) keep(project int64, branch string) (reason string, held bool) {
	for _, hold := range h {
		if hold.ProjectID == project && (hold.Branch == "" || hold.Branch == branch) {
			return hold.Reason, true
		}
	}
	return "", false
}

// holdsOf reads the holds of projects. None is lifted before this transaction ends: who lifts it releases
// what the transaction holds.
func (s *Store) holdsOf(ctx context.Context, tx *sqlx.Tx, projects []int64) (list holds, err error) {
	slices.Sort(projects)
	err = sqldb.SelectIn(ctx, tx, &list, `
		SELECT project_id, branch, reason FROM status_holds WHERE project_id IN (?) ORDER BY id `+s.db.ForKeyShare,
		slices.Compact(projects))
	return list, err
}

// ProbeHolds has one status of each project with a hold posted at once, because the credential may have changed.
func (s *Store) ProbeHolds(ctx context.Context) error {
	now := s.clock.Timestamp()
	err := s.write(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE status_holds SET next_probe_at = ?, probes = 1 WHERE next_probe_at > ?`), now, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("probing holds: %w", err)
	}
	return nil
}

// ListHolds returns the holds of a project, or those of all where platform is empty, the oldest first.
func (s *Store) ListHolds(ctx context.Context, platform, project string) ([]core.Hold, error) {
	var where sqldb.Conditions
	where.Add(platform != "", `project_id IN (SELECT id FROM projects WHERE platform = ? AND name_key = ?)`,
		platform, core.ProjectKey(project))
	var list []core.Hold
	query := s.db.Rebind(`SELECT ` + holdColumns + `
		FROM status_holds ` + where.SQL() + ` ORDER BY since, id`)
	if err := s.db.SelectContext(ctx, &list, query, where.Args...); err != nil {
		return nil, fmt.Errorf("listing holds: %w", sqldb.Classify(err))
	}
	return list, nil
}

// Holds lists the holds in the database at url, and has them probed at once by the process that serves it. The schema
// is not touched; the error is core.ErrNotFound where there is no database yet.
func Holds(ctx context.Context, url string) ([]core.Hold, error) {
	s, err := Attach(ctx, Config{URL: url})
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	list, err := s.ListHolds(ctx, "", "")
	if sqldb.IsUndefined(err) {
		return nil, fmt.Errorf("%w: there are no tables yet", core.ErrNotFound)
	}
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list, s.ProbeHolds(ctx)
}

var holdColumns = sqldb.ColumnsOf[core.Hold]() + `, ` + ofProject("", "name") + ` AS project_name`

// claimHold takes a hold whose probe is due; the zero Hold where there is none.
func (s *Store) claimHold(
	ctx context.Context, tx *sqlx.Tx, onPlatforms []string, limit int, lease time.Duration) (core.Hold, error) {
	var due []core.Hold
	if limit <= 0 || len(onPlatforms) == 0 {
		return core.Hold{}, nil
	}
	err := s.claimAll(ctx, tx, &due, claim{
		table: `status_holds`, set: `next_probe_at = :until`,
		rows:  s.firstDue(`status_holds`, `source_platform IN (:platforms) AND next_probe_at <= :now`, `next_probe_at, id`),
		guard: `next_probe_at <= :now`, columns: holdColumns,
	}, lease, map[string]any{"platforms": onPlatforms})
	return append(due, core.Hold{})[0], err
}

// forgetHold removes a hold without waiting statuses. The next push finds out whether it can be posted.
func forgetHold(ctx context.Context, tx *sqlx.Tx, h core.Hold) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		DELETE FROM status_holds WHERE id = ? AND NOT EXISTS (SELECT 1 FROM commit_statuses WHERE `+heldFor+`)`),
		h.ID, h.ProjectID, h.Branch, h.Branch)
	return err
}

// putHold records a refused post. A probe that is due already stays due: it was requested while this post was in
// progress, which may have begun before the token was fixed.
func putHold(ctx context.Context, tx *sqlx.Tx, status core.Status, end PostResult, now time.Time) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO status_holds (source_platform, project_id, branch, code, reason, since, probes, next_probe_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (project_id, branch) DO UPDATE SET code = excluded.code, reason = excluded.reason,
			probes = CASE WHEN excluded.probes > status_holds.probes THEN excluded.probes ELSE status_holds.probes END,
			next_probe_at = CASE WHEN status_holds.next_probe_at <= ? THEN status_holds.next_probe_at
				ELSE excluded.next_probe_at END`),
		status.SourcePlatform, status.ProjectID, end.Hold.Branch, end.Code, end.Error, now, end.Hold.Probes,
		now.Add(end.RetryAfter), now)
	return err
}

// liftHold makes everything due that waited because of the whole project or of the branch, and has the platform's other
// holds probed: what fixed one may have fixed them all.
func (s *Store) liftHold(
	ctx context.Context, tx *sqlx.Tx, status core.Status, branch string, now time.Time) error {
	ended, err := sqldb.Exec(ctx, tx, `
		DELETE FROM status_holds WHERE project_id = ? AND branch IN ('', ?)`, status.ProjectID, branch)
	if err != nil || ended == 0 {
		return err
	}
	status.Branch = ""
	err = s.eachHeld(ctx, tx, status, now.Add(holdLimit), `
		UPDATE commit_statuses SET held = FALSE, next_attempt_at = ?, due_since = ?, attempts = 0, last_error = ''
		WHERE `+theseStatuses, now, now)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE status_holds SET next_probe_at = ?
		WHERE id IN (SELECT id FROM status_holds
			WHERE source_platform = ? AND next_probe_at > ? `+s.db.SkipLocked+`)`),
		now, status.SourcePlatform, now)
	return err
}

// giveUpLate gives up the statuses of a project with a hold that have waited too long.
func (s *Store) giveUpLate(
	ctx context.Context, tx *sqlx.Tx, status core.Status, end PostResult, now time.Time) error {
	late := fmt.Sprintf("waited for %d days: %s", holdLimit/(24*time.Hour), end.Error)
	status.FirstScanID, status.Branch = 0, end.Hold.Branch // this one as well
	return s.eachHeld(ctx, tx, status, now.Add(-holdLimit),
		`UPDATE commit_statuses SET given_up = TRUE, held = FALSE, last_error = ? WHERE `+theseStatuses, late)
}

// heldPerStatement is how many held statuses one statement changes.
const heldPerStatement = 100

// eachHeld updates the held statuses of a project, or of a branch of it, that have waited since then or longer, except the
// given one. The last parameters of the update are those of theseStatuses. They are read in the order of their index, which no
// engine estimates to cost as much as reading the whole table.
func (s *Store) eachHeld(
	ctx context.Context, tx *sqlx.Tx, but core.Status, since time.Time, update string, args ...any) error {
	type place struct {
		statusKey
		DesiredAt time.Time `db:"desired_at"`
	}
	for last := (place{}); ; {
		var some []place
		err := tx.SelectContext(ctx, &some, tx.Rebind(`
			SELECT first_scan_id, context, desired_at FROM commit_statuses
			WHERE `+heldFor+` AND (desired_at, first_scan_id, context) > (?, ?, ?) AND desired_at <= ? AND NOT (`+thisStatus+`)
			ORDER BY desired_at, first_scan_id, context LIMIT ?`),
			but.ProjectID, but.Branch, but.Branch, last.DesiredAt, last.FirstScanID, last.Context, since, but.FirstScanID, but.Context,
			heldPerStatement)
		if err != nil || len(some) == 0 {
			return err
		}
		last = some[len(some)-1]
		keys := make([]statusKey, len(some))
		for i, one := range some {
			keys[i] = one.statusKey
		}
		commits, texts := theseKeys(keys)
		if _, err := sqldb.ExecIn(ctx, tx, update, append(slices.Clone(args), commits, texts)...); err != nil {
			return err
		}
	}
}
