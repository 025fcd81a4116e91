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

// Watched is a project whose branches and tags are compared with its scans now and then.
type Watched struct {
	ID             int64      `db:"id"`
	SourcePlatform string     `db:"source_platform"`
	ProjectName    string     `db:"project_name"`
	ProjectRef     string     `db:"project_ref"`
	LookedAt       *time.Time `db:"looked_at"` // nil before the first look that succeeded
	NextLookAt     time.Time  `db:"next_look_at"`
	LeaseUntil     *time.Time `db:"lease_until"`
	Failures       int        `db:"failures"`   // since the last look that succeeded
	LastError      string     `db:"last_error"` // of the last look, or empty
}

var watchedColumns = sqldb.ColumnsOf[Watched]()

// KnownProject is a project that a scan or a delivery names.
type KnownProject struct {
	SourcePlatform string `db:"source_platform"`
	ProjectName    string `db:"project_name"`
	ProjectRef     string `db:"project_ref"` // empty where unknown
	LastID         int64  `db:"last_id"`     // of the newest scan or delivery that names it
}

// WatchProjects puts projects under watch; those that are already stay as they are. One that has another name by now is
// the same project still: it is known by its number.
func (s *Store) WatchProjects(ctx context.Context, projects []KnownProject) error {
	projects = slices.Clone(projects)
	for i := range projects {
		if err := s.respell(ctx, projects[i].SourcePlatform, &projects[i].ProjectName); err != nil {
			return fmt.Errorf("watching projects: %w", err)
		}
	}
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		for _, p := range projects {
			if err := s.watch(ctx, tx, p); err != nil {
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

func (s *Store) watch(ctx context.Context, tx *sqlx.Tx, p KnownProject) error {
	if p.ProjectRef != "" {
		// Of several names that the project had, one row goes on at most.
		_, err := tx.NamedExecContext(ctx, `
			DELETE FROM watched_projects
			WHERE source_platform = :source_platform AND project_ref = :project_ref AND project_name <> :project_name
				AND (EXISTS (SELECT 1 FROM watched_projects same
						WHERE same.source_platform = :source_platform AND same.project_name = :project_name)
					OR id < (SELECT MAX(id) FROM watched_projects other
						WHERE other.source_platform = :source_platform AND other.project_ref = :project_ref))`, p)
		if err != nil {
			return err
		}
		_, err = tx.NamedExecContext(ctx, `
			UPDATE watched_projects SET project_name = :project_name
			WHERE source_platform = :source_platform AND project_ref = :project_ref AND project_name <> :project_name
				AND NOT EXISTS (SELECT 1 FROM watched_projects
					WHERE source_platform = :source_platform AND project_name = :project_name)`, p)
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO watched_projects (source_platform, project_name, project_ref, next_look_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (source_platform, project_name) DO UPDATE SET project_ref = excluded.project_ref
		WHERE watched_projects.project_ref = ''`), p.SourcePlatform, p.ProjectName, p.ProjectRef, s.clock.Timestamp())
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

// ListWatchedSince returns a platform's projects under watch that were put there after the one with the id since.
func (s *Store) ListWatchedSince(ctx context.Context, platform string, since int64) (list []Watched, err error) {
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+watchedColumns+` FROM watched_projects WHERE source_platform = ? AND id > ? ORDER BY id`), platform, since)
	if err != nil {
		return nil, fmt.Errorf("listing projects under watch: %w", sqldb.Classify(err))
	}
	return list, nil
}

// GetWatched returns a project under watch, or core.ErrNotFound.
func (s *Store) GetWatched(ctx context.Context, platform, project string) (w Watched, err error) {
	project, err = s.ProjectName(ctx, platform, project)
	if err == nil {
		err = s.db.GetContext(ctx, &w, s.db.Rebind(`
			SELECT `+watchedColumns+` FROM watched_projects
			WHERE source_platform = ? AND project_name = ?`), platform, project)
	}
	if err != nil {
		return Watched{}, fmt.Errorf("getting %s: %w", project, sqldb.Classify(err))
	}
	return w, nil
}

// HastenLooks makes every look due after the pause that would be due later: what was pushed while nobody listened shall
// not wait for the next round.
func (s *Store) HastenLooks(ctx context.Context, pause time.Duration) error {
	at := s.clock.Timestamp().Add(pause)
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE watched_projects SET next_look_at = ? WHERE next_look_at > ?`), at, at)
		return err
	})
	if err != nil {
		return fmt.Errorf("hastening looks: %w", err)
	}
	return nil
}

// ClaimWatched leases the project of one of the platforms that has waited longest for its look; core.ErrNotFound when
// none is due.
func (s *Store) ClaimWatched(ctx context.Context, platforms []string, lease time.Duration) (claimed Watched, err error) {
	if len(platforms) == 0 {
		return Watched{}, fmt.Errorf("claiming project: %w: no platform can be asked", core.ErrNotFound)
	}
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		return s.claimOne(ctx, tx, &claimed, claim{
			table: `watched_projects`, set: setLease,
			rows: s.firstDue(`watched_projects`, `source_platform IN (:platforms) AND next_look_at <= :now AND `+unleased,
				`next_look_at, id`),
			guard: unleased, columns: watchedColumns,
		}, lease, map[string]any{"platforms": platforms})
	})
	if err != nil {
		return Watched{}, fmt.Errorf("claiming project: %w", err)
	}
	return claimed, nil
}

// ClaimProject leases one project, whenever its look is due. core.ErrConflict while another process looks at it.
func (s *Store) ClaimProject(ctx context.Context, p KnownProject, lease time.Duration) (claimed Watched, err error) {
	if err := s.respell(ctx, p.SourcePlatform, &p.ProjectName); err != nil {
		return Watched{}, fmt.Errorf("claiming %s: %w", p.ProjectName, err)
	}
	err = s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		if err := s.watch(ctx, tx, p); err != nil {
			return err
		}
		err := s.claimOne(ctx, tx, &claimed, claim{
			table: `watched_projects`, set: setLease, rows: `source_platform = :platform AND project_name = :project`,
			guard: unleased, columns: watchedColumns,
		}, lease, map[string]any{"platform": p.SourcePlatform, "project": p.ProjectName})
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: another process is looking at it", core.ErrConflict)
		}
		return err
	})
	if err != nil {
		return Watched{}, fmt.Errorf("claiming %s: %w", p.ProjectName, err)
	}
	return claimed, nil
}

// SettleWatched ends the lease. failure is empty after a look that succeeded. core.ErrConflict when the lease was lost.
func (s *Store) SettleWatched(ctx context.Context, w Watched, pause time.Duration, failure string) error {
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
		now := s.clock.Timestamp()
		settled, err := tx.ExecContext(ctx, tx.Rebind(`
			UPDATE watched_projects SET lease_until = NULL, next_look_at = ?, last_error = ?,
				failures = CASE WHEN ? = '' THEN 0 ELSE failures + 1 END,
				looked_at = CASE WHEN ? = '' THEN ? ELSE looked_at END
			WHERE id = ? AND lease_until = ?`),
			now.Add(pause), failure, failure, failure, now, w.ID, w.LeaseUntil)
		return sqldb.OneRow(settled, err, "the lease was lost")
	})
	if err != nil {
		return fmt.Errorf("settling %s: %w", w.ProjectName, err)
	}
	return nil
}

// RenameWatched gives a project the name that its platform calls it by, and with it what is known of the old one. Where
// the new name is watched already, the old one is forgotten, and the answer is core.ErrConflict.
func (s *Store) RenameWatched(ctx context.Context, w Watched, name string) error {
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
			DELETE FROM watched_projects WHERE id = ? AND EXISTS (SELECT 1 FROM watched_projects
				WHERE source_platform = ? AND project_name = ?)`, w.ID, w.SourcePlatform, name)
		forgotten = gone > 0
		if err != nil || forgotten {
			return err
		}
		_, err = tx.ExecContext(ctx, tx.Rebind(`UPDATE watched_projects SET project_name = ? WHERE id = ?`), name, w.ID)
		return err
	})
	if err == nil && forgotten {
		err = fmt.Errorf("%w: the new name is watched already", core.ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("renaming %s: %w", w.ProjectName, err)
	}
	return nil
}
