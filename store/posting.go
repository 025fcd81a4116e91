package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/naming"
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

// driftReasons are the reasons in the log of deliveries.
var driftReasons = map[core.Drift]string{
	"":                "statuses of others start no scan",
	core.DriftOwn:     "our own status came back: it starts no scan",
	core.DriftOlder:   "a status that was posted before ours, or was seen before: it starts no scan",
	core.DriftEqual:   "a status equal to ours: it starts no scan",
	core.DriftPending: "our own status is about to be posted: this one starts no scan",
	core.DriftUnknown: "a status that may stand in the place of ours: the platform is asked which does",
	core.DriftForeign: "a status that is not ours stands in the place of ours: it is kept with the scan",
}

// ObserveStatus compares a status that a platform shows with ours of the same commit and context. One of another
// program is kept with the attempts, and ours is posted again after a pause that grows. One without a number has the
// platform asked. The drift is empty where we have no status of that context.
func (s *Store) ObserveStatus(ctx context.Context, platform string, seen core.ObservedStatus) (core.Drift, error) {
	now := s.clock.Timestamp()
	status, err := s.statusIn(ctx, platform, seen)
	drift := core.Drift("")
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", nil
	case err == nil:
		drift = status.DriftTo(seen, now)
	}
	switch {
	case err == nil && drift == core.DriftForeign:
		err = s.recordOverwrite(ctx, status, seen, now)
	case err == nil && drift == core.DriftOwn && status.CheckAt != nil:
		err = s.confirmPosted(ctx, status)
	case err == nil && drift == core.DriftUnknown:
		err = s.markCheckDue(ctx, status, now)
	}
	if err != nil {
		return "", fmt.Errorf("observing status of %s: %w", seen.CommitSHA, sqldb.Classify(err))
	}
	return drift, nil
}

// statusIn finds ours in the place of one that was observed, by the project's id where the platform states it.
func (s *Store) statusIn(ctx context.Context, platform string, seen core.ObservedStatus) (core.Status, error) {
	project, err := s.meant(ctx, naming.Sighting{Platform: platform, Project: seen.Project})
	if errors.Is(err, core.ErrNotFound) {
		return core.Status{}, sql.ErrNoRows
	}
	var list []core.Status
	if err == nil {
		err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
			SELECT `+statusColumns+` FROM commit_statuses WHERE first_scan_id = `+firstOfCommit),
			seen.CommitSHA, project.ID)
	}
	for _, status := range list {
		if status.HasContext(seen.Context) {
			return status, err
		}
	}
	if err == nil {
		err = sql.ErrNoRows
	}
	return core.Status{}, err
}

// recordOverwrite does nothing where another process has handled it meanwhile.
func (s *Store) recordOverwrite(ctx context.Context, status core.Status, seen core.ObservedStatus, now time.Time) error {
	at := now.Add(status.RestorePause())
	return s.write(ctx, func(tx *sqlx.Tx) error {
		first, err := sqldb.Exec(ctx, tx, `
			UPDATE commit_statuses SET observed_id = ?, revision = revision + 1, restored_revision = revision + 1, overwrites = overwrites + 1,
				attempts = 0, next_attempt_at = ?, due_since = ?
			WHERE `+thisStatus+` AND revision = ? AND posted_revision = revision AND observed_id < ? AND lease_until IS NULL`,
			seen.ID, at, at, status.FirstScanID, status.Context, status.Revision, seen.ID)
		if err != nil || first == 0 {
			return err
		}
		return keepPost(ctx, tx, status, core.StatusPost{
			FirstScanID: status.FirstScanID, ScanID: status.ScanID, Context: status.Context, Revision: status.Revision,
			State: seen.State, Description: seen.Description, Outcome: core.PostOverwritten,
			Answer: status.DriftText(seen), At: now, LastAt: now,
		})
	})
}

// confirmPosted saves questions to the platform that its webhooks answer.
func (s *Store) confirmPosted(ctx context.Context, status core.Status) error {
	return s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE commit_statuses SET observed_id = posted_id WHERE `+thisStatus+` AND observed_id < posted_id`),
			status.FirstScanID, status.Context)
		return err
	})
}

// markCheckDue has the platform asked which status it shows.
func (s *Store) markCheckDue(ctx context.Context, status core.Status, now time.Time) error {
	return s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE commit_statuses SET check_at = ? WHERE `+thisStatus+` AND (check_at IS NULL OR check_at > ?)`),
			now, status.FirstScanID, status.Context, now)
		return err
	})
}

// ClaimDriftCheck takes a posted status of a platform whose check is due; core.ErrNotFound when there is none. Its
// CheckAt is when the check was due; the next one is again after it, if that is not 0.
func (s *Store) ClaimDriftCheck(
	ctx context.Context, platform string, next func(core.Status) time.Duration) (core.Status, error) {
	var status core.Status
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		err := tx.GetContext(ctx, &status, tx.Rebind(`
			SELECT `+statusColumns+` FROM commit_statuses
			WHERE `+s.firstDueBy(`first_scan_id, context`, `commit_statuses`, `source_platform = ? AND check_at <= ?`, `check_at`)),
			platform, s.clock.Timestamp())
		if err != nil {
			return err
		}
		var again *time.Time
		if pause := next(status); pause > 0 {
			at := status.CheckAt.Add(pause)
			again = &at
		}
		_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE commit_statuses SET check_at = ? WHERE `+thisStatus), again, status.FirstScanID, status.Context)
		return err
	})
	if err != nil {
		return core.Status{}, fmt.Errorf("claiming check: %w", err)
	}
	return status, nil
}
