package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

// AgingTable is a table whose rows are removed when they are old, without other conditions.
type AgingTable string

// The aging tables.
const (
	AgingDeliveries   AgingTable = "deliveries"
	AgingRemovedScans AgingTable = "removed_scans"
)

// since names the column with a row's age.
func (t AgingTable) since() string {
	return map[AgingTable]string{AgingDeliveries: "received_at", AgingRemovedScans: "removed_at"}[t]
}

// PruneTable removes a batch of the rows that are older than before, and returns how many; 0 when none is left. It
// reads the first rows only, which are the oldest except for a few, so that it needs no index.
func (s *Store) PruneTable(ctx context.Context, table AgingTable, before time.Time) (removed int, err error) {
	err = s.prune(ctx, func(tx *sqlx.Tx) error {
		var old, gone []int64
		err := tx.SelectContext(ctx, &old, tx.Rebind(`
			SELECT id FROM (SELECT id, `+table.since()+` AS since FROM `+string(table)+` WHERE `+table.done()+` ORDER BY id LIMIT ?) oldest
			WHERE since < ?`), pruneBatch, before.UTC())
		if err != nil || len(old) == 0 {
			return err
		}
		// A call that comes again at this moment is kept anew.
		err = sqldb.SelectIn(ctx, tx, &gone, `DELETE FROM `+string(table)+` WHERE id IN (?) AND `+table.done()+` AND `+
			table.since()+` < ? RETURNING id`, old, before.UTC())
		if removed = len(gone); err != nil || removed == 0 || table != AgingDeliveries {
			return err
		}
		_, err = sqldb.ExecIn(ctx, tx, `DELETE FROM delivery_bodies WHERE delivery_id IN (?)`, gone)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("pruning %s: %w", table, err)
	}
	return removed, nil
}

// done selects the rows of which nothing more is expected: what was kept and not derived stays, whatever its age.
func (t AgingTable) done() string {
	if t == AgingDeliveries {
		return `state IN ('derived', 'ignored')`
	}
	return `TRUE`
}

// PruneBodies removes the bodies of ignored calls that came before a time, a batch of those with an id above after. It returns how
// many were removed, and the id to go on after, 0 when all old ones have been examined.
func (s *Store) PruneBodies(ctx context.Context, before time.Time, after int64) (removed int, next int64, err error) {
	var window []struct {
		ID      int64 `db:"id"`
		Old     bool  `db:"old"`
		Ignored bool  `db:"ignored"`
	}
	err = s.prune(ctx, func(tx *sqlx.Tx) error {
		err := tx.SelectContext(ctx, &window, tx.Rebind(`
			SELECT id, received_at < ? AS old, state = 'ignored' AS ignored FROM deliveries WHERE id > ? ORDER BY id LIMIT ?`),
			before.UTC(), after, pruneBatch)
		var ignored []int64
		for _, row := range window {
			if row.Old {
				next = row.ID
			}
			if row.Old && row.Ignored {
				ignored = append(ignored, row.ID)
			}
		}
		if err != nil || len(ignored) == 0 {
			return err
		}
		var still []int64 // one that comes again at this moment is kept anew
		err = sqldb.SelectIn(ctx, tx, &still, `SELECT id FROM deliveries WHERE id IN (?) AND state = 'ignored' ORDER BY id `+s.db.ForUpdate, ignored)
		if err != nil || len(still) == 0 {
			return err
		}
		n, err := sqldb.ExecIn(ctx, tx, `DELETE FROM delivery_bodies WHERE delivery_id IN (?)`, still)
		removed = int(n)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("pruning bodies of deliveries: %w", err)
	}
	return removed, next, nil
}

// scanBatch is how many scans are looked at together, and may go in one transaction.
const scanBatch = 200

// ScanRetention says which scans may be removed.
type ScanRetention struct {
	Before  time.Time // scans that were made since then stay
	Heads   time.Time // so does the last one of each branch that may be gone since then
	Newest  int       // and so many of each project that ended, whatever their age; at least 1
	Metrics int       // and those whose pipeline runs are among so many successful ones of their series; at least 1
}

// PruneScans examines the scans with an id above after, a batch in the order of their ids, and removes those that
// nothing needs any more. It returns how many were removed, and the id to go on after, 0 when all old ones have been
// examined. Besides the scans that the retention keeps, it keeps scans that are open or whose commit status is being
// posted, the earlier attempts of those that stay, the last complete run of each scanner on branches that exist, and
// the baselines of all that stay for their own sake.
func (s *Store) PruneScans(ctx context.Context, r ScanRetention, after int64) (removed int, next int64, err error) {
	old, next, err := s.oldScans(ctx, r, after)
	if err == nil && len(old) > 0 {
		removed, err = s.removeScans(ctx, r, old)
	}
	if err != nil {
		return removed, 0, fmt.Errorf("pruning scans: %w", sqldb.Classify(err))
	}
	return removed, next, nil
}

// oldScans relies on ids being given in the order of time: behind a batch without any old scan come none.
func (s *Store) oldScans(ctx context.Context, r ScanRetention, after int64) (old []int64, next int64, err error) {
	var window []struct {
		ID  int64 `db:"id"`
		Old bool  `db:"old"`
	}
	err = s.db.SelectContext(ctx, &window, s.db.Rebind(`
		SELECT id, timestamp < ? AS old FROM scans WHERE id > ? ORDER BY id LIMIT ?`), r.Before.UTC(), after, scanBatch)
	for _, row := range window {
		if row.Old {
			old, next = append(old, row.ID), row.ID
		}
	}
	return old, next, err
}

// removeScans removes those of the scans that may go. Their jobs end first, so that no run is compared with one that is
// half removed; findings, of which there may be very many, go in batches; and the rest goes with the scans.
func (s *Store) removeScans(ctx context.Context, r ScanRetention, old []int64) (removed int, err error) {
	var going []int64
	err = s.prune(ctx, func(tx *sqlx.Tx) error {
		if going, err = unneeded(ctx, tx, r, old); err != nil || len(going) == 0 {
			return err
		}
		_, err = sqldb.ExecIn(ctx, tx, `
			UPDATE scan_jobs SET state = 'failed', error = 'its findings were removed, as retention says'
			WHERE scan_id IN (?)`, going)
		return err
	})
	for err == nil && len(going) > 0 {
		var n int64
		if n, err = s.removeFindings(ctx, going); err == nil && n == 0 {
			return s.removeUnneeded(ctx, r, going)
		}
	}
	return 0, err
}

func (s *Store) removeFindings(ctx context.Context, scans []int64) (n int64, err error) {
	err = s.prune(ctx, func(tx *sqlx.Tx) error {
		n, err = sqldb.ExecIn(ctx, tx, `
			DELETE FROM findings WHERE id IN (SELECT id FROM findings WHERE scan_id IN (?) LIMIT ?)`, scans, 2*pruneBatch)
		return err
	})
	return n, err
}

// removeUnneeded removes the scans except those that have become needed meanwhile, and leaves a note of each.
func (s *Store) removeUnneeded(ctx context.Context, r ScanRetention, going []int64) (removed int, err error) {
	err = s.prune(ctx, func(tx *sqlx.Tx) error {
		if going, err = unneeded(ctx, tx, r, going); err != nil || len(going) == 0 {
			return err
		}
		if err := s.noteRemoved(ctx, tx, going); err != nil {
			return err
		}
		if err := forgetScans(ctx, tx, going); err != nil {
			return err
		}
		removed = len(going)
		_, err = sqldb.ExecIn(ctx, tx, `DELETE FROM scans WHERE id IN (?)`, going)
		return err
	})
	return removed, err
}

func (s *Store) noteRemoved(ctx context.Context, tx *sqlx.Tx, ids []int64) error {
	var scans []core.Scan
	if err := sqldb.SelectIn(ctx, tx, &scans, `SELECT `+scanColumns+` FROM scans WHERE id IN (?)`, ids); err != nil {
		return err
	}
	notes := make([]removedScan, len(scans))
	for i, scan := range scans {
		_, outcome := core.StatusFor(scan)
		notes[i] = removedScan{
			scan.ReferenceID, scan.SourcePlatform, scan.ProjectName, scan.CommitSHA, outcome, scan.Timestamp, s.clock.Timestamp(),
		}
	}
	if err := removeStatuses(ctx, tx, scans); err != nil {
		return err
	}
	// A commit that is scanned anew after its scan was removed has the same reference id again: the later note counts.
	again := `DELETE FROM removed_scans WHERE reference_id IN (SELECT reference_id FROM scans WHERE id IN (?))`
	if _, err := sqldb.ExecIn(ctx, tx, again, ids); err != nil {
		return err
	}
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO removed_scans (reference_id, source_platform, project_name, commit_sha, outcome, scanned_at, removed_at)
		VALUES (:reference_id, :source_platform, :project_name, :commit_sha, :outcome, :scanned_at, :removed_at)`, notes)
	return err
}

// unneeded are those of the old scans that neither stay for their own sake nor as the baseline of one that does.
func unneeded(ctx context.Context, tx *sqlx.Tx, r ScanRetention, old []int64) (going []int64, err error) {
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
			"scans": scans, "before": r.Before.UTC(), "heads": r.Heads.UTC(), "newest": r.Newest, "others": r.Newest - 1, "runs": r.Metrics - 1,
		})
	if err != nil {
		return err
	}
	var ids []int64
	err = sqldb.SelectIn(ctx, tx, &ids, query, args...)
	for _, id := range ids {
		stays[id] = true
	}
	if err != nil {
		return err
	}
	return neededAsBaseline(ctx, tx, scans, stays)
}

// neededAsBaseline marks the scans that hold the last complete run of a scanner on the default branches of the scans' projects.
func neededAsBaseline(ctx context.Context, tx *sqlx.Tx, scans []int64, stays map[int64]bool) error {
	var heads []struct {
		ProjectID int64  `db:"project_id"`
		SHA       string `db:"sha"`
		Scanner   string `db:"scanner"`
	}
	err := sqldb.SelectIn(ctx, tx, &heads, `
		SELECT DISTINCT r.project_id, r.sha, j.scanner FROM scans s
		JOIN scan_jobs j ON j.scan_id = s.id AND j.state = 'completed'
		JOIN projects p ON p.id = s.project_id
		JOIN refs r ON r.project_id = p.id AND r.name = 'refs/heads/' || p.default_branch
		WHERE s.id IN (?)`, scans)
	if err != nil {
		return err
	}
	for _, head := range heads {
		run, err := runAtOrBefore(ctx, tx, core.Scan{ProjectID: head.ProjectID}, head.Scanner, head.SHA, ancestor{})
		if err != nil {
			return err
		}
		stays[run.ScanID] = true
	}
	return nil
}

// neededAtAll is true for a scan s that stays for its own sake: it is young, open or the first attempt of a younger
// one, its commit status is still being posted, or it is among the newest of its project that ended. A status that could not be
// posted for a long time never will be. Each condition can be answered by one index: without statistics, PostgreSQL
// would choose the wrong one of two.
var neededAtAll = `(s.timestamp >= :before OR s.status IN ('pending', 'processing')
	OR EXISTS (SELECT 1 FROM scans later WHERE later.commit_sha = s.commit_sha AND later.attempt > s.attempt)
	OR EXISTS (SELECT 1 FROM commit_statuses c
		WHERE c.first_scan_id = COALESCE(s.first_scan_id, s.id) AND c.scan_id = s.id AND c.posted_revision < c.revision AND NOT c.given_up AND c.desired_at >= :before)
	OR s.id >= COALESCE((SELECT n.id FROM (` + newestEnded("pass") + ` UNION ALL ` + newestEnded("fail") + ` UNION ALL ` + newestEnded("failed") + `) n
		ORDER BY n.id DESC LIMIT 1 OFFSET :others), 0))`

// newestEnded are as many scans of the project of s as stay, the newest that ended in one way.
func newestEnded(outcome string) string {
	return `SELECT id FROM (SELECT o.scan_id + 0 AS id FROM outcomes o
		WHERE o.project_id = s.project_id AND o.outcome = '` + outcome + `' ORDER BY o.scan_id + 0 DESC LIMIT :newest) AS ` + outcome
}

// neededAsHead is true for a scan s of a commit where a ref stands, if that is the default branch, has moved since a time, or
// was seen to be there lately.
const neededAsHead = `EXISTS (SELECT 1 FROM refs r WHERE r.project_id = s.project_id AND r.sha = s.commit_sha
	AND (r.name = 'refs/heads/' || s.default_branch OR r.moved_at >= :heads
		OR EXISTS (SELECT 1 FROM tracked_projects w WHERE w.project_id = s.project_id AND w.synced_at >= :before)))`

// neededAsHistory is true for a scan s with a pipeline run that coming runs will be compared with, see sameSeries.
const neededAsHistory = `EXISTS (SELECT 1 FROM pipeline_metrics m
	WHERE m.scan_id = s.id AND m.pipeline_status = 'success' AND m.finished_at >= COALESCE((
		SELECT p.finished_at FROM pipeline_metrics p
		WHERE p.project_id = m.project_id AND p.pipeline_name = m.pipeline_name AND p.on_default_branch = m.on_default_branch
			AND (p.pipeline_name <> '' OR p.source = m.source)
			AND p.pipeline_status = 'success' AND p.finished_at IS NOT NULL
		ORDER BY p.finished_at DESC, p.id DESC LIMIT 1 OFFSET :runs), m.finished_at))`

// dependents are, by scan, the scans of which a run was compared with it.
func dependents(ctx context.Context, tx *sqlx.Tx, scans []int64) (map[int64][]int64, error) {
	var pairs []struct {
		Baseline int64 `db:"baseline"`
		ScanID   int64 `db:"scan_id"`
	}
	err := sqldb.SelectIn(ctx, tx, &pairs, `
		SELECT DISTINCT baseline_scan_id AS baseline, scan_id FROM scan_jobs WHERE baseline_scan_id IN (?)`, scans)
	if err != nil {
		return nil, err
	}
	by := map[int64][]int64{}
	for _, pair := range pairs {
		by[pair.Baseline] = append(by[pair.Baseline], pair.ScanID)
	}
	return by, nil
}
