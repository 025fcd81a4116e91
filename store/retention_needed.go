package store

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"
)

// neededAtAll is true for a scan s that stays for its own sake: it is young, open or the first attempt of a younger
// one, its commit status is still being posted, or it is among the newest of its project. A status that could not be
// posted since long never will be. It asks no more than one index can tell: before its statistics are made, PostgreSQL
// would choose the wrong one of two.
const neededAtAll = `(s.timestamp >= :before OR s.status IN ('pending', 'processing')
	OR EXISTS (SELECT 1 FROM scans later WHERE later.commit_sha = s.commit_sha AND later.attempt > s.attempt)
	OR EXISTS (SELECT 1 FROM commit_statuses c
		WHERE c.scan_id = s.id AND c.posted_revision < c.revision AND NOT c.given_up AND c.wanted_at >= :before)
	OR s.id >= COALESCE((SELECT n.id FROM scans n WHERE n.project_name = s.project_name
		ORDER BY n.id DESC LIMIT 1 OFFSET :others), 0))`

// neededAsHead is true for a scan s that holds the last complete run of a scanner on its branch, while the branch is
// the default one, is known to stand at the scan's commit, or may exist still.
const neededAsHead = `((s.branch = s.default_branch OR s.timestamp >= :heads
		OR EXISTS (SELECT 1 FROM watched_projects w JOIN ref_heads h ON h.watched_id = w.id
			WHERE w.source_platform = s.source_platform AND w.project_name = s.project_name
				AND h.ref IN ('refs/heads/' || s.branch, 'refs/tags/' || s.branch) AND h.sha = s.commit_sha))
	AND NOT s.overtaken AND EXISTS (SELECT 1 FROM scan_jobs j WHERE j.scan_id = s.id AND j.state = 'completed'
		AND NOT EXISTS (SELECT 1 FROM scans n JOIN scan_jobs nj ON nj.scan_id = n.id
			WHERE n.source_platform = s.source_platform AND n.project_name = s.project_name AND n.branch = s.branch
				AND n.id > s.id AND NOT n.overtaken AND nj.scanner = j.scanner AND nj.state = 'completed')))`

// neededAsHistory is true for a scan s with a pipeline run that coming runs will be compared with, see sameSeries.
const neededAsHistory = `EXISTS (SELECT 1 FROM pipeline_metrics m
	WHERE m.scan_id = s.id AND m.pipeline_status = 'success' AND m.finished_at >= COALESCE((
		SELECT p.finished_at FROM pipeline_metrics p
		WHERE p.source_platform = m.source_platform AND p.project_name = m.project_name
			AND p.pipeline_name = m.pipeline_name AND p.on_default_branch = m.on_default_branch
			AND (p.pipeline_name <> '' OR p.source = m.source)
			AND p.pipeline_status = 'success' AND p.finished_at IS NOT NULL
		ORDER BY p.finished_at DESC, p.id DESC LIMIT 1 OFFSET :runs), m.finished_at))`

// needless are those of the old scans that neither stay for their own sake nor as the baseline of one that does.
func needless(ctx context.Context, tx *sqlx.Tx, r ScanRetention, old []int64) (going []int64, err error) {
	comparedTo, err := dependents(ctx, tx, old)
	if err != nil {
		return nil, err
	}
	related := slices.Clone(old)
	for _, scans := range comparedTo {
		related = append(related, scans...)
	}
	slices.Sort(related)
	stays := map[int64]bool{}
	for chunk := range slices.Chunk(slices.Compact(related), neededChunk) {
		if err := needed(ctx, tx, r, chunk, stays); err != nil {
			return nil, err
		}
	}
	for _, id := range old {
		if !stays[id] && !slices.ContainsFunc(comparedTo[id], func(later int64) bool { return stays[later] }) {
			going = append(going, id)
		}
	}
	return going, nil
}

// neededChunk is few enough for PostgreSQL to look up one scan after the other.
const neededChunk = 100

// needed marks those of the scans that stay for their own sake.
func needed(ctx context.Context, tx *sqlx.Tx, r ScanRetention, scans []int64, stays map[int64]bool) error {
	query, args, err := sqlx.Named(`
		SELECT s.id FROM scans s
		WHERE s.id IN (:scans) AND (`+neededAtAll+` OR `+neededAsHead+` OR `+neededAsHistory+`)`,
		map[string]any{
			"scans": scans, "before": r.Before.UTC(), "heads": r.Heads.UTC(), "others": r.Newest - 1, "runs": r.Metrics - 1,
		})
	if err != nil {
		return err
	}
	if query, args, err = sqlx.In(query, args...); err != nil {
		return err
	}
	var ids []int64
	err = tx.SelectContext(ctx, &ids, tx.Rebind(query), args...)
	for _, id := range ids {
		stays[id] = true
	}
	return err
}

// dependents are, by scan, the scans of which a run was compared with it.
func dependents(ctx context.Context, tx *sqlx.Tx, scans []int64) (map[int64][]int64, error) {
	query, args, err := sqlx.In(`
		SELECT DISTINCT baseline_scan_id AS baseline, scan_id FROM scan_jobs WHERE baseline_scan_id IN (?)`, scans)
	if err != nil {
		return nil, err
	}
	var pairs []struct {
		Baseline int64 `db:"baseline"`
		ScanID   int64 `db:"scan_id"`
	}
	if err := tx.SelectContext(ctx, &pairs, tx.Rebind(query), args...); err != nil {
		return nil, err
	}
	by := map[int64][]int64{}
	for _, pair := range pairs {
		by[pair.Baseline] = append(by[pair.Baseline], pair.ScanID)
	}
	return by, nil
}
