package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// wantStatuses writes what the commits of the scans should show for them.
func (s *Store) wantStatuses(ctx context.Context, tx *sqlx.Tx, scans []core.Scan) error {
	wishes := make([]core.Status, len(scans))
	for i, scan := range scans {
		wishes[i] = s.wishOf(scan)
		wishes[i].Context = scan.Context
		wishes[i].State, wishes[i].Description = core.StatusFor(scan)
	}
	return s.putWishes(ctx, tx, wishes)
}

// wantWaiting lets a commit say what its scan waits for.
func (s *Store) wantWaiting(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job) error {
	wish := s.wishOf(scan)
	wish.Context, wish.State = scan.Context, core.StatusPending
	wish.Description = core.Truncate("Waiting: " + job.Scanner + ": " + job.Error)
	return s.putWishes(ctx, tx, []core.Status{wish})
}

// putWishes writes what commits should show, at most one wish for each commit and context. The row of a commit and
// context keeps the latest wish only: a wish that changes nothing is none, and a newer one takes the place of one that
// was not posted yet. One of an earlier attempt comes too late. A pause that a platform asked for outlives the wish,
// unless that is for another branch, which may be written to when the first may not.
func (s *Store) putWishes(ctx context.Context, tx *sqlx.Tx, wishes []core.Status) error {
	if len(wishes) == 0 {
		return nil
	}
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO commit_statuses (scan_id, source_platform, project_name, project_ref, commit_sha, branch, context,
			state, description, target_url, next_attempt_at, wanted_at, due_since)
		VALUES (:scan_id, :source_platform, :project_name, :project_ref, :commit_sha, :branch, :context,
			:state, :description, :target_url, :next_attempt_at, :wanted_at, :wanted_at)
		ON CONFLICT (source_platform, project_name, commit_sha, context) DO UPDATE SET
			scan_id = excluded.scan_id, project_ref = excluded.project_ref, branch = excluded.branch,
			state = excluded.state, description = excluded.description, target_url = excluded.target_url,
			wanted_at = excluded.wanted_at, due_since = excluded.due_since, revision = commit_statuses.revision + 1,
			attempts = 0, given_up = FALSE, last_error = '',
			next_attempt_at = CASE WHEN commit_statuses.next_attempt_at > excluded.next_attempt_at AND NOT commit_statuses.given_up
				AND commit_statuses.branch = excluded.branch THEN commit_statuses.next_attempt_at ELSE excluded.next_attempt_at END
		WHERE excluded.scan_id >= commit_statuses.scan_id AND (commit_statuses.state <> excluded.state
			OR commit_statuses.description <> excluded.description OR commit_statuses.target_url <> excluded.target_url)`, wishes)
	return err
}

// wishOf is a wish for the scan's commit that still lacks context, state and text.
func (s *Store) wishOf(scan core.Scan) core.Status {
	now := s.clock()
	status := core.Status{
		ScanID: scan.ID, SourcePlatform: scan.SourcePlatform, ProjectName: scan.ProjectName, ProjectRef: scan.ProjectRef,
		CommitSHA: scan.CommitSHA, Branch: scan.Branch, NextAttemptAt: now, WantedAt: now,
	}
	if s.publicURL != "" {
		status.TargetURL = s.publicURL + "/scans/" + scan.ReferenceID
	}
	return status
}

// othersFirst counts the other statuses of a commit that are being posted, or are due and older. PostgreSQL would make
// a join with the whole table of a NOT EXISTS.
const othersFirst = `(SELECT COUNT(*) FROM commit_statuses other
	WHERE other.source_platform = due.source_platform AND other.project_name = due.project_name
		AND other.commit_sha = due.commit_sha AND other.id <> due.id
		AND (other.lease_until > ? OR other.id < due.id AND other.posted_revision < other.revision
			AND NOT other.given_up AND other.next_attempt_at <= ?))`

// troubled counts what keeps all statuses of a project, or those of its branch, from being posted.
const troubled = `(SELECT COUNT(*) FROM project_troubles t
	WHERE t.source_platform = due.source_platform AND t.project_name = due.project_name AND t.branch IN ('', due.branch))`

// probeFirst is every how many claims a project in trouble goes before the others, so that its turn comes however much
// there is to post, and the others' turn however many are in trouble.
const probeFirst = 4

type claimStep func(context.Context, *sqlx.Tx, []string, int, time.Duration) ([]core.Status, error)

// ClaimStatuses leases up to limit statuses that are due on the given platforms, at most one for each commit, and none
// for a commit of which one is being posted: posts are serial per commit. Of a project that is in trouble there is one
// at most, and only when it is time to try again. Nothing due is an empty list.
func (s *Store) ClaimStatuses(ctx context.Context, onPlatforms []string, limit int, lease time.Duration) ([]core.Status, error) {
	steps := []claimStep{s.claimDue, s.claimProbe}
	if s.claims.Add(1)%probeFirst == 0 {
		slices.Reverse(steps)
	}
	var claimed []core.Status
	err := s.transact(ctx, func(tx *sqlx.Tx) error {
		for _, step := range steps {
			more, err := step(ctx, tx, onPlatforms, limit-len(claimed), lease)
			if err != nil {
				return err
			}
			claimed = append(claimed, more...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claiming statuses: %w", err)
	}
	return claimed, nil
}

func (s *Store) claimDue(
	ctx context.Context, tx *sqlx.Tx, onPlatforms []string, limit int, lease time.Duration) ([]core.Status, error) {
	if limit <= 0 {
		return nil, nil
	}
	now := s.clock()
	query, args, err := sqlx.In(`
		UPDATE commit_statuses SET lease_until = ?
		WHERE id IN (
			SELECT id FROM commit_statuses due
			WHERE posted_revision < revision AND NOT given_up AND next_attempt_at <= ? AND source_platform IN (?)
				AND (lease_until IS NULL OR lease_until <= ?)
				AND `+othersFirst+` = 0 AND `+troubled+` = 0
			ORDER BY next_attempt_at, id LIMIT ? `+s.dialect.skipLocked+`)
			AND posted_revision < revision AND NOT given_up AND (lease_until IS NULL OR lease_until <= ?)
		RETURNING `+statusColumns+`, `+mergePipeline+` AS merge_pipeline,
			(SELECT timestamp FROM scans s WHERE s.id = scan_id AND s.context = commit_statuses.context) AS pushed_at`,
		now.Add(lease), now, onPlatforms, now, now, now, limit, now)
	if err != nil {
		return nil, nil // no platforms, nothing due
	}
	var claimed []core.Status
	err = tx.SelectContext(ctx, &claimed, tx.Rebind(query), args...)
	return claimed, err
}

// ListStatuses returns the commit statuses of a scan, with what was posted of them so far.
func (s *Store) ListStatuses(ctx context.Context, scan core.Scan) ([]core.Status, error) {
	var list []core.Status
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+statusColumns+` FROM commit_statuses WHERE scan_id = ? ORDER BY id`), scan.ID)
	if err != nil {
		return nil, fmt.Errorf("listing statuses: %w", classify(err))
	}
	return list, nil
}
