package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/naming"
	"github.com/scanhook/scanhook/store/sqldb"
)

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
