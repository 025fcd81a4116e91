package store

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

type commitKey struct{ platform, project, sha string }

func keyOf(scan *core.Scan) commitKey {
	return commitKey{scan.SourcePlatform, scan.ProjectName, scan.CommitSHA}
}

// joinScans points the items whose commit has a scan already to that scan, the latest attempt of it.
func (s *Store) joinScans(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	joining := map[commitKey][]*intake{}
	var args []any
	for _, item := range batch {
		if item.scan == nil || item.created || !item.open() {
			continue
		}
		key := keyOf(item.scan)
		if joining[key] == nil {
			args = append(args, key.platform, key.project, key.sha)
		}
		joining[key] = append(joining[key], item)
	}
	if len(joining) == 0 {
		return nil
	}
	var existing []core.Scan
	err := tx.SelectContext(ctx, &existing, tx.Rebind(`
		WITH wanted (source_platform, project_name, commit_sha) AS (VALUES `+tuples(len(joining), 3)+`)
		SELECT `+of("s", scanColumns)+`
		FROM wanted w
		JOIN scans s ON s.source_platform = w.source_platform AND s.project_name = w.project_name
			AND s.commit_sha = w.commit_sha
		ORDER BY s.attempt`), args...)
	if err != nil {
		return err
	}
	latest := map[commitKey]core.Scan{}
	for _, scan := range existing {
		latest[keyOf(&scan)] = scan
	}
	for key, items := range joining {
		for _, item := range items {
			if err := joinScan(ctx, tx, item, latest[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// joinScan adds what the newcomer knows to the existing scan: that another branch points at the commit, and the facts
// of the push where the scan was made without one.
func joinScan(ctx context.Context, tx *sqlx.Tx, item *intake, existing core.Scan) error {
	news := item.scan
	item.receipt = core.Receipt{Outcome: core.ScanExists, Reference: existing.ReferenceID}
	elsewhere := news.Branch != existing.Branch && news.Branch != "" && existing.Branch != ""
	item.informed = news.BeforeSHA != "" && existing.BeforeSHA == "" ||
		news.NumChangedFiles != nil && existing.NumChangedFiles == nil
	news.ID = existing.ID
	if !item.informed && (!elsewhere || existing.SharedRefs) {
		return nil
	}
	news.SharedRefs = elsewhere || existing.SharedRefs
	_, err := tx.NamedExecContext(ctx, `
		UPDATE scans SET
			shared_refs = shared_refs OR :shared_refs,
			project_ref = CASE WHEN project_ref = '' THEN :project_ref ELSE project_ref END,
			repo_url = CASE WHEN repo_url = '' THEN :repo_url ELSE repo_url END,
			branch = CASE WHEN branch = '' THEN :branch ELSE branch END,
			default_branch = CASE WHEN default_branch = '' THEN :default_branch ELSE default_branch END,
			before_sha = CASE WHEN before_sha = '' THEN :before_sha ELSE before_sha END,
			num_changed_files = COALESCE(num_changed_files, :num_changed_files),
			changed_files_truncated = CASE WHEN num_changed_files IS NULL THEN :changed_files_truncated
				ELSE changed_files_truncated END
		WHERE id = :id`, news)
	return err
}

// supersede ends the jobs that have not started of the commits that the new scans' branches stood at before; a scan
// that was made without its push, by a pipeline that was faster, is new when the push comes. Only the direct
// predecessor is touched: platforms deliver out of order, and a late push must not end the scan of a newer one.
func (s *Store) supersede(ctx context.Context, tx *sqlx.Tx, batch []*intake) error {
	successors := map[commitKey]*core.Scan{}
	var args []any
	for i, item := range batch {
		scan := item.scan
		announced := (item.created || item.informed) && item.policy.Supersede && core.IsCommitSHA(scan.BeforeSHA)
		// Gitea's test button pushes a commit onto itself, which must not end the commit's own scan.
		if announced && scan.BeforeSHA != scan.CommitSHA && !setBack(scan, batch[i+1:]) {
			successors[commitKey{scan.SourcePlatform, scan.ProjectName, scan.BeforeSHA}] = scan
			args = append(args, scan.SourcePlatform, scan.ProjectName, scan.Branch, scan.BeforeSHA)
		}
	}
	if len(args) == 0 {
		return nil
	}
	var outdated []core.Scan
	err := tx.SelectContext(ctx, &outdated, tx.Rebind(`
		WITH wanted (source_platform, project_name, branch, commit_sha) AS (VALUES `+tuples(len(args)/4, 4)+`)
		SELECT `+of("s", scanColumns)+`
		FROM wanted w
		JOIN scans s ON s.source_platform = w.source_platform AND s.project_name = w.project_name
			AND s.commit_sha = w.commit_sha AND s.branch = w.branch
		WHERE s.status IN ('pending', 'processing') AND NOT s.shared_refs
		ORDER BY s.id`), args...)
	if err != nil {
		return err
	}
	for _, scan := range outdated {
		if err := s.supersedeScan(ctx, tx, scan, successors[keyOf(&scan)].CommitSHA); err != nil {
			return err
		}
	}
	return nil
}

// setBack tells whether the branch goes back to where it stood before the scan while that is still being announced.
func setBack(scan *core.Scan, later []*intake) bool {
	return slices.ContainsFunc(later, func(item *intake) bool {
		return item.scan != nil && item.open() && item.scan.Branch == scan.Branch && item.scan.CommitSHA == scan.BeforeSHA &&
			item.scan.SourcePlatform == scan.SourcePlatform && item.scan.ProjectName == scan.ProjectName
	})
}

func (s *Store) supersedeScan(ctx context.Context, tx *sqlx.Tx, scan core.Scan, successor string) error {
	ended, err := tx.ExecContext(ctx, tx.Rebind(`
		UPDATE scan_jobs SET state = 'superseded', error = ?, finished_at = ?
		WHERE scan_id = ? AND state = 'pending'`), core.SupersededError(successor), s.clock(), scan.ID)
	if err != nil {
		return err
	}
	if n, err := ended.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET superseded_by = ? WHERE id = ?`),
		successor, scan.ID); err != nil {
		return err
	}
	return s.settleScan(ctx, tx, scan.ID, nil)
}
