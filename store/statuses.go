package store

import (
	"cmp"
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

const (
	distinctAnswers = 20  // failed attempts of a revision that are kept with their text; of later ones the outcome and the code
	maxPosts        = 100 // attempts that are listed of one scan
)

// PostResult is how an attempt to post a claimed status ended.
type PostResult struct {
	Posted      bool
	PipelinePin string        // the platform's pipeline that it was posted to, or empty
	PostedID    int64         // the platform's number of it; 0 where unknown
	LeftOut     string        // what was left out of it because the platform refused it, and why
	CheckAfter  time.Duration // when to look whether it still stands; 0 is never
	RetryAfter  time.Duration // when not Posted: the pause before the next attempt
	GivenUp     bool          // when not Posted: nothing more is tried for this revision
	Waiting     bool          // when not Posted: because we were asked to wait
	Error       string        // when not Posted: why, a sentence without secrets
	Code        int           // HTTP status of the platform's answer; 0 where none came
	Latency     time.Duration // how long the platform needed
	Hold        *core.Hold    // when not Posted: the token may not post; Branch, NextProbeAt and Probes are read
}

func (end PostResult) outcome() core.PostOutcome {
	switch {
	case end.Posted:
		return core.Posted
	case end.Hold != nil || end.Waiting:
		return core.PostWaiting
	case end.GivenUp:
		return core.PostGivenUp
	}
	return core.PostRetry
}

// SettleStatus ends the lease of a claimed status and keeps the attempt. What was put meanwhile stays due: a revision
// that is not the latest can neither give up nor delay the latest. core.ErrConflict when the lease was lost; where
// another process posted a newer revision meanwhile, that is posted once more, because it is unknown which of the two
// came last.
func (s *Store) SettleStatus(ctx context.Context, status core.Status, end PostResult) error {
	var settled int64
	work := s.settlement(ctx, status, end, &settled)
	err := s.db.Transact(ctx, work)
	if err == nil && settled == 0 {
		err = fmt.Errorf("%w: the lease was lost", core.ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("settling status %d: %w", status.ID, err)
	}
	if status.Probe > 0 {
		s.changed.Ring()
	}
	return nil
}

func (s *Store) settlement(
	ctx context.Context, status core.Status, end PostResult, settled *int64) func(*sqlx.Tx) error {
	now := s.clock.Timestamp()
	settle := s.settleFailed
	if end.Posted {
		settle = s.settlePosted
	}
	return func(tx *sqlx.Tx) (err error) {
		if *settled, err = settle(ctx, tx, status, end, now); err != nil || *settled == 0 {
			return err
		}
		return keepPost(ctx, tx, status, end.post(status, now))
	}
}

// settlePosted locks a hold before the statuses that it keeps waiting, as settleFailed does.
func (s *Store) settlePosted(
	ctx context.Context, tx *sqlx.Tx, status core.Status, end PostResult, now time.Time) (int64, error) {
	if status.Probe > 0 {
		if err := s.liftHold(ctx, tx, status, status.Branch, now); err != nil {
			return 0, err
		}
	}
	settled, err := postedStatus(ctx, tx, status, end, now)
	switch {
	case err == nil && settled > 0:
		err = s.followAfter(ctx, tx, status, end)
	case err == nil:
		_, err = sqldb.Exec(ctx, tx, `
			UPDATE commit_statuses SET revision = revision + 1 WHERE id = ? AND posted_revision > ?`,
			status.ID, status.Revision)
	}
	return settled, err
}

func (s *Store) settleFailed(
	ctx context.Context, tx *sqlx.Tx, status core.Status, end PostResult, now time.Time) (int64, error) {
	if end.Hold == nil {
		return failedStatus(ctx, tx, status, end, now)
	}
	if status.Probe > 0 && end.Hold.Branch != "" { // then it is not the whole project, or not any more
		if err := s.liftHold(ctx, tx, status, "", now); err != nil {
			return 0, err
		}
	}
	if err := putHold(ctx, tx, status, end, now); err != nil {
		return 0, err
	}
	settled, err := failedStatus(ctx, tx, status, end, now)
	if err != nil {
		return 0, err
	}
	return settled, s.giveUpLate(ctx, tx, status, end, now)
}

// postedStatus ends every pause as well: what was put meanwhile has inherited it.
func postedStatus(ctx context.Context, tx *sqlx.Tx, status core.Status, end PostResult, now time.Time) (int64, error) {
	var check *time.Time
	if end.CheckAfter > 0 {
		at := now.Add(end.CheckAfter)
		check = &at
	}
	return sqldb.Exec(ctx, tx, `
		UPDATE commit_statuses SET posted_revision = ?, posted_state = ?, posted_at = ?, posted_id = ?, left_out = ?, check_at = ?,
			next_attempt_at = ?, attempts = 0, last_error = '', lease_until = NULL, pipeline_pin = CASE WHEN ? = '' THEN pipeline_pin ELSE ? END
		WHERE id = ? AND lease_until = ?`,
		status.Revision, status.State, now, end.PostedID, end.LeftOut, check, now, end.PipelinePin, end.PipelinePin,
		status.ID, status.LeaseUntil)
}

func failedStatus(ctx context.Context, tx *sqlx.Tx, status core.Status, end PostResult, now time.Time) (int64, error) {
	retry := now.Add(end.RetryAfter)
	if end.Hold != nil {
		retry = now.Add(holdLimit)
	}
	failures := 1
	if end.Waiting { // the next failure is no graver for that
		failures = 0
	}
	return sqldb.Exec(ctx, tx, `
		UPDATE commit_statuses SET lease_until = NULL, attempts = attempts + ?, next_attempt_at = ?, last_error = ?,
			given_up = (revision = ? AND ?)
		WHERE id = ? AND lease_until = ?`,
		failures, retry, end.Error, status.Revision, end.GivenUp, status.ID, status.LeaseUntil)
}

// giveUpLate gives up the statuses of a project with a hold that have waited too long.
func (s *Store) giveUpLate(
	ctx context.Context, tx *sqlx.Tx, status core.Status, end PostResult, now time.Time) error {
	late := fmt.Sprintf("waited for %d days: %s", holdLimit/(24*time.Hour), end.Error)
	status.ID, status.Branch = 0, end.Hold.Branch // this one as well
	return s.eachWaiting(ctx, tx, status, now.Add(-holdLimit),
		`UPDATE commit_statuses SET given_up = TRUE, last_error = ? WHERE id IN (?)`, late)
}

// waitingPerStatement is how many waiting statuses one statement changes.
const waitingPerStatement = 100

// eachWaiting updates the statuses of a project, or of a branch of it, that have waited since then or longer, except
// the given one. The last parameter of the update are their numbers. They are read in the order of their index, which
// no engine estimates to cost as much as reading the whole table.
func (s *Store) eachWaiting(
	ctx context.Context, tx *sqlx.Tx, but core.Status, since time.Time, update string, args ...any) error {
	type place struct {
		ID        int64     `db:"id"`
		DesiredAt time.Time `db:"desired_at"`
	}
	for last := (place{}); ; {
		var some []place
		err := tx.SelectContext(ctx, &some, tx.Rebind(`
			SELECT id, desired_at FROM commit_statuses
			WHERE `+waitingFor+` AND (desired_at, id) > (?, ?) AND desired_at <= ? AND id <> ?
			ORDER BY desired_at, id LIMIT ?`),
			but.SourcePlatform, but.ProjectName, but.Branch, but.Branch, last.DesiredAt, last.ID, since, but.ID, waitingPerStatement)
		if err != nil || len(some) == 0 {
			return err
		}
		last = some[len(some)-1]
		ids := make([]int64, len(some))
		for i, one := range some {
			ids[i] = one.ID
		}
		if _, err := sqldb.ExecIn(ctx, tx, update, append(slices.Clone(args), ids)...); err != nil {
			return err
		}
	}
}

func (end PostResult) post(status core.Status, now time.Time) core.StatusPost {
	return core.StatusPost{
		StatusID: status.ID, ScanID: status.ScanID, Context: status.Context, Revision: status.Revision,
		State: status.State, Description: status.Description, Outcome: end.outcome(), Code: end.Code,
		Answer: cmp.Or(end.Error, end.LeftOut), At: now, LastAt: now, Milliseconds: end.Latency.Milliseconds(),
	}
}

// keepPost records an attempt, in the row of an equal one where there is one: a platform that is unavailable for a day
// leaves a handful of rows. The first attempt of a revision has no equal.
func keepPost(ctx context.Context, tx *sqlx.Tx, status core.Status, post core.StatusPost) error {
	if status.LastError != "" || post.Outcome == core.PostOverwritten {
		again, err := sqldb.Exec(ctx, tx, `
			UPDATE status_posts SET times = times + 1, last_at = ?, latency_ms = ?, state = ?, description = ?, answer = ?
			WHERE id = (SELECT MAX(id + 0) FROM status_posts WHERE status_id = ? AND scan_id = ? AND revision = ?
				AND outcome = ? AND code = ? AND (answer = ? OR ?))`,
			post.LastAt, post.Milliseconds, post.State, post.Description, post.Answer, post.StatusID, post.ScanID, post.Revision,
			post.Outcome, post.Code, post.Answer, status.Attempts >= distinctAnswers)
		if err != nil || again > 0 {
			return err
		}
	}
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO status_posts (status_id, scan_id, context, revision, state, description, outcome, code, answer, at,
			last_at, latency_ms)
		VALUES (:status_id, :scan_id, :context, :revision, :state, :description, :outcome, :code, :answer, :at,
			:last_at, :latency_ms)`, post)
	return err
}

var postColumns = sqldb.ColumnsOf[core.StatusPost]()

// ListPosts returns the attempts to post the statuses of a scan in their order, the latest where there are very many.
func (s *Store) ListPosts(ctx context.Context, scan core.Scan) ([]core.StatusPost, error) {
	var list []core.StatusPost
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+postColumns+`, source_platform FROM (
			SELECT `+sqldb.Qualify("p", postColumns)+`, c.source_platform
			FROM commit_statuses c JOIN status_posts p ON p.status_id = c.id
			WHERE c.source_platform = ? AND c.project_name = ? AND c.commit_sha = ? AND p.scan_id = ?
			ORDER BY p.id DESC LIMIT ?) latest
		ORDER BY id`), scan.SourcePlatform, scan.ProjectName, scan.CommitSHA, scan.ID, maxPosts)
	if err != nil {
		return nil, fmt.Errorf("listing posts: %w", sqldb.Classify(err))
	}
	return list, nil
}

// mergePipeline is the newest pipeline of a merge request in the recorded events, for the commit of a row of
// commit_statuses; 0 where there is none. A merge request shows that one, whichever others ran for its commit.
var mergePipeline = `COALESCE((SELECT MAX(m.pipeline_id) FROM scans s JOIN pipeline_metrics m ON m.scan_id = s.id
	WHERE ` + sameCommit("s", "commit_statuses") + ` AND m.source = '` + core.SourceMergeRequest + `'), 0)`

// followAfter does the same for a status that was being posted, or was bound to end in the pipeline where it was
// pending. One that was free to go to the merge request and stands elsewhere was not taken there.
func (s *Store) followAfter(ctx context.Context, tx *sqlx.Tx, posted core.Status, end PostResult) error {
	if posted.State == core.StatusPending || end.PipelinePin+posted.PipelinePin == "" {
		return nil
	}
	return s.postAgain(ctx, tx, `id = ? AND (? OR `+mergePipeline+` <> ?)`,
		posted.ID, posted.PostedState == core.StatusPending, posted.MergePipeline)
}

// postAgain makes statuses due once more that are posted, final, and not in the pipeline of the commit's merge request.
func (s *Store) postAgain(ctx context.Context, tx *sqlx.Tx, which string, args ...any) error {
	now := s.clock.Timestamp()
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		UPDATE commit_statuses SET revision = revision + 1, attempts = 0, next_attempt_at = ?, desired_at = ?, due_since = ?
		WHERE posted_revision = revision AND posted_state NOT IN ('', ?) AND pipeline_pin <> ''
			AND `+mergePipeline+` <> 0 AND pipeline_pin <> CAST(`+mergePipeline+` AS TEXT) AND `+which),
		append([]any{now, now, now, core.StatusPending}, args...)...)
	return err
}
