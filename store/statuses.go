package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

var statusColumns = sqldb.ColumnsOf[core.Status]()

// putStatuses puts what the commits of the scans should show for them.
func (s *Store) putStatuses(ctx context.Context, tx *sqlx.Tx, scans []core.Scan) error {
	statuses := make([]core.Status, len(scans))
	for i, scan := range scans {
		statuses[i] = s.desiredStatus(scan)
		statuses[i].Context = scan.Context
		statuses[i].State, statuses[i].Description = core.StatusFor(scan)
	}
	return s.putDesired(ctx, tx, statuses)
}

// putWaiting lets a commit show what its scan waits for.
func (s *Store) putWaiting(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job) error {
	status := s.desiredStatus(scan)
	status.Context, status.State = scan.Context, core.StatusPending
	status.Description = core.Truncate("Waiting: " + job.Scanner + ": " + job.Error)
	return s.putDesired(ctx, tx, []core.Status{status})
}

// putDesired puts desired statuses, at most one for each commit and context. The row of a commit and context keeps the
// latest only: an equal one changes nothing, and a newer one replaces one that was not posted yet. One of an earlier
// attempt comes too late. A pause that a platform asked for stays, unless the status is for another branch, which may
// be writable when the first is not.
func (s *Store) putDesired(ctx context.Context, tx *sqlx.Tx, statuses []core.Status) error {
	if len(statuses) == 0 {
		return nil
	}
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO commit_statuses (scan_id, source_platform, project_name, project_ref, commit_sha, branch, context,
			state, description, target_url, next_attempt_at, desired_at, due_since)
		VALUES (:scan_id, :source_platform, :project_name, :project_ref, :commit_sha, :branch, :context,
			:state, :description, :target_url, :next_attempt_at, :desired_at, :desired_at)
		ON CONFLICT (source_platform, project_name, commit_sha, context) DO UPDATE SET
			scan_id = excluded.scan_id, project_ref = excluded.project_ref, branch = excluded.branch,
			state = excluded.state, description = excluded.description, target_url = excluded.target_url,
			desired_at = excluded.desired_at, due_since = excluded.due_since, revision = commit_statuses.revision + 1,
			attempts = 0, given_up = FALSE, last_error = '',
			next_attempt_at = CASE WHEN commit_statuses.next_attempt_at > excluded.next_attempt_at AND NOT commit_statuses.given_up
				AND commit_statuses.branch = excluded.branch THEN commit_statuses.next_attempt_at ELSE excluded.next_attempt_at END
		WHERE excluded.scan_id >= commit_statuses.scan_id AND (commit_statuses.state <> excluded.state
			OR commit_statuses.description <> excluded.description OR commit_statuses.target_url <> excluded.target_url)`, statuses)
	return err
}

// desiredStatus is a status for the scan's commit that still lacks context, state and text.
func (s *Store) desiredStatus(scan core.Scan) core.Status {
	now := s.clock.Timestamp()
	status := core.Status{
		ScanID: scan.ID, SourcePlatform: scan.SourcePlatform, ProjectName: scan.ProjectName, ProjectRef: scan.ProjectRef,
		CommitSHA: scan.CommitSHA, Branch: scan.Branch, NextAttemptAt: now, DesiredAt: now,
	}
	if s.publicURL != "" {
		status.TargetURL = s.publicURL + "/scans/" + scan.ReferenceID
	}
	return status
}

// probeFirst is at every how many claims holds are probed before other statuses are claimed, so that they get their
// turn however much there is to post, and others get theirs however many holds there are.
const probeFirst = 4

type claimStep func(context.Context, *sqlx.Tx, []string, int, time.Duration) ([]core.Status, error)

// ClaimStatuses leases up to limit statuses that are due on the given platforms, at most one for each commit, and none
// for a commit of which one is being posted: posts are serial per commit. Of a project with a hold there is one at
// most, and only when a probe is due. Nothing due is an empty list.
func (s *Store) ClaimStatuses(ctx context.Context, onPlatforms []string, limit int, lease time.Duration) ([]core.Status, error) {
	steps := []claimStep{s.claimDue, s.claimProbe}
	if s.claims.Add(1)%probeFirst == 0 {
		slices.Reverse(steps)
	}
	var claimed []core.Status
	err := s.db.Transact(ctx, func(tx *sqlx.Tx) error {
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

const (
	// spareDue is how many more due statuses are read than claimed, because some of them cannot be posted now.
	spareDue = 32
	// maxReads is how often a claim reads on, eight times as many, where statuses with a hold come before others.
	maxReads = 8
	maxSpare = 1000
)

// dueStatus is a status that is due, as far as its own row shows.
type dueStatus struct {
	ID          int64  `db:"id"`
	ProjectName string `db:"project_name"`
	Branch      string `db:"branch"`
	CommitSHA   string `db:"commit_sha"`
	Siblings    int    `db:"siblings"` // other statuses of the commit
}

// claimDue reads the statuses in the order in which they became due, and of each only its own row, so that a backlog
// costs nothing. What a hold keeps from being posted is set aside, so that no claim reads it again.
func (s *Store) claimDue(
	ctx context.Context, tx *sqlx.Tx, onPlatforms []string, limit int, lease time.Duration) (claimed []core.Status, err error) {
	for _, platform := range onPlatforms {
		spare, more := spareDue, true
		for read := 0; read < maxReads && more && len(claimed) < limit; read++ {
			var some []core.Status
			some, more, err = s.claimOn(ctx, tx, platform, limit-len(claimed), spare, lease)
			if err != nil {
				return nil, err
			}
			claimed, spare = append(claimed, some...), min(8*spare, maxSpare)
		}
	}
	return claimed, nil
}

// claimOn examines so many due statuses of a platform and some to spare. There may be more behind those that it set
// aside.
func (s *Store) claimOn(
	ctx context.Context, tx *sqlx.Tx, platform string, limit, spare int, lease time.Duration,
) (claimed []core.Status, more bool, err error) {
	due, err := s.lookForDue(ctx, tx, platform, limit+spare)
	if err != nil {
		return nil, false, err
	}
	free, err := s.setAside(ctx, tx, platform, due)
	if err != nil {
		return nil, false, err
	}
	fit, err := s.onePerCommit(ctx, tx, platform, free, limit)
	if err != nil {
		return nil, false, err
	}
	claimed, err = s.lease(ctx, tx, fit, lease)
	return claimed, len(free) < len(due), err
}

func (s *Store) lookForDue(ctx context.Context, tx *sqlx.Tx, platform string, limit int) (due []dueStatus, err error) {
	now := s.clock.Timestamp()
	err = tx.SelectContext(ctx, &due, tx.Rebind(`
		SELECT id, project_name, branch, commit_sha, (SELECT COUNT(*) FROM (SELECT other.id FROM commit_statuses other
			WHERE other.source_platform = due.source_platform AND other.project_name = due.project_name
				AND other.commit_sha = due.commit_sha
			ORDER BY other.context LIMIT `+maxSiblings+`) AS commits) - 1 AS siblings
		FROM commit_statuses due
		WHERE posted_revision < revision AND NOT given_up AND source_platform = ? AND next_attempt_at <= ?
			AND (lease_until IS NULL OR lease_until <= ?)
		ORDER BY next_attempt_at, id LIMIT ? `+s.db.SkipLocked), platform, now, now, limit)
	return due, err
}

// setAside postpones the due statuses that a hold keeps from being posted, so that they are not read again, and returns
// the rest.
func (s *Store) setAside(
	ctx context.Context, tx *sqlx.Tx, platform string, due []dueStatus) (free []dueStatus, err error) {
	if len(due) == 0 {
		return nil, nil
	}
	projects := map[string]bool{}
	for _, status := range due {
		projects[status.ProjectName] = true
	}
	var holds []core.Hold
	err = sqldb.SelectIn(ctx, tx, &holds, `
		SELECT project_name, branch, reason FROM status_holds WHERE source_platform = ? AND project_name IN (?)`,
		platform, slices.Collect(maps.Keys(projects)))
	if err != nil || len(holds) == 0 {
		return due, err
	}
	late := map[string][]int64{} // by reason
	for _, status := range due {
		i := slices.IndexFunc(holds, func(h core.Hold) bool {
			return h.ProjectName == status.ProjectName && (h.Branch == "" || h.Branch == status.Branch)
		})
		if i < 0 {
			free = append(free, status)
			continue
		}
		late[holds[i].Reason] = append(late[holds[i].Reason], status.ID)
	}
	for reason, ids := range late {
		_, err := sqldb.ExecIn(ctx, tx, `UPDATE commit_statuses SET next_attempt_at = ?, last_error = ? WHERE id IN (?)`,
			s.clock.Timestamp().Add(holdLimit), reason, ids)
		if err != nil {
			return nil, err
		}
	}
	return free, nil
}

// maxSiblings bounds how many statuses of one commit are looked at.
const maxSiblings = `16`

// onePerCommit picks the first statuses of different commits, except for commits of which one is being posted.
func (s *Store) onePerCommit(
	ctx context.Context, tx *sqlx.Tx, platform string, due []dueStatus, limit int) (fit []int64, err error) {
	seen := map[commitKey]bool{}
	for _, status := range due {
		key := commitKey{platform, status.ProjectName, status.CommitSHA}
		if len(fit) == limit || seen[key] {
			continue
		}
		seen[key] = true
		busy := false
		if status.Siblings > 0 {
			if busy, err = s.isPosting(ctx, tx, key, status.Siblings+1); err != nil {
				return nil, err
			}
		}
		if !busy {
			fit = append(fit, status.ID)
		}
	}
	return fit, nil
}

// isPosting tells whether one of a commit's statuses is being posted, or locked by a process that may be about to:
// posts are serial per commit. It locks all of them for this transaction.
func (s *Store) isPosting(ctx context.Context, tx *sqlx.Tx, key commitKey, statuses int) (bool, error) {
	var leased []bool
	err := tx.SelectContext(ctx, &leased, tx.Rebind(`
		SELECT COALESCE(lease_until > ?, FALSE) FROM commit_statuses
		WHERE source_platform = ? AND project_name = ? AND commit_sha = ?
		ORDER BY context LIMIT `+maxSiblings+` `+s.db.SkipLocked), s.clock.Timestamp(), key.platform, key.project, key.sha)
	return len(leased) < statuses || slices.Contains(leased, true), err
}

func (s *Store) lease(
	ctx context.Context, tx *sqlx.Tx, ids []int64, lease time.Duration) (leased []core.Status, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	err = s.claimAll(ctx, tx, &leased, claim{
		table: `commit_statuses`, set: setLease, rows: `id IN (:ids)`, guard: unleased,
		columns: claimedColumns + `,
			(SELECT timestamp FROM scans s WHERE s.id = scan_id AND s.context = commit_statuses.context) AS pushed_at`,
	}, lease, map[string]any{"ids": ids})
	return leased, err
}

// claimedColumns are those of a status that is about to be posted.
var claimedColumns = statusColumns + `, ` + mergePipeline + ` AS merge_pipeline`

// claimProbe leases one status of a project with a hold, to find out whether it can be posted again: the latest one,
// whose commit is the most likely to still exist.
func (s *Store) claimProbe(
	ctx context.Context, tx *sqlx.Tx, onPlatforms []string, limit int, lease time.Duration) ([]core.Status, error) {
	hold, err := s.claimHold(ctx, tx, onPlatforms, limit, lease)
	if err != nil || hold.ID == 0 {
		return nil, err
	}
	var claimed []core.Status
	err = s.claimAll(ctx, tx, &claimed, claim{
		table: `commit_statuses`, set: setLease,
		rows: s.firstDue(`commit_statuses due`, waitingForNamed+` AND (SELECT COUNT(*) FROM commit_statuses other
			WHERE other.source_platform = due.source_platform AND other.project_name = due.project_name
				AND other.commit_sha = due.commit_sha AND other.lease_until > :now) = 0`, `desired_at DESC, id DESC`),
		guard:   `posted_revision < revision AND NOT given_up AND ` + unleased,
		columns: claimedColumns + `, CAST(:probes AS INTEGER) AS probe`,
	}, lease, map[string]any{
		"platform": hold.SourcePlatform, "project": hold.ProjectName, "branch": hold.Branch, "probes": hold.Probes,
	})
	if err != nil || len(claimed) > 0 {
		return claimed, err
	}
	return nil, forgetHold(ctx, tx, hold)
}

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

// ListStatuses returns the commit statuses of a scan, with what was posted of them so far.
func (s *Store) ListStatuses(ctx context.Context, scan core.Scan) ([]core.Status, error) {
	var list []core.Status
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+statusColumns+` FROM commit_statuses WHERE scan_id = ? ORDER BY id`), scan.ID)
	if err != nil {
		return nil, fmt.Errorf("listing statuses: %w", sqldb.Classify(err))
	}
	return list, nil
}
