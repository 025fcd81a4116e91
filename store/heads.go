package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// headChunk is how many heads one statement or transaction takes, so that none holds up a webhook.
const headChunk = 500

// KnownProject is a project that a scan or a delivery names.
type KnownProject struct {
	SourcePlatform string `db:"source_platform"`
	ProjectName    string `db:"project_name"`
	ProjectRef     string `db:"project_ref"` // empty where unknown
	LastID         int64  `db:"last_id"`     // of the newest scan or delivery that names it
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
		return nil, fmt.Errorf("%s: %w", doing, classify(err))
	}
	return list, nil
}

// ListHeads returns where the branches and tags of a watched project stood at the last look.
func (s *Store) ListHeads(ctx context.Context, watched int64) (list []core.Head, err error) {
	err = s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT ref, sha, seen_at FROM ref_heads WHERE watched_id = ?`), watched)
	if err != nil {
		return nil, fmt.Errorf("listing heads: %w", classify(err))
	}
	return list, nil
}

// ListDeserted returns the refs of a watched project that stood, at the last look, at a commit whose scan a newer push
// has made pointless.
func (s *Store) ListDeserted(ctx context.Context, w Watched) (refs []string, err error) {
	err = s.db.SelectContext(ctx, &refs, s.db.Rebind(`
		SELECT h.ref FROM ref_heads h
		JOIN scans s ON s.source_platform = ? AND s.project_name = ? AND s.commit_sha = h.sha
		WHERE h.watched_id = ? AND s.superseded_by <> ''`), w.SourcePlatform, w.ProjectName, w.ID)
	if err != nil {
		return nil, fmt.Errorf("listing deserted heads: %w", classify(err))
	}
	return refs, nil
}

// PutHeads keeps where refs of a watched project stand now; forget are refs that are gone.
func (s *Store) PutHeads(ctx context.Context, watched int64, heads []core.Head, forget []string) error {
	for chunk := range slices.Chunk(heads, headChunk) {
		if err := s.transact(ctx, func(tx *sqlx.Tx) error { return s.putHeads(ctx, tx, watched, chunk) }); err != nil {
			return fmt.Errorf("putting heads: %w", err)
		}
	}
	for chunk := range slices.Chunk(forget, headChunk) {
		err := s.transact(ctx, func(tx *sqlx.Tx) error {
			query, args, err := sqlx.In(`DELETE FROM ref_heads WHERE watched_id = ? AND ref IN (?)`, watched, chunk)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, tx.Rebind(query), args...)
			return err
		})
		if err != nil {
			return fmt.Errorf("forgetting heads: %w", err)
		}
	}
	return nil
}

func (s *Store) putHeads(ctx context.Context, tx *sqlx.Tx, watched int64, heads []core.Head) error {
	now := s.clock()
	var args []any
	for _, h := range heads {
		args = append(args, watched, h.Ref, h.SHA, now)
	}
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO ref_heads (watched_id, ref, sha, seen_at) VALUES `+tuples(len(heads), 4)+`
		ON CONFLICT (watched_id, ref) DO UPDATE SET sha = excluded.sha, seen_at = excluded.seen_at`), args...)
	if err != nil {
		return err
	}
	return standsAgain(ctx, tx, watched, heads)
}

// ListLastScans returns the newest scan of each of the project's branches, of those up to the given one.
func (s *Store) ListLastScans(ctx context.Context, upTo core.Scan, branches []string) ([]core.Scan, error) {
	return s.listScansIn(ctx, "listing last scans", branches, `
		SELECT `+scanColumns+` FROM scans WHERE id IN (SELECT MAX(id) FROM scans
			WHERE source_platform = ? AND project_name = ? AND id <= ? AND branch IN (?) AND NOT overtaken GROUP BY branch)`,
		upTo.SourcePlatform, upTo.ProjectName, upTo.ID)
}

// ListScansOf returns all scans of a watched project's commits, under whatever name it had, the oldest first.
func (s *Store) ListScansOf(ctx context.Context, w Watched, commits []string) ([]core.Scan, error) {
	return s.listScansIn(ctx, "listing scans", commits, `
		SELECT `+scanColumns+` FROM scans
		WHERE source_platform = ? AND (project_name = ? OR project_ref = ? AND project_ref <> '') AND commit_sha IN (?)
		ORDER BY id`, w.SourcePlatform, w.ProjectName, w.ProjectRef)
}

func (s *Store) listScansIn(
	ctx context.Context, doing string, values []string, query string, args ...any,
) (all []core.Scan, err error) {
	for chunk := range slices.Chunk(values, headChunk) {
		expanded, args, err := sqlx.In(query, append(slices.Clone(args), chunk)...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		var list []core.Scan
		if err := s.db.SelectContext(ctx, &list, s.db.Rebind(expanded), args...); err != nil {
			return nil, fmt.Errorf("%s: %w", doing, classify(err))
		}
		all = append(all, list...)
	}
	return all, nil
}

// GetLastScan returns the newest scan of a project, or core.ErrNotFound.
func (s *Store) GetLastScan(ctx context.Context, platform, project string) (scan core.Scan, err error) {
	project, err = s.ProjectName(ctx, platform, project)
	if err == nil {
		err = s.db.GetContext(ctx, &scan, s.db.Rebind(`
			SELECT `+scanColumns+` FROM scans
			WHERE source_platform = ? AND project_name = ? ORDER BY id DESC LIMIT 1`), platform, project)
	}
	if err != nil {
		return core.Scan{}, fmt.Errorf("getting last scan of %s: %w", project, classify(err))
	}
	return scan, nil
}
