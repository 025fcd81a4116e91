package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store/sqldb"
)

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

// putHold records a refused post. A probe that is due already stays due: it was requested while this post was in
// progress, which may have begun before the token was fixed.
func putHold(ctx context.Context, tx *sqlx.Tx, status core.Status, end PostResult, now time.Time) error {
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		INSERT INTO status_holds (source_platform, project_name, branch, code, reason, since, probes, next_probe_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (source_platform, project_name, branch) DO UPDATE SET code = excluded.code, reason = excluded.reason,
			probes = CASE WHEN excluded.probes > status_holds.probes THEN excluded.probes ELSE status_holds.probes END,
			next_probe_at = CASE WHEN status_holds.next_probe_at <= ? THEN status_holds.next_probe_at
				ELSE excluded.next_probe_at END`),
		status.SourcePlatform, status.ProjectName, end.Hold.Branch, end.Code, end.Error, now, end.Hold.Probes,
		now.Add(end.RetryAfter), now)
	return err
}

// liftHold makes everything due that waited because of the whole project or of the branch, and has the platform's other
// holds probed: what fixed one may have fixed them all.
func (s *Store) liftHold(
	ctx context.Context, tx *sqlx.Tx, status core.Status, branch string, now time.Time) error {
	ended, err := sqldb.Exec(ctx, tx, `
		DELETE FROM status_holds WHERE source_platform = ? AND project_name = ? AND branch IN ('', ?)`,
		status.SourcePlatform, status.ProjectName, branch)
	if err != nil || ended == 0 {
		return err
	}
	status.Branch = ""
	err = s.eachWaiting(ctx, tx, status, now.Add(holdLimit), `
		UPDATE commit_statuses SET next_attempt_at = ?, due_since = ?, attempts = 0, last_error = '' WHERE id IN (?)`, now, now)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, tx.Rebind(`
		UPDATE status_holds SET next_probe_at = ?
		WHERE id IN (SELECT id FROM status_holds
			WHERE source_platform = ? AND next_probe_at > ? `+s.db.SkipLocked+`)`),
		now, status.SourcePlatform, now)
	return err
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
