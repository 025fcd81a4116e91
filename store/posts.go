package store

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

const (
	distinctAnswers = 20  // failed attempts of a wish that are kept word by word; of later ones the outcome and the code
	maxPosts        = 100 // attempts that are told of one scan
)

func (end Settlement) post(status core.Status, now time.Time) core.StatusPost {
	return core.StatusPost{
		StatusID: status.ID, ScanID: status.ScanID, Context: status.Context, Revision: status.Revision,
		State: status.State, Description: status.Description, Outcome: end.outcome(), Code: end.Code,
		Answer: cmp.Or(end.Error, end.LeftOut), At: now, LastAt: now, Milliseconds: end.Took.Milliseconds(),
	}
}

// keepPost writes an attempt down, into the row of an equal one where there is one: a platform that is away for a day
// leaves a handful of rows. The first attempt of a wish has no equal.
func keepPost(ctx context.Context, tx *sqlx.Tx, status core.Status, post core.StatusPost) error {
	if status.LastError != "" || post.Outcome == core.PostOverwritten {
		again, err := rowsChanged(ctx, tx, `
			UPDATE status_posts SET times = times + 1, last_at = ?, took_ms = ?, state = ?, description = ?, answer = ?
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
			last_at, took_ms)
		VALUES (:status_id, :scan_id, :context, :revision, :state, :description, :outcome, :code, :answer, :at,
			:last_at, :took_ms)`, post)
	return err
}

// ListPosts returns the attempts to post the statuses of a scan in their order, the latest where there are very many.
func (s *Store) ListPosts(ctx context.Context, scan core.Scan) ([]core.StatusPost, error) {
	var list []core.StatusPost
	err := s.db.SelectContext(ctx, &list, s.db.Rebind(`
		SELECT `+postColumns+`, source_platform FROM (
			SELECT `+of("p", postColumns)+`, c.source_platform
			FROM commit_statuses c JOIN status_posts p ON p.status_id = c.id
			WHERE c.source_platform = ? AND c.project_name = ? AND c.commit_sha = ? AND p.scan_id = ?
			ORDER BY p.id DESC LIMIT ?) latest
		ORDER BY id`), scan.SourcePlatform, scan.ProjectName, scan.CommitSHA, scan.ID, maxPosts)
	if err != nil {
		return nil, fmt.Errorf("listing posts: %w", classify(err))
	}
	return list, nil
}
