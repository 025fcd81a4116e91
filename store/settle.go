package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// Settlement is how an attempt to post a claimed status ended.
type Settlement struct {
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
	Took        time.Duration // how long the platform needed
	Trouble     *core.Trouble // when not Posted: the token may not post; Branch, NextProbeAt and Probes are read
}

func (end Settlement) outcome() core.PostOutcome {
	switch {
	case end.Posted:
		return core.Posted
	case end.Trouble != nil || end.Waiting:
		return core.PostWaiting
	case end.GivenUp:
		return core.PostGivenUp
	}
	return core.PostRetry
}

// SettleStatus ends the lease of a claimed status and keeps the attempt. What was wanted meanwhile stays due: a
// revision that is not the latest can neither give up nor delay the latest. core.ErrConflict when the lease was lost;
// where somebody else posted a newer revision meanwhile, that is posted once more, because nobody knows which of the
// two came last.
func (s *Store) SettleStatus(ctx context.Context, status core.Status, end Settlement) error {
	var settled int64
	work := s.settlement(ctx, status, end, &settled)
	err := s.transact(ctx, work)
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
	ctx context.Context, status core.Status, end Settlement, settled *int64) func(*sqlx.Tx) error {
	now := s.clock()
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

// settlePosted locks a trouble before the statuses that it keeps waiting, as settleFailed does.
func (s *Store) settlePosted(
	ctx context.Context, tx *sqlx.Tx, status core.Status, end Settlement, now time.Time) (int64, error) {
	if status.Probe > 0 {
		if err := s.endTrouble(ctx, tx, status, status.Branch, now); err != nil {
			return 0, err
		}
	}
	settled, err := postedStatus(ctx, tx, status, end, now)
	switch {
	case err == nil && settled > 0:
		err = s.followAfter(ctx, tx, status, end)
	case err == nil:
		_, err = rowsChanged(ctx, tx, `
			UPDATE commit_statuses SET revision = revision + 1 WHERE id = ? AND posted_revision > ?`,
			status.ID, status.Revision)
	}
	return settled, err
}

func (s *Store) settleFailed(
	ctx context.Context, tx *sqlx.Tx, status core.Status, end Settlement, now time.Time) (int64, error) {
	if end.Trouble == nil {
		return failedStatus(ctx, tx, status, end, now)
	}
	if status.Probe > 0 && end.Trouble.Branch != "" { // then it is not the whole project, or not any more
		if err := s.endTrouble(ctx, tx, status, "", now); err != nil {
			return 0, err
		}
	}
	if err := flagTrouble(ctx, tx, status, end, now); err != nil {
		return 0, err
	}
	settled, err := failedStatus(ctx, tx, status, end, now)
	if err != nil {
		return 0, err
	}
	return settled, s.giveUpLate(ctx, tx, status, end, now)
}

// postedStatus ends every pause as well: what was wanted meanwhile has inherited it.
func postedStatus(ctx context.Context, tx *sqlx.Tx, status core.Status, end Settlement, now time.Time) (int64, error) {
	var check *time.Time
	if end.CheckAfter > 0 {
		at := now.Add(end.CheckAfter)
		check = &at
	}
	return rowsChanged(ctx, tx, `
		UPDATE commit_statuses SET posted_revision = ?, posted_state = ?, posted_at = ?, posted_id = ?, left_out = ?, check_at = ?,
			next_attempt_at = ?, attempts = 0, last_error = '', lease_until = NULL, pipeline_pin = CASE WHEN ? = '' THEN pipeline_pin ELSE ? END
		WHERE id = ? AND lease_until = ?`,
		status.Revision, status.State, now, end.PostedID, end.LeftOut, check, now, end.PipelinePin, end.PipelinePin,
		status.ID, status.LeaseUntil)
}

func failedStatus(ctx context.Context, tx *sqlx.Tx, status core.Status, end Settlement, now time.Time) (int64, error) {
	retry := now.Add(end.RetryAfter)
	if end.Trouble != nil {
		retry = now.Add(keepUntilMended)
	}
	failures := 1
	if end.Waiting { // the next failure is no graver for that
		failures = 0
	}
	return rowsChanged(ctx, tx, `
		UPDATE commit_statuses SET lease_until = NULL, attempts = attempts + ?, next_attempt_at = ?, last_error = ?,
			given_up = (revision = ? AND ?)
		WHERE id = ? AND lease_until = ?`,
		failures, retry, end.Error, status.Revision, end.GivenUp, status.ID, status.LeaseUntil)
}
