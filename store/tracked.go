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

// TrackedProject is a project whose branches and tags are compared with its scans from time to time.
type TrackedProject struct {
	ID             int64      `db:"id"`
	ProjectID      int64      `db:"project_id"`
	SourcePlatform string     `db:"source_platform"`
	ProjectName    string     `db:"project_name,computed"`
	ProjectRef     string     `db:"project_ref,computed"`
	SyncedAt       *time.Time `db:"synced_at"` // nil before the first look that succeeded
	NextSyncAt     time.Time  `db:"next_sync_at"`
	LeaseUntil     *time.Time `db:"lease_until"`
	Failures       int        `db:"failures"`   // since the last look that succeeded
	LastError      string     `db:"last_error"` // of the last look, or empty
}

var trackedColumns = sqldb.ColumnsOf[TrackedProject]() + `, ` + fromProject("")

// KnownProject is a project that is known, or that the configuration or a person names.
type KnownProject struct {
	ID             int64  `db:"id"` // 0 where only its name is known
	SourcePlatform string `db:"source_platform"`
	ProjectName    string `db:"project_name"`
	ProjectRef     string `db:"project_ref"` // empty where unknown
}

// ListKnownProjects returns the projects with an id above since that bear their names, in the order in which they became known.
func (s *Store) ListKnownProjects(ctx context.Context, since int64) (list []KnownProject, err error) {
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT id, platform AS source_platform, name AS project_name, platform_ref AS project_ref FROM projects
		WHERE id > ? AND gone_at IS NULL ORDER BY id`), since)
	if err != nil {
		return nil, fmt.Errorf("listing known projects: %w", sqldb.Classify(err))
	}
	return list, nil
}

// TrackProjects adds tracked projects; known ones stay as they are. A name whose last project is gone is left out: the next call
// tells whether another one has it.
func (s *Store) TrackProjects(ctx context.Context, projects []KnownProject) error {
	var found []core.KeptProject
	for _, p := range projects {
		project, err := s.toTrack(ctx, p)
		if err != nil {
			return fmt.Errorf("watching projects: %w", err)
		}
		if project.ID != 0 {
			found = append(found, project)
		}
	}
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		for _, project := range found {
			if err := s.track(ctx, tx, project); err != nil {
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

// toTrack is a project as it is kept, with ID 0 where the last one with the name is gone.
func (s *Store) toTrack(ctx context.Context, p KnownProject) (core.KeptProject, error) {
	if p.ID != 0 {
		return core.KeptProject{ID: p.ID, Platform: p.SourcePlatform}, nil
	}
	if p.ProjectRef == "" {
		if last, err := s.GetProject(ctx, p.SourcePlatform, p.ProjectName); err == nil && last.GoneAt != nil {
			return core.KeptProject{}, nil
		}
	}
	return s.resolveNamed(ctx, p.SourcePlatform, p.ProjectName, p.ProjectRef)
}

func (s *Store) track(ctx context.Context, tx *sqlx.Tx, project core.KeptProject) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO tracked_projects (project_id, source_platform, next_sync_at) VALUES (?, ?, ?)
		ON CONFLICT (project_id) DO NOTHING`), project.ID, project.Platform, s.clock.Timestamp())
	return err
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
	found, err := s.meant(ctx, naming.Sighting{Platform: platform, Project: core.Project{Name: project}})
	if err == nil {
		err = s.db.GetContext(ctx, &w, s.db.Rebind(`
			SELECT `+trackedColumns+` FROM tracked_projects WHERE project_id = ?`), found.ID)
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
			rows: s.firstDue(`tracked_projects`, `source_platform IN (:platforms) AND next_sync_at <= :now AND `+
				ofProject("", "gone_at")+` IS NULL AND `+unleased,
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
	project, err := s.resolveNamed(ctx, p.SourcePlatform, p.ProjectName, p.ProjectRef)
	if err != nil {
		return TrackedProject{}, fmt.Errorf("claiming %s: %w", p.ProjectName, err)
	}
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		if err := s.track(ctx, tx, project); err != nil {
			return err
		}
		err := s.claimOne(ctx, tx, &claimed, claim{
			table: `tracked_projects`, set: setLease, rows: `project_id = :project`,
			guard: unleased, columns: trackedColumns,
		}, lease, map[string]any{"project": project.ID})
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

// SettleProject ends the lease. failure is empty after a sync that succeeded. A sync that became due meanwhile stays so.
// core.ErrConflict when the lease was lost.
func (s *Store) SettleProject(ctx context.Context, w TrackedProject, pause time.Duration, failure string) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock.Timestamp()
		settled, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE tracked_projects SET lease_until = NULL, last_error = ?,
				next_sync_at = CASE WHEN next_sync_at <> ? AND next_sync_at < ? THEN next_sync_at ELSE ? END,
				failures = CASE WHEN ? = '' THEN 0 ELSE failures + 1 END,
				synced_at = CASE WHEN ? = '' THEN ? ELSE synced_at END
			WHERE id = ? AND lease_until = ?`),
			failure, w.NextSyncAt, now.Add(pause), now.Add(pause), failure, failure, now, w.ID, w.LeaseUntil)
		return sqldb.OneRow(settled, err, "the lease was lost")
	})
	if err != nil {
		return fmt.Errorf("settling %s: %w", w.ProjectName, err)
	}
	return nil
}

// RenameProject gives a project the name to which its platform leads. Where a project with an id has it, the one with the old
// name is gone, and the error is core.ErrConflict.
func (s *Store) RenameProject(ctx context.Context, w TrackedProject, name string) error {
	seen := naming.Sighting{
		Platform: w.SourcePlatform, ID: w.ProjectID, At: s.clock.Timestamp(), Project: core.Project{Name: name, Ref: w.ProjectRef},
	}
	holder, err := s.meant(ctx, naming.Sighting{Platform: w.SourcePlatform, Project: core.Project{Name: name}})
	if taken := err == nil && holder.Ref != "" && holder.ID != w.ProjectID; taken {
		seen.Name, seen.Deleted = w.ProjectName, true
	}
	if err == nil || errors.Is(err, core.ErrNotFound) {
		_, err = s.settleProject(ctx, seen)
	}
	if err == nil && seen.Deleted {
		err = fmt.Errorf("%w: another project has the new name", core.ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("renaming %s: %w", w.ProjectName, err)
	}
	return nil
}
