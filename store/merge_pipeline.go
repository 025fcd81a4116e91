package store

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/scanhook/scanhook/core"
)

// mergePipeline is the newest pipeline of a merge request that events told of, for the commit of a row of
// commit_statuses; 0 where there is none. A merge request shows that one, whichever others ran for its commit.
var mergePipeline = `COALESCE((SELECT MAX(m.pipeline_id) FROM scans s JOIN pipeline_metrics m ON m.scan_id = s.id
	WHERE ` + sameCommit("s", "commit_statuses") + ` AND m.source = '` + core.SourceMergeRequest + `'), 0)`

// followMergeRequests has final statuses posted again where one of the runs is that of a merge request which was made
// after they had been posted: people push first and ask for a review then.
func (s *Store) followMergeRequests(ctx context.Context, tx *sqlx.Tx, telling []*intake) error {
	for _, item := range telling {
		if item.pipeline.Source != core.SourceMergeRequest {
			continue
		}
		key := keyOf(item.scan)
		if err := s.postAgain(ctx, tx, `source_platform = ? AND project_name = ? AND commit_sha = ?`,
			key.platform, key.project, key.sha); err != nil {
			return err
		}
	}
	return nil
}

// followAfter does the same for a status that was being posted, or was bound to end in the pipeline where it was
// pending. One that was free to go to the merge request and stands elsewhere was not taken there.
func (s *Store) followAfter(ctx context.Context, tx *sqlx.Tx, posted core.Status, end Settlement) error {
	if posted.State == core.StatusPending || end.PipelinePin+posted.PipelinePin == "" {
		return nil
	}
	return s.postAgain(ctx, tx, `id = ? AND (? OR `+mergePipeline+` <> ?)`,
		posted.ID, posted.PostedState == core.StatusPending, posted.MergePipeline)
}

// postAgain wants statuses once more that are posted, final, and not in the pipeline of the commit's merge request.
func (s *Store) postAgain(ctx context.Context, tx *sqlx.Tx, which string, args ...any) error {
	now := s.clock()
	_, err := tx.ExecContext(ctx, tx.Rebind(`
		UPDATE commit_statuses SET revision = revision + 1, attempts = 0, next_attempt_at = ?, wanted_at = ?, due_since = ?
		WHERE posted_revision = revision AND posted_state NOT IN ('', ?) AND pipeline_pin <> ''
			AND `+mergePipeline+` <> 0 AND pipeline_pin <> CAST(`+mergePipeline+` AS TEXT) AND `+which),
		append([]any{now, now, now, core.StatusPending}, args...)...)
	return err
}
