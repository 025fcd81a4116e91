package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// holdLimit is how long a status waits for somebody to fix the token. Statuses of older commits help nobody.
const holdLimit = 7 * 24 * time.Hour

// holdCount is how many holds keep a row due of commit_statuses from being posted: of the project, or of its branch.
const holdCount = `(SELECT COUNT(*) FROM status_holds t
	WHERE t.source_platform = due.source_platform AND t.project_name = due.project_name AND t.branch IN ('', due.branch))`

// waitingForNamed selects the statuses that a hold of a platform, project and branch keeps from being posted. It uses the
// expression of commit_statuses_waiting, the one index that fits.
const waitingForNamed = `source_platform || '/' || project_name = CAST(:platform AS TEXT) || '/' || CAST(:project AS TEXT)
	AND (:branch = '' OR branch = :branch) AND posted_revision < revision AND NOT given_up`

// waitingFor is the same for platform, project, and twice the branch.
var waitingFor = strings.NewReplacer(`:platform`, `?`, `:project`, `?`, `:branch`, `?`).Replace(waitingForNamed)

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
	where.Add(platform != "", `source_platform = ?`, platform)
	where.Add(platform != "", `project_name = ?`, project)
	var list []core.Hold
	query := s.db.Rebind(`SELECT ` + holdColumns + ` FROM status_holds ` + where.SQL() + ` ORDER BY since, id`)
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

var holdColumns = sqldb.ColumnsOf[core.Hold]()

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
		DELETE FROM status_holds WHERE id = ? AND NOT EXISTS (SELECT 1 FROM commit_statuses WHERE `+waitingFor+`)`),
		h.ID, h.SourcePlatform, h.ProjectName, h.Branch, h.Branch)
	return err
}

// putHold records a refused post. A probe that is due already stays due: it was requested while this post was in
// progress, which may have begun before the token was fixed.
func putHold(ctx context.Context, tx *sqlx.Tx, status core.Status, end PostResult, now time.Time) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO status_holds (source_platform, project_name, branch, code, reason, since, probes, next_probe_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (source_platform, project_name, branch) DO UPDATE SET code = excluded.code, reason = excluded.reason,
			probes = CASE WHEN excluded.probes > status_holds.probes THEN excluded.probes ELSE status_holds.probes END,
			next_probe_at = CASE WHEN status_holds.next_probe_at <= ? THEN status_holds.next_probe_at
				ELSE excluded.next_probe_at END`),
		status.SourcePlatform, status.ProjectName, end.Hold.Branch, end.Code, end.Error, now, end.Hold.Probes,
		now.Add(end.RetryAfter), now)
	return err
}

// liftHold makes everything due that waited because of the whole project or of the branch, and has the platform's other
// holds probed: what fixed one may have fixed them all.
func (s *Store) liftHold(
	ctx context.Context, tx *sqlx.Tx, status core.Status, branch string, now time.Time) error {
	ended, err := sqldb.Exec(ctx, tx, `
		DELETE FROM status_holds WHERE source_platform = ? AND project_name = ? AND branch IN ('', ?)`,
		status.SourcePlatform, status.ProjectName, branch)
	if err != nil || ended == 0 {
		return err
	}
	status.Branch = ""
	err = s.eachWaiting(ctx, tx, status, now.Add(holdLimit), `
		UPDATE commit_statuses SET next_attempt_at = ?, due_since = ?, attempts = 0, last_error = '' WHERE id IN (?)`, now, now)
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
