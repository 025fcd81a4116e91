package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

var statusColumns = sqldb.ColumnsOf[core.Status]() + `, ` + fromProject("")

// putStatuses puts what the commits of the scans should show for them.
func (s *Store) putStatuses(ctx context.Context, tx *sqlx.Tx, scans []core.Scan) error {
	var statuses []core.Status
	for _, scan := range scans {
		if scan.ForComparison() {
			continue
		}
		if scan.ReviewOverride(s.clock.Timestamp()) {
			event := core.AuditOf(scan, "scanhook", core.AuditOverride)
			event.Detail = "ended: more stands in the way of the commit than was overridden"
			if err := s.putOverride(ctx, tx, scan, event); err != nil {
				return err
			}
		}
		state, text := core.StatusFor(scan)
		statuses = append(statuses, s.desiredOf(scan, state, text)...)
	}
	if err := s.wantNotes(ctx, tx, scans); err != nil {
		return err
	}
	return s.putDesired(ctx, tx, statuses)
}

func (s *Store) putOverride(ctx context.Context, tx *sqlx.Tx, scan core.Scan, event core.AuditEvent) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`UPDATE scans SET override = ? WHERE id = ?`), scan.OverrideJSON, scan.ID)
	if err != nil {
		return err
	}
	return s.audit(ctx, tx, event)
}

// desiredOf are the statuses of each kind that a scan's commit shows.
func (s *Store) desiredOf(scan core.Scan, state core.StatusState, text string) (list []core.Status) {
	for _, kind := range s.policyOf(scan).Publish.Kinds(s.checks != nil && s.checks(scan.SourcePlatform)) {
		status := s.desiredStatus(scan)
		status.Kind, status.Context, status.State, status.Description = kind, scan.Context, state, text
		if kind == core.KindCheck {
			status.Context = core.CheckContext(scan.Context)
		}
		list = append(list, status)
	}
	return list
}

// putWaiting lets a commit show what its scan waits for.
func (s *Store) putWaiting(ctx context.Context, tx *sqlx.Tx, scan core.Scan, job core.Job) error {
	if scan.ForComparison() {
		return nil
	}
	return s.putDesired(ctx, tx, s.desiredOf(scan, core.StatusPending, core.Truncate("Waiting: "+job.Scanner+": "+job.Error)))
}

// desiredColumns are those in which statuses are put.
const desiredColumns = "first_scan_id BIGINT, scan_id BIGINT, project_id BIGINT, source_platform TEXT, commit_sha TEXT, branch TEXT, " +
	"context TEXT, kind TEXT, state TEXT, description TEXT, target_url TEXT, next_attempt_at TIMESTAMPTZ, held BOOLEAN, last_error TEXT, " +
	"desired_at TIMESTAMPTZ, due_since TIMESTAMPTZ"

// putDesired puts desired statuses, at most one for each commit and context. The row of a commit and context keeps the
// latest only: an equal one changes nothing, and a newer one replaces one that was not posted yet. One of an earlier
// attempt comes too late. A pause that a platform asked for stays, unless the status is for another branch, which may
// be writable when the first is not; that before ours is restored does not. What a hold keeps from being posted is due to nobody until the hold is lifted.
func (s *Store) putDesired(ctx context.Context, tx *sqlx.Tx, statuses []core.Status) error {
	if len(statuses) == 0 {
		return nil
	}
	projects := make([]int64, len(statuses))
	for i, status := range statuses {
		projects[i] = status.ProjectID
	}
	held, err := s.holdsOf(ctx, tx, projects)
	if err != nil {
		return err
	}
	for i := range statuses {
		statuses[i].LastError, statuses[i].Held = held.keep(statuses[i].ProjectID, statuses[i].Branch)
	}
	desired := sqldb.GivenOf("desired", desiredColumns, statuses)
	_, err = s.db.ExecGiven(ctx, tx, desired, desired.Insert(`commit_statuses`)+`
		ON CONFLICT (first_scan_id, context) DO UPDATE SET
			scan_id = excluded.scan_id, branch = excluded.branch,
			state = excluded.state, description = excluded.description, target_url = excluded.target_url,
			desired_at = excluded.desired_at, due_since = excluded.due_since, kind = excluded.kind, revision = commit_statuses.revision + 1,
			attempts = 0, given_up = FALSE, held = excluded.held, last_error = excluded.last_error,
			next_attempt_at = CASE WHEN commit_statuses.next_attempt_at > excluded.next_attempt_at AND NOT commit_statuses.given_up
				AND commit_statuses.branch = excluded.branch
				AND (commit_statuses.restored_revision <> commit_statuses.revision OR commit_statuses.last_error <> '') THEN commit_statuses.next_attempt_at ELSE excluded.next_attempt_at END
		WHERE excluded.scan_id >= commit_statuses.scan_id AND (commit_statuses.state <> excluded.state
			OR commit_statuses.description <> excluded.description OR commit_statuses.target_url <> excluded.target_url)`)
	return err
}

// desiredStatus is a status for the scan's commit that still lacks context, state and text.
func (s *Store) desiredStatus(scan core.Scan) core.Status {
	now := s.clock.Timestamp()
	status := core.Status{
		FirstScanID: scan.First(), ScanID: scan.ID, ProjectID: scan.ProjectID, SourcePlatform: scan.SourcePlatform, Kind: core.KindStatus,
		CommitSHA: scan.CommitSHA, Branch: scan.Branch, NextAttemptAt: now, DesiredAt: now, DueSince: now,
		TargetURL: s.PageOf(scan),
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

// statusKey identifies a status.
type statusKey struct {
	FirstScanID int64  `db:"first_scan_id"`
	Context     string `db:"context"`
}

// The status of a key, and those of some keys, of which theseKeys makes the arguments. The index leads to their commits.
const (
	thisStatus = `first_scan_id = ? AND context = ?`
	theseNamed = `first_scan_id IN (:commits) AND first_scan_id || ' ' || context IN (:keys)`
)

var theseStatuses = strings.NewReplacer(`:commits`, `?`, `:keys`, `?`).Replace(theseNamed)

func theseKeys(keys []statusKey) (commits []int64, texts []string) {
	for _, key := range keys {
		commits, texts = append(commits, key.FirstScanID), append(texts, fmt.Sprint(key.FirstScanID, " ", key.Context))
	}
	return commits, texts
}

// dueStatus is a status that is due, as far as its own row shows.
type dueStatus struct {
	statusKey
	ProjectID int64  `db:"project_id"`
	Branch    string `db:"branch"`
	Siblings  int    `db:"siblings"` // other statuses of the commit
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
	free, err := s.setAside(ctx, tx, due)
	if err != nil {
		return nil, false, err
	}
	fit, err := s.onePerCommit(ctx, tx, free, limit)
	if err != nil {
		return nil, false, err
	}
	claimed, err = s.lease(ctx, tx, fit, lease)
	return claimed, len(free) < len(due), err
}

// dueToAll is true for statuses that wait for nothing but their turn.
const dueToAll = `posted_revision < revision AND NOT given_up AND NOT held`

func (s *Store) lookForDue(ctx context.Context, tx *sqlx.Tx, platform string, limit int) (due []dueStatus, err error) {
	now := s.clock.Timestamp()
	err = tx.SelectContext(ctx, &due, tx.Rebind(`
		SELECT first_scan_id, context, project_id, branch, (SELECT COUNT(*) FROM (SELECT other.context FROM commit_statuses other
			WHERE other.first_scan_id = due.first_scan_id
			ORDER BY other.context LIMIT `+maxSiblings+`) AS commits) - 1 AS siblings
		FROM commit_statuses due
		WHERE `+dueToAll+` AND source_platform = ? AND next_attempt_at <= ?
			AND (lease_until IS NULL OR lease_until <= ?)
		ORDER BY next_attempt_at, first_scan_id, context LIMIT ? `+s.db.SkipLocked), platform, now, now, limit)
	return due, err
}

// setAside holds the due statuses of projects that have got a hold since they were put, so that no claim reads them again,
// and returns the rest.
func (s *Store) setAside(
	ctx context.Context, tx *sqlx.Tx, due []dueStatus) (free []dueStatus, err error) {
	if len(due) == 0 {
		return nil, nil
	}
	projects := make([]int64, len(due))
	for i, status := range due {
		projects[i] = status.ProjectID
	}
	held, err := s.holdsOf(ctx, tx, projects)
	if err != nil || len(held) == 0 {
		return due, err
	}
	late := map[string][]statusKey{} // by reason
	for _, status := range due {
		if reason, keeps := held.keep(status.ProjectID, status.Branch); keeps {
			late[reason] = append(late[reason], status.statusKey)
			continue
		}
		free = append(free, status)
	}
	for reason, keys := range late {
		commits, texts := theseKeys(keys)
		_, err := sqldb.ExecIn(ctx, tx, `UPDATE commit_statuses SET held = TRUE, last_error = ? WHERE `+theseStatuses, reason, commits, texts)
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
	ctx context.Context, tx *sqlx.Tx, due []dueStatus, limit int) (fit []statusKey, err error) {
	seen := map[int64]bool{}
	for _, status := range due {
		if len(fit) == limit || seen[status.FirstScanID] {
			continue
		}
		seen[status.FirstScanID] = true
		busy := false
		if status.Siblings > 0 {
			if busy, err = s.isPosting(ctx, tx, status.FirstScanID, status.Siblings+1); err != nil {
				return nil, err
			}
		}
		if !busy {
			fit = append(fit, status.statusKey)
		}
	}
	return fit, nil
}

// isPosting tells whether one of a commit's statuses is being posted, or locked by a process that may be about to:
// posts are serial per commit. It locks all of them for this transaction.
func (s *Store) isPosting(ctx context.Context, tx *sqlx.Tx, commit int64, statuses int) (bool, error) {
	var leased []bool
	err := tx.SelectContext(ctx, &leased, tx.Rebind(`
		SELECT COALESCE(lease_until > ?, FALSE) FROM commit_statuses
		WHERE first_scan_id = ?
		ORDER BY context LIMIT `+maxSiblings+` `+s.db.SkipLocked), s.clock.Timestamp(), commit)
	return len(leased) < statuses || slices.Contains(leased, true), err
}

func (s *Store) lease(
	ctx context.Context, tx *sqlx.Tx, keys []statusKey, lease time.Duration) (leased []core.Status, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	commits, texts := theseKeys(keys)
	err = s.claimAll(ctx, tx, &leased, claim{
		table: `commit_statuses`, set: setLease, rows: theseNamed, guard: unleased,
		columns: claimedColumns + `, (SELECT timestamp FROM scans s WHERE s.id = scan_id AND (s.context = commit_statuses.context OR kind = 'check')
			AND NOT EXISTS (SELECT 1 FROM commit_statuses shown WHERE shown.first_scan_id = commit_statuses.first_scan_id
				AND shown.context IN (s.context, s.context || '` + core.CheckContext("") + `') AND shown.context <> commit_statuses.context
				AND shown.posted_state NOT IN ('', 'pending'))) AS pushed_at`,
	}, lease, map[string]any{"commits": commits, "keys": texts})
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
		rows: s.firstDueBy(`first_scan_id, context`, `commit_statuses due`, heldForNamed+` AND (SELECT COUNT(*) FROM commit_statuses other
			WHERE other.first_scan_id = due.first_scan_id AND other.lease_until > :now) = 0`, `desired_at DESC, first_scan_id DESC, context DESC`),
		guard:   `held AND ` + unleased,
		columns: claimedColumns + `, CAST(:probes AS INTEGER) AS probe`,
	}, lease, map[string]any{
		"project": hold.ProjectID, "branch": hold.Branch, "probes": hold.Probes,
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
		SELECT `+statusColumns+` FROM commit_statuses WHERE first_scan_id = ? AND scan_id = ? ORDER BY context`),
		scan.First(), scan.ID)
	if err != nil {
		return nil, fmt.Errorf("listing statuses: %w", sqldb.Classify(err))
	}
	return list, nil
}

// removeStatuses removes what the scans let their commits show, unless another attempt says it by now.
func removeStatuses(ctx context.Context, tx *sqlx.Tx, scans []core.Scan) error {
	firsts, ids := make([]int64, len(scans)), make([]int64, len(scans))
	for i, scan := range scans {
		firsts[i], ids[i] = scan.First(), scan.ID
	}
	_, err := sqldb.ExecIn(ctx, tx, `DELETE FROM commit_statuses WHERE first_scan_id IN (?) AND scan_id IN (?)`, firsts, ids)
	return err
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
	ShownIn     string        // where else than on the commit in its project it stands; usually empty
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
		return fmt.Errorf("settling status %s of %s: %w", status.Context, status.CommitSHA, err)
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
			UPDATE commit_statuses SET revision = revision + 1 WHERE `+thisStatus+` AND posted_revision > ?`,
			status.FirstScanID, status.Context, status.Revision)
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
		UPDATE commit_statuses SET posted_revision = ?, posted_state = ?, posted_at = ?, posted_id = ?, left_out = ?, shown_in = ?, check_at = ?,
			next_attempt_at = ?, attempts = 0, held = FALSE, last_error = '', lease_until = NULL, pipeline_pin = CASE WHEN ? = '' THEN pipeline_pin ELSE ? END
		WHERE `+thisStatus+` AND lease_until = ?`,
		status.Revision, status.State, now, end.PostedID, end.LeftOut, end.ShownIn, check, now, end.PipelinePin, end.PipelinePin,
		status.FirstScanID, status.Context, status.LeaseUntil)
}

func failedStatus(ctx context.Context, tx *sqlx.Tx, status core.Status, end PostResult, now time.Time) (int64, error) {
	failures, hold := 1, core.Hold{}
	if end.Hold != nil {
		hold = *end.Hold
	}
	if end.Waiting { // the next failure is no graver for that
		failures = 0
	}
	return sqldb.Exec(ctx, tx, `
		UPDATE commit_statuses SET lease_until = NULL, attempts = attempts + ?, next_attempt_at = ?, last_error = ?,
			given_up = (revision = ? AND ?), held = NOT (revision = ? AND ?) AND (held OR ? AND (? = '' OR branch = ?))
		WHERE `+thisStatus+` AND lease_until = ?`,
		failures, now.Add(end.RetryAfter), end.Error, status.Revision, end.GivenUp, status.Revision, end.GivenUp,
		end.Hold != nil, hold.Branch, hold.Branch, status.FirstScanID, status.Context,
		status.LeaseUntil)
}

func (end PostResult) post(status core.Status, now time.Time) core.StatusPost {
	return core.StatusPost{
		FirstScanID: status.FirstScanID, ScanID: status.ScanID, Context: status.Context, Revision: status.Revision,
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
			WHERE id = (SELECT MAX(id + 0) FROM status_posts WHERE `+thisStatus+` AND scan_id = ? AND revision = ?
				AND outcome = ? AND code = ? AND (answer = ? OR ?))`,
			post.LastAt, post.Milliseconds, post.State, post.Description, post.Answer, post.FirstScanID, post.Context, post.ScanID,
			post.Revision, post.Outcome, post.Code, post.Answer, status.Attempts >= distinctAnswers)
		if err != nil || again > 0 {
			return err
		}
	}
	_, err := tx.NamedExecContext(ctx, `
		INSERT INTO status_posts (first_scan_id, scan_id, context, revision, state, description, outcome, code, answer, at,
			last_at, latency_ms)
		VALUES (:first_scan_id, :scan_id, :context, :revision, :state, :description, :outcome, :code, :answer, :at,
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
			FROM commit_statuses c JOIN status_posts p ON p.first_scan_id = c.first_scan_id AND p.context = c.context
			WHERE c.first_scan_id = ? AND p.scan_id = ?
			ORDER BY p.id DESC LIMIT ?) latest
		ORDER BY id`), scan.First(), scan.ID, maxPosts)
	if err != nil {
		return nil, fmt.Errorf("listing posts: %w", sqldb.Classify(err))
	}
	return list, nil
}

// mergePipeline is the newest pipeline of a merge request in the recorded events, for the commit of a row of
// commit_statuses; 0 where there is none. A merge request shows that one, whichever others ran for its commit.
var mergePipeline = `COALESCE((SELECT MAX((SELECT MAX(m.pipeline_id) FROM pipeline_metrics m
		WHERE m.scan_id = s.id AND m.source = '` + core.SourceMergeRequest + `'))
	FROM scans s WHERE ` + sameCommit("s", "commit_statuses") + `), 0)`

// followAfter does the same for a status that was being posted, or was bound to end in the pipeline where it was
// pending. One that was free to go to the merge request and stands elsewhere was not taken there.
func (s *Store) followAfter(ctx context.Context, tx *sqlx.Tx, posted core.Status, end PostResult) error {
	if posted.State == core.StatusPending || end.PipelinePin+posted.PipelinePin == "" {
		return nil
	}
	return s.postAgain(ctx, tx, thisStatus+` AND (? OR `+mergePipeline+` <> ?)`,
		posted.FirstScanID, posted.Context, posted.PostedState == core.StatusPending, posted.MergePipeline)
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
