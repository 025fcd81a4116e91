package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// TrackedProject is a project whose branches and tags are compared with its scans from time to time.
type TrackedProject struct {
	ID             int64      `db:"id"`
	SourcePlatform string     `db:"source_platform"`
	ProjectName    string     `db:"project_name"`
	ProjectRef     string     `db:"project_ref"`
	SyncedAt       *time.Time `db:"synced_at"` // nil before the first look that succeeded
	NextSyncAt     time.Time  `db:"next_sync_at"`
	LeaseUntil     *time.Time `db:"lease_until"`
	Failures       int        `db:"failures"`   // since the last look that succeeded
	LastError      string     `db:"last_error"` // of the last look, or empty
}

var trackedColumns = sqldb.ColumnsOf[TrackedProject]()

// KnownProject is a project that a scan or a delivery names.
type KnownProject struct {
	SourcePlatform string `db:"source_platform"`
	ProjectName    string `db:"project_name"`
	ProjectRef     string `db:"project_ref"` // empty where unknown
	LastID         int64  `db:"last_id"`     // of the newest scan or delivery that names it
}

// TrackProjects adds tracked projects; known ones stay as they are. One that has another name by now is still the same
// project, because it is identified by its number.
func (s *Store) TrackProjects(ctx context.Context, projects []KnownProject) error {
	projects = slices.Clone(projects)
	for i := range projects {
		if err := s.respell(ctx, projects[i].SourcePlatform, &projects[i].ProjectName); err != nil {
			return fmt.Errorf("watching projects: %w", err)
		}
	}
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		for _, p := range projects {
			if err := s.track(ctx, tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("watching projects: %w", err)
	}
	return nil
}

func (s *Store) track(ctx context.Context, tx *sqlx.Tx, p KnownProject) error {
	if p.ProjectRef != "" {
		// Of several names that the project had, one row goes on at most.
		_, err := tx.NamedExecContext(ctx, `
			DELETE FROM tracked_projects
			WHERE source_platform = :source_platform AND project_ref = :project_ref AND project_name <> :project_name
				AND (EXISTS (SELECT 1 FROM tracked_projects same
						WHERE same.source_platform = :source_platform AND same.project_name = :project_name)
					OR id < (SELECT MAX(id) FROM tracked_projects other
						WHERE other.source_platform = :source_platform AND other.project_ref = :project_ref))`, p)
		if err != nil {
			return err
		}
		_, err = tx.NamedExecContext(ctx, `
			UPDATE tracked_projects SET project_name = :project_name
			WHERE source_platform = :source_platform AND project_ref = :project_ref AND project_name <> :project_name
				AND NOT EXISTS (SELECT 1 FROM tracked_projects
					WHERE source_platform = :source_platform AND project_name = :project_name)`, p)
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO tracked_projects (source_platform, project_name, project_ref, next_sync_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (source_platform, project_name) DO UPDATE SET project_ref = excluded.project_ref
		WHERE tracked_projects.project_ref = ''`), p.SourcePlatform, p.ProjectName, p.ProjectRef, s.clock.Timestamp())
	return err
}

// ListScanned returns the projects that scans with an id above since name, the one named last at the end.
func (s *Store) ListScanned(ctx context.Context, since int64) (list []KnownProject, err error) {
	return s.listProjects(ctx, "listing scanned projects", since, `
		SELECT source_platform, project_name, project_ref, MAX(id) AS last_id FROM scans
		WHERE id > ? GROUP BY source_platform, project_name, project_ref ORDER BY last_id`)
}

// ListAnnounced returns the projects that deliveries with an id above since name, the one named last at the end.
func (s *Store) ListAnnounced(ctx context.Context, since int64) (list []KnownProject, err error) {
	return s.listProjects(ctx, "listing announced projects", since, `
		SELECT platform AS source_platform, project_name, '' AS project_ref, MAX(id) AS last_id FROM deliveries
		WHERE id > ? AND project_name <> '' GROUP BY platform, project_name ORDER BY last_id`)
}

func (s *Store) listProjects(ctx context.Context, doing string, since int64, query string) ([]KnownProject, error) {
	var list []KnownProject
	if err := s.db.SelectContext(ctx, &list, s.db.Rebind(query), since); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, sqldb.Classify(err))
	}
	return list, nil
}

// ListTrackedSince returns a platform's tracked projects that were added after the one with the id since.
func (s *Store) ListTrackedSince(ctx context.Context, platform string, since int64) (list []TrackedProject, err error) {
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+trackedColumns+` FROM tracked_projects WHERE source_platform = ? AND id > ? ORDER BY id`), platform, since)
	if err != nil {
		return nil, fmt.Errorf("listing tracked projects: %w", sqldb.Classify(err))
	}
	return list, nil
}

// GetTrackedProject returns a tracked project, or core.ErrNotFound.
func (s *Store) GetTrackedProject(ctx context.Context, platform, project string) (w TrackedProject, err error) {
	project, err = s.ProjectName(ctx, platform, project)
	if err == nil {
		err = s.db.GetContext(ctx, &w, s.db.Rebind(`
			SELECT `+trackedColumns+` FROM tracked_projects
			WHERE source_platform = ? AND project_name = ?`), platform, project)
	}
	if err != nil {
		return TrackedProject{}, fmt.Errorf("getting %s: %w", project, sqldb.Classify(err))
	}
	return w, nil
}

// MarkProjectsDue makes every sync due after the pause that would be due later, so that what was pushed during a
// downtime is found soon.
func (s *Store) MarkProjectsDue(ctx context.Context, pause time.Duration) error {
	at := s.clock.Timestamp().Add(pause)
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE tracked_projects SET next_sync_at = ? WHERE next_sync_at > ?`), at, at)
		return err
	})
	if err != nil {
		return fmt.Errorf("hastening looks: %w", err)
	}
	return nil
}

// ClaimDueProject leases the project of one of the platforms that has waited longest for its sync; core.ErrNotFound
// when none is due.
func (s *Store) ClaimDueProject(ctx context.Context, platforms []string, lease time.Duration) (claimed TrackedProject, err error) {
	if len(platforms) == 0 {
		return TrackedProject{}, fmt.Errorf("claiming project: %w: no platform can be asked", core.ErrNotFound)
	}
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		return s.claimOne(ctx, tx, &claimed, claim{
			table: `tracked_projects`, set: setLease,
			rows: s.firstDue(`tracked_projects`, `source_platform IN (:platforms) AND next_sync_at <= :now AND `+unleased,
				`next_sync_at, id`),
			guard: unleased, columns: trackedColumns,
		}, lease, map[string]any{"platforms": platforms})
	})
	if err != nil {
		return TrackedProject{}, fmt.Errorf("claiming project: %w", err)
	}
	return claimed, nil
}

// ClaimProject leases one project, whenever its sync is due. core.ErrConflict while another process syncs it.
func (s *Store) ClaimProject(ctx context.Context, p KnownProject, lease time.Duration) (claimed TrackedProject, err error) {
	if err := s.respell(ctx, p.SourcePlatform, &p.ProjectName); err != nil {
		return TrackedProject{}, fmt.Errorf("claiming %s: %w", p.ProjectName, err)
	}
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		if err := s.track(ctx, tx, p); err != nil {
			return err
		}
		err := s.claimOne(ctx, tx, &claimed, claim{
			table: `tracked_projects`, set: setLease, rows: `source_platform = :platform AND project_name = :project`,
			guard: unleased, columns: trackedColumns,
		}, lease, map[string]any{"platform": p.SourcePlatform, "project": p.ProjectName})
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: another process is syncing it", core.ErrConflict)
		}
		return err
	})
	if err != nil {
		return TrackedProject{}, fmt.Errorf("claiming %s: %w", p.ProjectName, err)
	}
	return claimed, nil
}

// SettleProject ends the lease. failure is empty after a sync that succeeded. core.ErrConflict when the lease was lost.
func (s *Store) SettleProject(ctx context.Context, w TrackedProject, pause time.Duration, failure string) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock.Timestamp()
		settled, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE tracked_projects SET lease_until = NULL, next_sync_at = ?, last_error = ?,
				failures = CASE WHEN ? = '' THEN 0 ELSE failures + 1 END,
				synced_at = CASE WHEN ? = '' THEN ? ELSE synced_at END
			WHERE id = ? AND lease_until = ?`),
			now.Add(pause), failure, failure, failure, now, w.ID, w.LeaseUntil)
		return sqldb.OneRow(settled, err, "the lease was lost")
	})
	if err != nil {
		return fmt.Errorf("settling %s: %w", w.ProjectName, err)
	}
	return nil
}

// RenameProject gives a project the name that its platform uses, and with it what is known of the old one. Where the
// new name is tracked already, the old one is removed, and the error is core.ErrConflict.
func (s *Store) RenameProject(ctx context.Context, w TrackedProject, name string) error {
	if err := s.respell(ctx, w.SourcePlatform, &name); err != nil {
		return fmt.Errorf("renaming %s: %w", w.ProjectName, err)
	}
	if name == w.ProjectName {
		return nil
	}
	forgotten := false
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		if err := linkNames(ctx, tx, w.SourcePlatform, name, []string{w.ProjectName}); err != nil {
			return err
		}
		gone, err := sqldb.Exec(ctx, tx, `
			DELETE FROM tracked_projects WHERE id = ? AND EXISTS (SELECT 1 FROM tracked_projects
				WHERE source_platform = ? AND project_name = ?)`, w.ID, w.SourcePlatform, name)
		forgotten = gone > 0
		if err != nil || forgotten {
			return err
		}
		_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE tracked_projects SET project_name = ? WHERE id = ?`), name, w.ID)
		return err
	})
	if err == nil && forgotten {
		err = fmt.Errorf("%w: the new name is tracked already", core.ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("renaming %s: %w", w.ProjectName, err)
	}
	return nil
}
