package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// scanBatch is how many scans are looked at together, and may go in one transaction.
const scanBatch = 200

// ScanRetention says which scans may go.
type ScanRetention struct {
	Before  time.Time // scans that were made since then stay
	Heads   time.Time // so does the last one of each branch that may be gone since then
	Newest  int       // and so many of each project, whatever their age; at least 1
	Metrics int       // and those whose pipeline runs are among so many successful ones of their series; at least 1
}

// PruneScans looks at the scans with an id above after, a batch in the order of their ids, and removes those that
// nothing needs any more. It returns how many went, and the id to go on after, 0 when all old ones have been looked at.
//
// Beside what the retention says there stay scans that are open or whose commit status is being posted, the earlier
// attempts of those that stay, the last complete run of each scanner on branches that exist, and the baselines of all
// that stay for their own sake.
func (s *Store) PruneScans(ctx context.Context, r ScanRetention, after int64) (removed int, next int64, err error) {
	old, next, err := s.oldScans(ctx, r, after)
	if err == nil && len(old) > 0 {
		removed, err = s.removeScans(ctx, r, old)
	}
	if err != nil {
		return removed, 0, fmt.Errorf("pruning scans: %w", classify(err))
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
// half gone already; findings, of which there may be very many, go in batches; and the rest goes with the scans.
func (s *Store) removeScans(ctx context.Context, r ScanRetention, old []int64) (removed int, err error) {
	var going []int64
	err = s.prune(ctx, func(tx *sqlx.Tx) error {
		if going, err = needless(ctx, tx, r, old); err != nil || len(going) == 0 {
			return err
		}
		return execIn(ctx, tx, `
			UPDATE scan_jobs SET state = 'failed', error = 'its findings were removed, as retention says'
			WHERE scan_id IN (?)`, going)
	})
	for err == nil && len(going) > 0 {
		var n int64
		if n, err = s.removeFindings(ctx, going); err == nil && n == 0 {
			return s.bury(ctx, r, going)
		}
	}
	return 0, err
}

func (s *Store) removeFindings(ctx context.Context, scans []int64) (n int64, err error) {
	query, args, err := sqlx.In(`
		DELETE FROM findings WHERE id IN (SELECT id FROM findings WHERE scan_id IN (?) LIMIT ?)`, scans, 2*pruneBatch)
	if err != nil {
		return 0, err
	}
	err = s.prune(ctx, func(tx *sqlx.Tx) error {
		n, err = rowsChanged(ctx, tx, query, args...)
		return err
	})
	return n, err
}

// bury removes the scans but for those that have become needed meanwhile, and leaves a note of each.
func (s *Store) bury(ctx context.Context, r ScanRetention, going []int64) (removed int, err error) {
	err = s.prune(ctx, func(tx *sqlx.Tx) error {
		if going, err = needless(ctx, tx, r, going); err != nil || len(going) == 0 {
			return err
		}
		if err := s.noteRemoved(ctx, tx, going); err != nil {
			return err
		}
		removed = len(going)
		return execIn(ctx, tx, `DELETE FROM scans WHERE id IN (?)`, going)
	})
	return removed, err
}

func (s *Store) noteRemoved(ctx context.Context, tx *sqlx.Tx, ids []int64) error {
	query, args, err := sqlx.In(`SELECT `+scanColumns+` FROM scans WHERE id IN (?)`, ids)
	if err != nil {
		return err
	}
	var scans []core.Scan
	if err := tx.SelectContext(ctx, &scans, tx.Rebind(query), args...); err != nil {
		return err
	}
	notes := make([]removedScan, len(scans))
	for i, scan := range scans {
		_, outcome := core.StatusFor(scan)
		notes[i] = removedScan{
			scan.ReferenceID, scan.SourcePlatform, scan.ProjectName, scan.CommitSHA, outcome, scan.Timestamp, s.clock(),
		}
	}
	_, err = tx.NamedExecContext(ctx, `
		INSERT INTO removed_scans (reference_id, source_platform, project_name, commit_sha, outcome, scanned_at, removed_at)
		VALUES (:reference_id, :source_platform, :project_name, :commit_sha, :outcome, :scanned_at, :removed_at)`, notes)
	return err
}

// execIn runs a statement whose only parameter is a list.
func execIn(ctx context.Context, tx *sqlx.Tx, statement string, ids []int64) error {
	query, args, err := sqlx.In(statement, ids)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(query), args...)
	return err
}
